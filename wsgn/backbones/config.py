"""Configuration of each backbone; a model's configuration holds one of them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

from wsgn.errors import UsageError

# Inputs of I3D: frames, and optical flow.
STREAMS = ("rgb", "flow")
# Depths of ResNet that are built of basic blocks.
RESNET_DEPTHS = (18, 34)


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


def _require_range(name: str, value: int, largest: int | None) -> None:
    if value < 0 or (largest is not None and value > largest):
        end = "not be negative" if largest is None else f"lie between 0 and {largest}"
        raise UsageError(f"{name} must {end}, got {value}.")


BackboneConfig = CompactConfig | I3dConfig | ResNetConfig | VggConfig
