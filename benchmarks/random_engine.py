"""A published backbone with random weights before random heads: speed does not depend on them."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path

import torch

from wsgn.backbones.build import build_backbone
from wsgn.checkpoint import Calibration, Checkpoint, load_checkpoint, save_checkpoint
from wsgn.config import ModelConfig, TrainConfig
from wsgn.errors import EngineError
from wsgn.export.graphs.document import Exportable, exportable
from wsgn.export.graphs.joined import FrameOptions, join
from wsgn.export.to_onnx import main as to_onnx
from wsgn.extraction.config import BACKBONES, CROP_SIZE, SHORT_SIDE
from wsgn.manifest import DetectionRule, FeatureInput, Prior, Sampling
from wsgn.model import WeakDetector
from wsgn.weights.converted import ConvertedWeights, Origin, write_weights

SAMPLING = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)
CLASSES = tuple(f"class {number}" for number in range(20))
# In place of a backbone: heads on features of this many channels.
HEADS, FEATURE_SIZE = "heads", 1024


@dataclass(frozen=True, kw_only=True)
class RandomEngine:
    """The files of a random model in a folder, and frames of any size before it."""

    folder: Path
    # One of BACKBONES, or HEADS.
    backbone: str
    short_side: int = SHORT_SIDE
    crop_size: int = CROP_SIZE

    def write_model(self) -> None:
        """Random weights and a random model on them, the same every time."""
        torch.manual_seed(0)
        size = FEATURE_SIZE if self.backbone == HEADS else self._write_backbone()
        model = ModelConfig(classes=CLASSES, sampling=SAMPLING, features=FeatureInput(size=size))
        checkpoint = Checkpoint(
            model=model, train=TrainConfig(), step=0, weights=WeakDetector(model).state_dict(),
            optimizer={},
        )  # fmt: skip
        save_checkpoint(self._model, replace(checkpoint, calibration=_calibration()))

    def export(self, *options: str) -> Path:
        """The ONNX file, made with these options of to_onnx."""
        path = self.folder / ("engine-half.onnx" if "--half" in options else "engine.onnx")
        if self.backbone != HEADS:
            options += (
                "--backbone", str(self._weights),
                "--short-side", str(self.short_side), "--crop-size", str(self.crop_size),
            )  # fmt: skip
        if to_onnx([str(self._model), "-o", str(path), *options]) != 0:
            raise EngineError(f"{self.backbone} cannot be exported; the reason is above.")
        return path

    def in_torch(self) -> Exportable:
        """The same layers in torch."""
        checkpoint = load_checkpoint(self._model)
        if self.backbone == HEADS:
            return exportable(checkpoint)
        frames = FrameOptions(short_side=self.short_side, crop_size=self.crop_size)
        return join(checkpoint, self._weights, frames)

    @property
    def _model(self) -> Path:
        return self.folder / "model.safetensors"

    @property
    def _weights(self) -> Path:
        return self.folder / "weights.safetensors"

    def _write_backbone(self) -> int:
        config = BACKBONES[self.backbone]
        network = build_backbone(config, SAMPLING.snippet_length)
        for weight in network.parameters():
            # Without residuals values would fade from layer to layer.
            if weight.dim() == 5:
                torch.nn.init.kaiming_normal_(weight)
        origin = Origin(file_name="random", layout="wsgn", sha256="")
        weights = ConvertedWeights(config=config, origin=origin, tensors=network.state_dict())
        write_weights(self._weights, weights)
        return config.feature_size


def _calibration() -> Calibration:
    zeros = (0.0,) * len(CLASSES)
    ones = (1.0,) * len(CLASSES)
    return Calibration(
        prior=Prior(
            count=8.0,
            mean=zeros,
            variance=ones,
            log_mean_exponential=zeros,
            maximum=zeros,
            mean_local=ones,
            mean_global=ones,
        ),
        detection=DetectionRule(open_thresholds=zeros, close_thresholds=zeros),
    )
