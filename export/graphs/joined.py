"""A backbone before a model that was trained on its features: one engine on raw frames."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from torch import Tensor, nn

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import BackboneConfig, CompactConfig
from wsgn.checkpoint import Checkpoint
from wsgn.errors import UsageError
from wsgn.export.graphs.document import Exportable, describe
from wsgn.export.graphs.networks import SnippetGraph
from wsgn.extraction.config import CROP_SIZE, SHORT_SIDE, stream_of
from wsgn.extraction.networks import file_sha256
from wsgn.manifest import FrameInput
from wsgn.weights.converted import load_backbone_weights, read_weights
from wsgn.weights.identify import kind_of


class CroppedBackbone(nn.Module):
    """Frames (N, L, S, S, 3) uint8 -> features (N, D) of the square in their middle.

    A host that fills S x S and cuts the middle makes the shorter side S pixels long: together with
    this crop that is what `wsgn-features` shows to the backbone, pixel by pixel.
    """

    def __init__(self, backbone: nn.Module, *, short_side: int, crop_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.start = (short_side - crop_size) // 2
        self.stop = self.start + crop_size

    def forward(self, frames: Tensor) -> Tensor:
        """Crop, then the backbone."""
        middle = slice(self.start, self.stop)
        features: Tensor = self.backbone(frames[:, :, middle, middle])
        return features


def join(
    checkpoint: Checkpoint,
    weights: Path,
    *,
    short_side: int = SHORT_SIDE,
    crop_size: int = CROP_SIZE,
) -> Exportable:
    """The backbone that made the features, from a file of `wsgn-weights convert`, and the model.

    Time grid, snippet length and stride are those of the features. Raises `UsageError` where the
    two do not fit, `InputError` for a file that holds no backbone.
    """
    config = read_weights(weights).config
    _require_fit(checkpoint, config)
    model = checkpoint.build()
    # The published classifier behind the features is of no use here.
    backbone = build_backbone(without_classifier(config), checkpoint.model.sampling.snippet_length)
    load_backbone_weights(backbone, weights)
    front = CroppedBackbone(backbone, short_side=short_side, crop_size=crop_size)
    manifest = describe(checkpoint, model)
    words = f"{kind_of(config)}, weights sha256 {file_sha256(weights)}"
    return Exportable(
        graph=SnippetGraph(model, front).eval(),
        manifest=replace(
            manifest,
            features=None,
            frames=FrameInput(height=short_side, width=short_side, resize="centre_crop"),
            provenance=manifest.provenance | {"backbone": words},
        ),
    )


def without_classifier(config: BackboneConfig) -> BackboneConfig:
    """The same backbone without the published classifier behind its features."""
    return config if isinstance(config, CompactConfig) else replace(config, num_logits=0)


def _require_fit(checkpoint: Checkpoint, config: BackboneConfig) -> None:
    model = checkpoint.model
    if model.features is None:
        raise UsageError("the checkpoint has a backbone of its own: leave --backbone out.")
    if stream_of(config) == "flow" or "flow" in model.streams:
        raise UsageError(
            "an engine takes frames, not optical flow: join a backbone on rgb to a model trained "
            "on features of rgb alone (wsgn-train --streams rgb)."
        )
    if model.features.size != config.feature_size:
        raise UsageError(
            f"the model was trained on features of {model.features.size} channels, "
            f"{kind_of(config)} gives {config.feature_size}: give the weights that made them."
        )
