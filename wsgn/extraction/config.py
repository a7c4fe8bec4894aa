"""How features are extracted: those of equal configurations may be mixed, others must not."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsgn.backbones.config import (
    BackboneConfig,
    CompactConfig,
    EfficientNetConfig,
    I3dConfig,
    MotionConfig,
    OnnxConfig,
    ResNetConfig,
    VggConfig,
)
from wsgn.errors import UsageError
from wsgn.manifest import RESIZE_MODES, FlowInput, Sampling

AnyBackboneConfig = BackboneConfig | OnnxConfig

BACKBONES: dict[str, BackboneConfig] = {
    "i3d-rgb": I3dConfig(stream="rgb"),
    "i3d-flow": I3dConfig(stream="flow"),
    "resnet18": ResNetConfig(depth=18),
    "resnet34": ResNetConfig(depth=34),
    "vgg16": VggConfig(),
    "efficientnet-lite0": EfficientNetConfig(),
    "motion": MotionConfig(),
    "compact": CompactConfig(),
}
DTYPES = ("float16", "float32")
# Before the path of an ONNX file that is a backbone.
ONNX_PREFIX = "onnx:"
# The published preprocessing of I3D, ResNet and VGG alike, in pixels.
SHORT_SIDE, CROP_SIZE = 256, 224
# Begins the source of features; raise it when equal configurations give other features.
_VERSION = "wsgn-features 1"
# In a source; a network's words hold commas between brackets only.
_BETWEEN_SETTINGS = r", (?![^(]*\))"


def stream_of(config: AnyBackboneConfig) -> str:
    """What a backbone looks at: 'rgb', 'flow' or 'motion'."""
    match config:
        case I3dConfig():
            return config.stream
        case MotionConfig():
            return "motion"
    return "rgb"


def is_on_images(config: AnyBackboneConfig) -> bool:
    """Whether a backbone sees every frame of a snippet by itself, and averages."""
    if isinstance(config, OnnxConfig):
        return len(config.axes) == 4
    return isinstance(config, ResNetConfig | VggConfig | EfficientNetConfig)


def geometry_words(resize: str, short_side: int, crop_size: int) -> str:
    """How frames get their size, as `ExtractionConfig.source` has it."""
    if resize == "stretch":
        return f"whole frame {crop_size} x {crop_size}"
    return f"short side {short_side}, centre crop {crop_size}"


def frame_settings(source: str) -> dict[str, int | str]:
    """The options for frames that a source of features names; empty for other programs' words."""
    found: dict[str, int | str] = {}
    if not source.startswith(_VERSION):
        return found
    if match := re.search(r", whole frame (\d+) x \d+", source):
        found = {"resize": "stretch", "crop_size": int(match[1])}
    elif match := re.search(r", short side (\d+), centre crop (\d+)", source):
        sizes = {"short_side": int(match[1]), "crop_size": int(match[2])}
        found = {"resize": "centre_crop", **sizes}
    if method := re.search(r", flow (\w+)$", source):
        found["flow"] = method[1]
    images = re.search(r", (\d+) images of each snippet", source)
    return found | {"image_frames": int(images[1]) if images else 0}


def network_names(source: str) -> tuple[str, ...]:
    """The backbones that a source of features names; empty for other programs' words."""
    if not source.startswith(f"{_VERSION}: "):
        return ()
    made = re.split(_BETWEEN_SETTINGS, source.removeprefix(f"{_VERSION}: "))[0]
    return tuple(words.partition(" (")[0] for words in made.split(" + "))


@dataclass(frozen=True, kw_only=True)
class Network:
    """A backbone with its weights, as far as features depend on it."""

    # One of BACKBONES, or 'onnx'.
    name: str
    config: AnyBackboneConfig
    # Of the file of weights, in hexadecimal digits; None for random weights, and where nothing is
    # learned.
    weights_sha256: str | None = None

    @property
    def source(self) -> str:
        """The network's part of `ExtractionConfig.source`."""
        if isinstance(self.config, MotionConfig):
            return self.name
        if self.weights_sha256 is None:
            return f"{self.name} (RANDOM WEIGHTS)"
        words = f"weights sha256 {self.weights_sha256}"
        if isinstance(self.config, OnnxConfig):
            words += f"; {self.config.words}"
        return f"{self.name} ({words})"

    @property
    def needs_weights(self) -> bool:
        """Whether there is something that was learned."""
        return not isinstance(self.config, MotionConfig)


def require_size(network: Network, side: int) -> None:
    """Refuse squares that a network does not take; a `UsageError` says which it does."""
    config = network.config
    if side < config.smallest_side:
        raise UsageError(
            f"{network.name} needs frames of at least {config.smallest_side} pixels a side, the "
            f"crop has {side}."
        )
    if isinstance(config, OnnxConfig) and config.side not in (None, side):
        raise UsageError(
            f"the ONNX network takes frames of {config.side} x {config.side} pixels, the crop has "
            f"{side}: add --crop-size {config.side} (and a --short-side that is not smaller)."
        )


def front_words(config: ExtractionConfig) -> str:
    """The backbones of an engine, for its provenance."""
    return " + ".join(network.source for network in config.networks)


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
    # One of RESIZE_MODES; 'stretch' makes the whole frame the square, and both sizes are its side.
    resize: str = "centre_crop"
    # So many frames of a snippet, evenly spread, go through networks on images; 0: all.
    image_frames: int = 0
    # One of wsgn.manifest.FLOW_METHODS, for networks that look at optical flow.
    flow: str = "tvl1"
    # One of DTYPES, of the values in the file.
    dtype: str = "float32"

    def __post_init__(self) -> None:
        if len(set(self.streams)) != len(self.streams) or not self.streams:
            raise UsageError(
                "the backbones must look at different streams (rgb, flow, motion), got "
                f"{', '.join(network.name for network in self.networks) or 'none'}."
            )
        if self.resize not in RESIZE_MODES:
            raise UsageError(
                f"resize must be one of {', '.join(RESIZE_MODES)}, got '{self.resize}'."
            )
        if self.resize == "stretch" and self.short_side != self.crop_size:
            raise UsageError(
                "frames that are stretched have one size: short side and crop must be the same, "
                f"got {self.short_side} and {self.crop_size}."
            )
        if not 1 <= self.crop_size <= self.short_side:
            raise UsageError(
                f"the crop of {self.crop_size} pixels does not fit into a short side of "
                f"{self.short_side}."
            )
        if not 0 <= self.image_frames <= self.snippet_length:
            raise UsageError(
                f"a snippet has {self.snippet_length} frames: --image-frames must be 0 (all) to "
                f"{self.snippet_length}, got {self.image_frames}."
            )
        for network in self.networks:
            require_size(network, self.crop_size)
            if isinstance(network.config, MotionConfig) and self.snippet_length < 2:
                raise UsageError(
                    "motion is seen between the frames of a snippet: raise --snippet-length to 2 "
                    "or more."
                )
        # Checks the rest.
        FlowInput(method=self.flow)
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

    def differs_from(self, source: str, *, streams: bool = False) -> str:
        """Words for what is other than in a `source` of features; empty where nothing is.

        With `streams` the networks may be some of those. The time base is compared elsewhere, and
        sources of other programs not at all.
        """
        start = f"{_VERSION}: "
        if not source.startswith(start):
            return ""
        other, ours = (text.removeprefix(start) for text in (source, self.source))
        (made, *settings), (wanted, *expected) = (
            re.split(_BETWEEN_SETTINGS, text) for text in (other, ours)
        )
        networks, named = made.split(" + "), wanted.split(" + ")
        fits = set(named) <= set(networks) if streams else named == networks
        if not fits:
            return f"{made}, not {wanted}"
        of_others = r"native frame rate|.* fps"
        if not self.needs_flow:
            of_others += r"|flow .*"
        if not any(is_on_images(one.config) for one in self.networks):
            of_others += r"|\d+ images of each snippet"
        found = [words for words in settings if not re.fullmatch(of_others, words)]
        here = [words for words in expected if not re.fullmatch(of_others, words)]
        return "" if found == here else f"{', '.join(found)}, not {', '.join(here)}"

    @property
    def source(self) -> str:
        """One line about where the features come from; it is compared, so nothing else is in it."""
        parts = [
            f"{_VERSION}: {' + '.join(network.source for network in self.networks)}",
            geometry_words(self.resize, self.short_side, self.crop_size),
            "native frame rate" if self.frame_rate is None else f"{self.frame_rate:g} fps",
        ]
        if self.image_frames and any(is_on_images(one.config) for one in self.networks):
            parts.append(f"{self.image_frames} images of each snippet")
        if self.needs_flow:
            parts.append(f"flow {self.flow}")
        return ", ".join(parts)
