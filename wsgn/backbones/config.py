"""Configuration of each backbone; a model's configuration holds one of them."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import Literal

from wsgn.errors import UsageError
from wsgn.support.choices import one_of, require_choices

# Inputs of I3D: frames, and optical flow.
STREAMS = ("rgb", "flow")
# Depths of ResNet that are built of basic blocks.
RESNET_DEPTHS = (18, 34)
# Orders of the axes that a network in an ONNX file may take, and of its channels.
ONNX_AXES = ("NCHW", "NHWC", "NCTHW", "NTHWC", "NTCHW")
ONNX_CHANNELS = ("rgb", "bgr")


@dataclass(frozen=True, kw_only=True)
class CompactConfig:
    """A small network on the motion of a snippet, or on its single frames."""

    name: Literal["compact"] = "compact"
    # Every frame by itself through two-dimensional convolutions, compared with the snippet's others
    # behind them (wsgn.backbones.frames), instead of all at once (wsgn.backbones.compact).
    frame_by_frame: bool = False
    # Channels of the convolutions; the first three halve height and width.
    channels: tuple[int, ...] = (64, 96, 128, 128)
    # Channels of the feature vector, D.
    feature_size: int = 128

    @property
    def smallest_side(self) -> int:
        """Pixels that a frame needs in height and width: they are halved three times."""
        return 8


@dataclass(frozen=True, kw_only=True)
class I3dConfig:
    """I3D, Inception-v1 inflated to three dimensions (wsgn.backbones.i3d)."""

    name: Literal["i3d"] = "i3d"
    # One of STREAMS.
    stream: str = "rgb"
    # Classes of the published classifier behind the features (Kinetics: 400); 0 leaves it out.
    num_logits: int = 0
    # So many of the five stages keep their weights and their batch statistics in training.
    frozen_stages: int = 0
    # Training keeps the activations between stages only and computes the others again.
    checkpoint_gradients: bool = False

    def __post_init__(self) -> None:
        if self.stream not in STREAMS:
            raise UsageError(f"stream must be one of {', '.join(STREAMS)}, got '{self.stream}'.")
        _require_range("num_logits", self.num_logits, None)
        _require_range("frozen_stages", self.frozen_stages, 5)

    @property
    def feature_size(self) -> int:
        """Channels of the feature vector, D."""
        return 1024

    @property
    def smallest_side(self) -> int:
        """Pixels that a frame needs in height and width."""
        return 1


@dataclass(frozen=True, kw_only=True)
class ResNetConfig:
    """ResNet of basic blocks on single frames, averaged over a snippet (wsgn.backbones.resnet)."""

    name: Literal["resnet"] = "resnet"
    # Layers with weights, one of RESNET_DEPTHS.
    depth: int = 34
    # Classes of the published classifier behind the features (ImageNet: 1000); 0 leaves it out.
    num_logits: int = 0
    # So many of the five stages keep their weights and their batch statistics in training.
    frozen_stages: int = 0
    # Training keeps the activations between stages only and computes the others again.
    checkpoint_gradients: bool = False

    def __post_init__(self) -> None:
        if self.depth not in RESNET_DEPTHS:
            raise UsageError(
                f"depth must be one of {', '.join(map(str, RESNET_DEPTHS))}, got {self.depth}."
            )
        _require_range("num_logits", self.num_logits, None)
        _require_range("frozen_stages", self.frozen_stages, 5)

    @property
    def feature_size(self) -> int:
        """Channels of the feature vector, D."""
        return 512

    @property
    def smallest_side(self) -> int:
        """Pixels that a frame needs in height and width."""
        return 1


@dataclass(frozen=True, kw_only=True)
class VggConfig:
    """VGG16 on single frames, averaged over a snippet (wsgn.backbones.vgg)."""

    name: Literal["vgg"] = "vgg"
    # Share of the first fully connected layer (fc6) that is dropped in training; what is dropped of
    # the features (fc7) is the model's dropout.
    hidden_dropout: float = 0.5
    # Classes of the published classifier behind the features (ImageNet: 1000); 0 leaves it out.
    num_logits: int = 0
    # So many of the six stages (five blocks of convolutions, then fc6 and fc7) keep their weights.
    frozen_stages: int = 0
    # Training keeps the activations between stages only and computes the others again.
    checkpoint_gradients: bool = False

    def __post_init__(self) -> None:
        if not 0 <= self.hidden_dropout < 1:
            raise UsageError(f"hidden_dropout must lie in [0, 1), got {self.hidden_dropout}.")
        _require_range("num_logits", self.num_logits, None)
        _require_range("frozen_stages", self.frozen_stages, 6)

    @property
    def feature_size(self) -> int:
        """Channels of the feature vector, D."""
        return 4096

    @property
    def smallest_side(self) -> int:
        """Pixels that a frame needs in height and width: they are halved five times."""
        return 32


@dataclass(frozen=True, kw_only=True)
class EfficientNetConfig:
    """EfficientNet-Lite0 on single frames, averaged (wsgn.backbones.efficientnet)."""

    name: Literal["efficientnet"] = "efficientnet"
    # Classes of the published classifier behind the features (ImageNet: 1000); 0 leaves it out.
    num_logits: int = 0
    # So many of the nine stages keep their weights and their batch statistics in training.
    frozen_stages: int = 0
    # Training keeps the activations between stages only and computes the others again.
    checkpoint_gradients: bool = False

    def __post_init__(self) -> None:
        _require_range("num_logits", self.num_logits, None)
        _require_range("frozen_stages", self.frozen_stages, 9)

    @property
    def feature_size(self) -> int:
        """Channels of the feature vector, D."""
        return 1280

    @property
    def smallest_side(self) -> int:
        """Pixels that a frame needs in height and width."""
        return 1


@dataclass(frozen=True, kw_only=True)
class MotionConfig:
    """Normal flow by direction in cells of the picture, nothing learned (wsgn.backbones.motion)."""

    name: Literal["motion"] = "motion"
    # Pixels to which height and width are scaled.
    side: int = 80
    # Cells along each side, and directions in each.
    cells: int = 4
    directions: int = 8

    def __post_init__(self) -> None:
        largest_values = {"side": 1024, "cells": 64, "directions": 64}
        for name, largest in largest_values.items():
            value = getattr(self, name)
            if not 1 <= value <= largest:
                raise UsageError(f"{name} must lie between 1 and {largest}, got {value}.")
        if self.side % self.cells:
            raise UsageError(f"cells must divide side, got {self.cells} and {self.side}.")

    @property
    def feature_size(self) -> int:
        """Channels of the feature vector, D."""
        return self.cells**2 * (self.directions + 1)

    @property
    def smallest_side(self) -> int:
        """Pixels that a frame needs in height and width."""
        return 1


@dataclass(frozen=True, kw_only=True)
class OnnxConfig:
    """A network of the user's own in an ONNX file (wsgn.backbones.onnx_network)."""

    name: Literal["onnx"] = "onnx"
    # Name of the value in the file's graph that is taken.
    output: str
    # Axes of its input: one of ONNX_AXES; those with T take a whole snippet.
    axes: str
    # Pixels in height and width where the file fixes them.
    side: int | None
    # Frames of a snippet where the file fixes them.
    snippet_length: int | None
    # Of the features, D.
    feature_size: int
    # Axes of places behind the channels of its output: 0, or 2 or 3, over which is averaged.
    place_axes: int = 0
    # Whether its input is uint8, which gets the pixels as they are.
    takes_bytes: bool = False
    # (v / 255 - mean) / deviation, in the order of the channels.
    mean: tuple[float, float, float] = (0.485, 0.456, 0.406)
    deviation: tuple[float, float, float] = (0.229, 0.224, 0.225)
    # One of ONNX_CHANNELS: the order in which the network takes them.
    channels: str = one_of(ONNX_CHANNELS, "rgb")

    def __post_init__(self) -> None:
        require_choices(self)
        if self.axes not in ONNX_AXES:
            raise UsageError(f"axes must be one of {', '.join(ONNX_AXES)}, got '{self.axes}'.")
        if not all(math.isfinite(v) for v in (*self.mean, *self.deviation)) or not all(
            value > 0 for value in self.deviation
        ):
            raise UsageError(
                "the pixels' mean and deviation must be numbers, and the deviation positive."
            )

    @property
    def smallest_side(self) -> int:
        """Pixels that a frame needs in height and width."""
        return 1

    @property
    def words(self) -> str:
        """What features depend on besides the file."""
        pixels = (
            "bytes"
            if self.takes_bytes
            else f"mean {_listed(self.mean)}, deviation " + (_listed(self.deviation))
        )
        return f"output {self.output}, {self.channels}, {pixels}"


def _listed(values: tuple[float, ...]) -> str:
    return " ".join(f"{value:.6g}" for value in values)


def _require_range(name: str, value: int, largest: int | None) -> None:
    if value < 0 or (largest is not None and value > largest):
        end = "not be negative" if largest is None else f"lie between 0 and {largest}"
        raise UsageError(f"{name} must {end}, got {value}.")


BackboneConfig = (
    CompactConfig | I3dConfig | ResNetConfig | VggConfig | EfficientNetConfig | MotionConfig
)
