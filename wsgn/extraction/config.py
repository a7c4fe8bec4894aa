"""How features are extracted: those of equal configurations may be mixed, others must not."""

from __future__ import annotations

from dataclasses import dataclass

from wsgn.backbones.config import (
    BackboneConfig,
    CompactConfig,
    I3dConfig,
    ResNetConfig,
    VggConfig,
)
from wsgn.errors import UsageError
from wsgn.manifest import Sampling

BACKBONES: dict[str, BackboneConfig] = {
    "i3d-rgb": I3dConfig(stream="rgb"),
    "i3d-flow": I3dConfig(stream="flow"),
    "resnet18": ResNetConfig(depth=18),
    "resnet34": ResNetConfig(depth=34),
    "vgg16": VggConfig(),
    "compact": CompactConfig(),
}
FLOW_METHODS = ("tvl1", "dis")
DTYPES = ("float16", "float32")
# The published preprocessing of I3D, ResNet and VGG alike, in pixels.
SHORT_SIDE, CROP_SIZE = 256, 224
# Begins the source of features; raise it when equal configurations give other features.
_VERSION = "wsgn-features 1"


def stream_of(config: BackboneConfig) -> str:
    """What a backbone looks at: 'rgb' or 'flow'."""
    return config.stream if isinstance(config, I3dConfig) else "rgb"


@dataclass(frozen=True, kw_only=True)
class Network:
    """A backbone with its weights, as far as features depend on it."""

    # One of BACKBONES.
    name: str
    config: BackboneConfig
    # Of the file of weights, in hexadecimal digits; None for random weights.
    weights_sha256: str | None

    @property
    def source(self) -> str:
        """The network's part of `ExtractionConfig.source`."""
        if self.weights_sha256 is None:
            return f"{self.name} (RANDOM WEIGHTS)"
        return f"{self.name} (weights sha256 {self.weights_sha256})"


@dataclass(frozen=True, kw_only=True)
class ExtractionConfig:
    """Everything that features depend on besides the video. Raises `UsageError`."""

    # Their features stand behind each other in this order.
    networks: tuple[Network, ...]
    # Frames per second of the time grid; None takes each video's own.
    frame_rate: float | None = 25.0
    # Frames: L, and from a snippet to the next.
    snippet_length: int = 16
    snippet_stride: int = 16
    # Pixels: the shorter side of a scaled frame, and the square in its middle.
    short_side: int = SHORT_SIDE
    crop_size: int = CROP_SIZE
    # One of FLOW_METHODS, for networks that look at optical flow.
    flow: str = "tvl1"
    # One of DTYPES, of the values in the file.
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if len(set(self.streams)) != len(self.streams) or not self.streams:
            raise UsageError(
                "the backbones must look at different streams (one at rgb, one at flow), got "
                f"{', '.join(network.name for network in self.networks) or 'none'}."
            )
        if not 1 <= self.crop_size <= self.short_side:
            raise UsageError(
                f"the crop of {self.crop_size} pixels does not fit into a short side of "
                f"{self.short_side}."
            )
        for network in self.networks:
            if self.crop_size < network.config.smallest_side:
                raise UsageError(
                    f"{network.name} needs frames of at least {network.config.smallest_side} "
                    f"pixels a side, the crop has {self.crop_size}."
                )
        # Checks the rest.
        self.sampling(None if self.frame_rate is not None else 1.0)

    @property
    def streams(self) -> tuple[str, ...]:
        """What the networks look at."""
        return tuple(stream_of(network.config) for network in self.networks)

    @property
    def needs_flow(self) -> bool:
        """Whether any network looks at optical flow."""
        return "flow" in self.streams

    @property
    def stream_sizes(self) -> tuple[int, ...]:
        """Channels of each network's features."""
        return tuple(network.config.feature_size for network in self.networks)

    def sampling(self, native_rate: float | None = None) -> Sampling:
        """The time base; `native_rate` is the video's own frame rate."""
        rate = native_rate if self.frame_rate is None else self.frame_rate
        assert rate is not None
        return Sampling(
            frame_rate=rate,
            snippet_length=self.snippet_length,
            snippet_stride=self.snippet_stride,
        )

    @property
    def source(self) -> str:
        """One line about where the features come from; it is compared, so nothing else is in it."""
        parts = [
            f"{_VERSION}: {' + '.join(network.source for network in self.networks)}",
            f"short side {self.short_side}, centre crop {self.crop_size}",
            "native frame rate" if self.frame_rate is None else f"{self.frame_rate:g} fps",
        ]
        if self.needs_flow:
            parts.append(f"flow {self.flow}")
        return ", ".join(parts)
