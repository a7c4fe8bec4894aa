"""Clips whose frames show their own number, and a network that reads it."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream
from places import SHARED

from wsgn.backbones.config import CompactConfig
from wsgn.extraction.config import ExtractionConfig, Network
from wsgn.extraction.snippets import Frame
from wsgn.support.arrays import Float32Array, UInt8Array

VIDEOS = SHARED / "data" / "videos"
NUM_BITS = 8


def numbered_frame(number: int, width: int = 64, height: int = 48) -> UInt8Array:
    """The number's bits as upright grey bars in the middle square, the highest at the left."""
    left = (width - height) // 2
    columns = (np.arange(width) - left) * NUM_BITS // height
    bits = (number >> np.clip(NUM_BITS - 1 - columns, 0, NUM_BITS - 1)) & 1  # (W,)
    row = np.where(bits == 1, 220, 30).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def number_in(image: UInt8Array) -> int:
    """The number that the middle square of a numbered frame shows."""
    grey = image.astype(np.float64).mean(axis=(0, 2))  # (W,)
    centres = (np.arange(NUM_BITS) + 0.5) * len(grey) / NUM_BITS
    return sum(1 << (NUM_BITS - 1 - bit) for bit, x in enumerate(centres) if grey[int(x)] > 125)


def write_clip(
    path: Path, seconds: Sequence[float], *, rate: int = 25, ticks_per_second: int = 1000
) -> Path:
    """Frame n shows n % 256 from `seconds[n]` on, rounded to ticks."""
    time_base = Fraction(1, ticks_per_second)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast"}
        stream = cast(VideoStream, container.add_stream("libx264", rate=rate, options=options))
        stream.width, stream.height, stream.pix_fmt = 64, 48, "yuv420p"
        stream.codec_context.time_base = time_base
        for number, start in enumerate(seconds):
            frame = av.VideoFrame.from_ndarray(numbered_frame(number % 256))
            frame.pts, frame.time_base = round(start * ticks_per_second), time_base
            container.mux(stream.encode(frame))
        container.mux(stream.encode())
    return path


def steady(num_frames: int, rate: float = 25.0) -> list[float]:
    """Times of frames at a steady rate."""
    return [number / rate for number in range(num_frames)]


class NumberReader:
    """A network whose features (N, L) are the numbers of the frames of each snippet."""

    def features(self, snippets: list[list[Frame]]) -> Float32Array:
        return np.array(
            [[number_in(frame.image) for frame in snippet] for snippet in snippets], np.float32
        )


def small_config(**changes: object) -> ExtractionConfig:
    """Small frames, the compact backbone with random weights."""
    network = Network(
        name="compact", config=CompactConfig(channels=(8, 8, 8, 8)), weights_sha256=None
    )
    settings: dict[str, object] = {"networks": (network,), "short_side": 48, "crop_size": 40}
    return ExtractionConfig(**(settings | changes))  # type: ignore[arg-type]
