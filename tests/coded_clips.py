"""Small clips whose frames carry their own number, and what a reader made of them."""

from __future__ import annotations

import os
import threading
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, BinaryIO, cast

import av
import numpy as np
from av.video.stream import VideoStream
from places import SHARED

from wsgn.support.arrays import UInt8Array
from wsgn.video import FrameGrid, Gap, Notice, SampledFrame, VideoReader
from wsgn.video.reader import Source

NUM_BITS = 8
MILLISECOND = Fraction(1, 1000)
GRID = FrameGrid(10.0, 32, 32)


def shared_videos() -> Path:
    return SHARED / "data" / "videos"


def coded_frame(number: int, width: int = 64, height: int = 48) -> UInt8Array:
    """Upright bars, the number's bits, most significant at the left, as grey (H, W, 3)."""
    columns = np.arange(width) * NUM_BITS // width
    bits = (number >> (NUM_BITS - 1 - columns)) & 1  # (W,)
    row = np.where(bits == 1, 220, 30).astype(np.uint8)
    return np.ascontiguousarray(np.broadcast_to(row[None, :, None], (height, width, 3)))


def number_in(image: UInt8Array) -> int:
    """The number that a sampled frame shows."""
    grey = image.astype(np.float64).mean(axis=(0, 2))  # (W,)
    centres = (np.arange(NUM_BITS) + 0.5) * len(grey) / NUM_BITS
    return sum(1 << (NUM_BITS - 1 - bit) for bit, x in enumerate(centres) if grey[int(x)] > 125)


PacketChange = Callable[[int, "av.Packet[Any]"], bool]


def write_clip(
    target: Path | BinaryIO,
    ticks: Sequence[int],
    *,
    codec: str = "libx264",
    pixel_format: str = "yuv420p",
    size: tuple[int, int] = (64, 48),
    time_base: Fraction = MILLISECOND,
    rate: int = 25,
    options: dict[str, str] | None = None,
    format: str | None = None,
    change_packet: PacketChange | None = None,
    prepare: Callable[[VideoStream], None] | None = None,
) -> None:
    """Frame n of the clip shows n and gets the timestamp ticks[n].

    `change_packet` may change a packet and says whether it is written at all.
    """
    if options is None:
        options = {"preset": "ultrafast"} if codec == "libx264" else {}
    name: Any = str(target) if isinstance(target, Path) else target
    with av.open(name, "w", format=format) as container:
        stream = cast(VideoStream, container.add_stream(codec, rate=rate, options=options))
        stream.width, stream.height = size
        stream.pix_fmt = pixel_format
        stream.codec_context.time_base = time_base
        if prepare is not None:
            prepare(stream)
        packets: list[av.Packet[Any]] = []
        for number, tick in enumerate(ticks):
            frame = av.VideoFrame.from_ndarray(coded_frame(number, *size))
            frame.pts, frame.time_base = tick, time_base
            packets += stream.encode(frame)
        packets += stream.encode()
        for number, packet in enumerate(packets):
            if change_packet is None or change_packet(number, packet):
                container.mux(packet)


def write_audio(path: Path, seconds: float = 1.0) -> None:
    with av.open(str(path), "w") as container:
        stream = cast(Any, container.add_stream("aac", rate=8000))
        stream.layout = "mono"
        frame = av.AudioFrame.from_ndarray(
            np.zeros((1, int(8000 * seconds)), np.float32), format="fltp", layout="mono"
        )
        frame.sample_rate = 8000
        frame.pts = 0
        for packet in [*stream.encode(frame), *stream.encode()]:
            container.mux(packet)


def piped(data: bytes) -> BinaryIO:
    """The reading end of a pipe that the bytes are written to."""
    reading_end, writing_end = os.pipe()

    def feed() -> None:
        # A reader that has seen enough closes its end.
        with suppress(BrokenPipeError), os.fdopen(writing_end, "wb") as file:
            file.write(data)

    threading.Thread(target=feed, daemon=True).start()
    return os.fdopen(reading_end, "rb")


@dataclass
class Reading:
    """Everything that reading a source gave."""

    reader: VideoReader
    frames: list[SampledFrame]
    gaps: list[Gap]
    notices: list[Notice]

    @property
    def numbers(self) -> list[int]:
        return [number_in(frame.image) for frame in self.frames]

    @property
    def indices(self) -> list[int]:
        return [frame.index for frame in self.frames]

    @property
    def epochs(self) -> list[int]:
        return [frame.epoch for frame in self.frames]

    @property
    def codes(self) -> list[str]:
        return [notice.code for notice in self.notices]


def read(source: Source, grid: FrameGrid = GRID, **options: Any) -> Reading:
    with VideoReader(source, grid, **options) as reader:
        items = list(reader)
    assert_in_order(items)
    return Reading(
        reader,
        [item for item in items if isinstance(item, SampledFrame)],
        [item for item in items if isinstance(item, Gap)],
        [item for item in items if isinstance(item, Notice)],
    )


def assert_in_order(items: Iterable[SampledFrame | Gap | Notice]) -> None:
    """Indices rise, epochs never fall, gaps lie between their neighbours."""
    index, epoch, seconds = -1, 0, 0.0
    for item in items:
        if isinstance(item, SampledFrame):
            assert item.index > index
            assert item.epoch >= epoch
            assert item.seconds >= seconds
            index, epoch, seconds = item.index, item.epoch, item.seconds
        elif isinstance(item, Gap):
            assert seconds <= item.from_seconds < item.to_seconds
            seconds = item.to_seconds - 1e-6


def shown_at(ticks: Sequence[int], seconds: float, unit: float = 1e-3) -> int:
    """Independent answer: number of the last frame at or before a time."""
    begin = min(ticks)
    return max(n for n, tick in enumerate(ticks) if (tick - begin) * unit <= seconds + 1e-6)
