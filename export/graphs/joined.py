"""Backbones before a model that was trained on their features: one engine on raw frames."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from torch import Tensor, nn

from wsgn.backbones.streams import Streams
from wsgn.checkpoint import Checkpoint
from wsgn.errors import UsageError
from wsgn.export.graphs.document import Exportable, describe
from wsgn.export.graphs.networks import SnippetGraph
from wsgn.extraction.choose import ChosenNetwork, networks_before
from wsgn.extraction.config import (
    CROP_SIZE,
    SHORT_SIDE,
    ExtractionConfig,
    frame_settings,
    front_words,
)
from wsgn.extraction.networks import build_network
from wsgn.manifest import FlowInput, FrameInput


@dataclass(frozen=True, kw_only=True)
class FrameOptions:
    """How frames come to the backbones, as in `wsgn-features`."""

    # Pixels: the shorter side of a scaled frame, and the square in its middle.
    short_side: int = SHORT_SIDE
    crop_size: int = CROP_SIZE
    # One of RESIZE_MODES; 'stretch' makes the whole frame a square of crop_size.
    resize: str = "centre_crop"
    # Frames of a snippet that networks on images see; 0: all.
    image_frames: int = 0
    # One of FLOW_METHODS, for networks that look at optical flow.
    flow: str = "tvl1"


def frame_options(checkpoint: Checkpoint, **given: int | str | None) -> FrameOptions:
    """What is given, the rest as it was for the features where the checkpoint knows it."""
    made = "" if checkpoint.trained_on is None else checkpoint.trained_on.features
    chosen = {name: value for name, value in given.items() if value is not None}
    found = FrameOptions(**(frame_settings(made) | chosen))  # type: ignore[arg-type]
    # A stretched frame has one size.
    return replace(found, short_side=found.crop_size) if found.resize == "stretch" else found


class CroppedBackbone(nn.Module):
    """Frames (N, L, S, S, 3) uint8 -> features (N, D) of the square in their middle.

    Of flow (N, L, S, S, 2), where the backbone looks at any, the same square.

    A host that fills S x S and cuts the middle makes the shorter side S pixels long: together with
    this crop that is what `wsgn-features` shows to the backbone, pixel by pixel.
    """

    def __init__(self, backbone: nn.Module, *, short_side: int, crop_size: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.start = (short_side - crop_size) // 2
        self.stop = self.start + crop_size

    def forward(self, *seen: Tensor) -> Tensor:
        """Crop, then the backbone."""
        middle = slice(self.start, self.stop)
        features: Tensor = self.backbone(*(one[:, :, middle, middle] for one in seen))
        return features


def join(
    checkpoint: Checkpoint,
    backbones: Path | Sequence[ChosenNetwork],
    frames: FrameOptions | None = None,
) -> Exportable:
    """The backbones that made the features, in the order of their streams, and the model.

    `backbones` is of `networks_before`, or a file of `wsgn-weights convert`. Time grid, snippet
    length and stride are those of the features. Raises `UsageError` where they do not fit the
    model, `InputError` for a file that holds no backbone.
    """
    frames = frames or frame_options(checkpoint)
    if isinstance(backbones, Path):
        backbones = networks_before([str(backbones)])
    extraction = _extraction(checkpoint, backbones, frames)
    _require_fit(checkpoint, extraction)
    model = checkpoint.build()
    modules = [
        build_network(
            one.network,
            one.weights,
            checkpoint.model.sampling.snippet_length,
            image_frames=extraction.image_frames,
        )
        for one in backbones
    ]
    backbone = modules[0]
    if len(modules) > 1 or extraction.needs_flow:
        backbone = Streams(modules, [stream == "flow" for stream in extraction.streams])
    front = CroppedBackbone(
        backbone, short_side=extraction.short_side, crop_size=extraction.crop_size
    )
    manifest = describe(checkpoint, model)
    side = extraction.short_side
    return Exportable(
        graph=SnippetGraph(model, front).eval(),
        manifest=replace(
            manifest,
            features=None,
            frames=FrameInput(height=side, width=side, resize=extraction.resize),
            flow=FlowInput(method=extraction.flow) if extraction.needs_flow else None,
            provenance=manifest.provenance | {"backbone": front_words(extraction)},
        ),
    )


def _extraction(
    checkpoint: Checkpoint, backbones: Sequence[ChosenNetwork], frames: FrameOptions
) -> ExtractionConfig:
    """What `wsgn-features` would have been asked for."""
    if checkpoint.model.features is None:
        raise UsageError("the checkpoint has a backbone of its own: leave --backbone out.")
    sampling = checkpoint.model.sampling
    return ExtractionConfig(
        networks=tuple(one.network for one in backbones),
        frame_rate=sampling.frame_rate,
        snippet_length=sampling.snippet_length,
        snippet_stride=sampling.snippet_stride,
        short_side=frames.short_side,
        crop_size=frames.crop_size,
        resize=frames.resize,
        image_frames=frames.image_frames,
        flow=frames.flow,
    )


def _require_fit(checkpoint: Checkpoint, extraction: ExtractionConfig) -> None:
    model = checkpoint.model
    assert model.features is not None
    size, names = sum(extraction.stream_sizes), ", ".join(n.name for n in extraction.networks)
    if model.features.size != size:
        raise UsageError(
            f"the model was trained on features of {model.features.size} channels, {names} gives "
            f"{size}: give the backbones that made them, in their order."
        )
    if model.streams and model.streams != extraction.streams:
        raise UsageError(
            f"the model was trained on the streams {', '.join(model.streams)}, {names} gives "
            f"{', '.join(extraction.streams)}: give the backbones in that order."
        )
    made = "" if checkpoint.trained_on is None else checkpoint.trained_on.features
    if made and (difference := extraction.differs_from(made, streams=bool(model.streams))):
        raise UsageError(
            f"the model was trained on features of {difference}: give --backbone and the options "
            "for its frames as they were in wsgn-features."
        )
