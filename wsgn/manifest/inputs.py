"""What an engine takes: how a video becomes snippets, and what a snippet is."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wsgn.manifest.bounds import (
    FRAME_RATES,
    MOST_CHANNELS,
    MOST_FRAMES,
    MOST_PIXELS_A_SIDE,
    require,
)
from wsgn.manifest.names import FLOW_METHODS, RESIZE_MODES
from wsgn.support.arrays import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True)
class Sampling:
    """How a video becomes snippets: a time grid of frames, cut into overlapping runs."""

    # Frames per second of the time grid on which the video is sampled.
    frame_rate: float
    # Frames in a snippet, L.
    snippet_length: int
    # Frames from the start of a snippet to the start of the next.
    snippet_stride: int

    def __post_init__(self) -> None:
        require(
            math.isfinite(self.frame_rate) and self.frame_rate > 0,
            f"frame_rate must be a positive number of frames per second, got {self.frame_rate}.",
        )
        slowest, fastest = FRAME_RATES
        require(
            slowest <= self.frame_rate <= fastest,
            f"frame_rate must be {slowest:g} to {fastest:g} frames per second, got "
            f"{self.frame_rate:g}.",
        )
        for name in ("snippet_length", "snippet_stride"):
            value = getattr(self, name)
            require(value >= 1, f"{name} must be at least 1 frame, got {value}.")
            require(
                value <= MOST_FRAMES, f"{name} must be at most {MOST_FRAMES} frames, got {value}."
            )

    @property
    def stride_seconds(self) -> float:
        """From the start of a snippet to the start of the next."""
        return self.snippet_stride / self.frame_rate

    def start_seconds(self, numbers: IntArray) -> FloatArray:
        """When the snippets of these numbers begin (T,), of which 0 begins at 0."""
        starts: FloatArray = numbers * self.snippet_stride / self.frame_rate
        return starts


@dataclass(frozen=True, kw_only=True)
class FrameInput:
    """Engine input `frames` (N, L, height, width, 3) uint8 RGB."""

    # Pixels.
    height: int
    width: int
    # How a frame of another shape gets there: one of RESIZE_MODES.
    resize: str = "stretch"

    def __post_init__(self) -> None:
        require(
            self.height >= 1 and self.width >= 1,
            f"input height and width must be positive, got {self.height} x {self.width}.",
        )
        require(
            max(self.height, self.width) <= MOST_PIXELS_A_SIDE,
            f"input height and width must be at most {MOST_PIXELS_A_SIDE} pixels, got "
            f"{self.height} x {self.width}.",
        )
        require(
            self.resize in RESIZE_MODES,
            f"resize must be one of {', '.join(RESIZE_MODES)}, got '{self.resize}'.",
        )


@dataclass(frozen=True, kw_only=True)
class FlowInput:
    """Engine input `flow` (N, L, height, width, 2) float32, beside `frames` and of their size.

    Pixels to the right and down from each frame to the next, computed on the frames' luma.
    """

    # One of FLOW_METHODS.
    method: str
    # Pixels to which displacements are clipped (Carreira and Zisserman 2017, kinetics-i3d).
    limit_pixels: float = 20.0

    def __post_init__(self) -> None:
        require(
            self.method in FLOW_METHODS,
            f"the method of flow must be one of {', '.join(FLOW_METHODS)}, got '{self.method}'.",
        )
        require(
            0 < self.limit_pixels <= MOST_PIXELS_A_SIDE,
            f"limit_pixels must be positive and at most {MOST_PIXELS_A_SIDE}, got "
            f"{self.limit_pixels}.",
        )


@dataclass(frozen=True, kw_only=True)
class FeatureInput:
    """Engine input `features` (N, size) float32."""

    # Channels of a feature vector, D.
    size: int

    def __post_init__(self) -> None:
        require(self.size >= 1, f"feature size must be at least 1, got {self.size}.")
        require(
            self.size <= MOST_CHANNELS,
            f"feature size must be at most {MOST_CHANNELS}, got {self.size}.",
        )
