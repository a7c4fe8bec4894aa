"""H.264 clips for live sources: encoded once, played in a loop, a bar code in every picture.

The bar code counts the pictures of the clip, so whoever knows when a source began knows when a
picture was filmed.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import av
import numpy as np
from numpy.typing import NDArray

Image = NDArray[np.uint8]

RTP_CLOCK = 90_000
# Below what a network carries in one piece.
_PAYLOAD_BYTES = 1400
_VALUE_BITS = 24
_CHECK_BITS = 8
_BITS = _VALUE_BITS + _CHECK_BITS


def _check(value: int) -> int:
    """Eight bits that a wrongly read value hardly has; a dark image reads as nothing."""
    return (value * 0x9E3779B1 >> 24 ^ 0xA5) & 0xFF


def paint_bar_code(image: Image, value: int) -> None:
    """Write a number below 2^24 into the top of an RGB image (H, W, 3) of 160 pixels or more."""
    height, width, _ = image.shape
    bits = value << _CHECK_BITS | _check(value)
    edges = [width * bit // _BITS for bit in range(_BITS + 1)]
    for bit in range(_BITS):
        image[: height // 12, edges[bit] : edges[bit + 1]] = 235 if bits >> bit & 1 else 20


def read_bar_code(image: Image) -> int | None:
    """The number in an image (H, W, 3) that may have been scaled; None where there is none."""
    height, width, _ = image.shape
    row = image[height // 24].astype(int).mean(axis=-1)
    bits = sum(
        1 << bit for bit in range(_BITS) if row[math.floor(width * (bit + 0.5) / _BITS)] > 128
    )
    value = bits >> _CHECK_BITS
    return value if bits & (1 << _CHECK_BITS) - 1 == _check(value) else None


@dataclass(frozen=True, kw_only=True)
class Picture:
    """One encoded picture, in the order of decoding."""

    nals: tuple[bytes, ...]
    # Of its loop; when it is shown, and when it is sent.
    seconds: float
    sent_seconds: float
    is_key: bool

    @cached_property
    def annexb(self) -> bytes:
        """With start codes, as MPEG-TS wants it."""
        return b"".join(b"\0\0\0\1" + nal for nal in self.nals)

    @cached_property
    def payloads(self) -> tuple[bytes, ...]:
        """As RTP carries it (RFC 6184): whole units, and large ones in fragments (FU-A)."""
        return tuple(payload for nal in self.nals for payload in _payloads(nal))


def _payloads(nal: bytes) -> Iterator[bytes]:
    if len(nal) <= _PAYLOAD_BYTES:
        yield nal
        return
    indicator, kind = nal[0] & 0xE0 | 28, nal[0] & 0x1F
    size = _PAYLOAD_BYTES - 2
    for start in range(1, len(nal), size):
        first = 0x80 if start == 1 else 0
        last = 0x40 if start + size >= len(nal) else 0
        yield bytes([indicator, first | last | kind]) + nal[start : start + size]


@dataclass(frozen=True, kw_only=True)
class Clip:
    """Encoded pictures that follow one another in a loop of `period_seconds`."""

    width: int
    height: int
    rate: float
    pictures: tuple[Picture, ...]
    period_seconds: float

    @property
    def sps(self) -> bytes:
        """The parameters of the sequence."""
        return self._unit(7)

    @property
    def pps(self) -> bytes:
        """The parameters of its pictures."""
        return self._unit(8)

    def _unit(self, kind: int) -> bytes:
        return next(
            nal for picture in self.pictures for nal in picture.nals if nal[0] & 0x1F == kind
        )

    def from_keyframe(self, seconds: float) -> Iterator[tuple[float, float, Picture]]:
        """For ever, from the first keyframe at `seconds` or later: when it is sent, shown, and it.

        Seconds count from the first picture of the first loop.
        """
        loop = max(0, math.floor(seconds / self.period_seconds))
        begun = False
        while True:
            begin = loop * self.period_seconds
            for picture in self.pictures:
                begun = begun or (picture.is_key and begin + picture.sent_seconds >= seconds)
                if begun:
                    yield begin + picture.sent_seconds, begin + picture.seconds, picture
            loop += 1


def drawn_clip(
    *,
    width: int = 320,
    height: int = 240,
    rate: int = 25,
    seconds: float = 4.0,
    keyframes: int = 10,
) -> Clip:
    """Soft shapes that move, and the bar code; a keyframe every `keyframes` pictures."""
    images = _drawn(width, height, round(seconds * rate))
    return encoded_clip(images, rate=rate, keyframes=keyframes)


def encoded_clip(
    images: Iterable[Image], *, rate: float, keyframes: int, bar_code: bool = True
) -> Clip:
    """RGB images (H, W, 3) of one size as a clip, without B-frames, as cameras encode."""
    pictures: list[Picture] = []
    encoder: Any = None
    for number, image in enumerate(images):
        height, width, _ = image.shape
        encoder = encoder or _encoder("libx264", width, height, rate, keyframes)
        drawn = np.array(image)
        if bar_code:
            paint_bar_code(drawn, number)
        frame = av.VideoFrame.from_ndarray(drawn, "rgb24").reformat(format="yuv420p")
        frame.pts = number
        pictures += [_picture(packet, rate) for packet in encoder.encode(frame)]
    pictures += [_picture(packet, rate) for packet in encoder.encode(None)]
    return Clip(
        width=encoder.width,
        height=encoder.height,
        rate=rate,
        pictures=tuple(pictures),
        period_seconds=len(pictures) / rate,
    )


def _encoder(codec: str, width: int, height: int, rate: float, keyframes: int) -> Any:
    context: Any = av.CodecContext.create(codec, "w")
    context.width, context.height, context.pix_fmt = width, height, "yuv420p"
    exact = Fraction(rate).limit_denominator(1001)
    context.time_base, context.framerate = 1 / exact, exact
    context.gop_size = keyframes
    context.thread_count = 1
    context.options = {"preset": "ultrafast", "tune": "zerolatency", "forced-idr": "1"}
    return context


def _picture(packet: Any, rate: float) -> Picture:
    return Picture(
        nals=tuple(split_annexb(bytes(packet))),
        seconds=packet.pts / rate,
        sent_seconds=packet.dts / rate,
        is_key=packet.is_keyframe,
    )


def split_annexb(data: bytes) -> Iterator[bytes]:
    """The units between start codes."""
    for part in data.split(b"\0\0\1")[1:]:
        if unit := part.rstrip(b"\0"):
            yield unit


def _drawn(width: int, height: int, count: int) -> Iterator[Image]:
    y, x = np.mgrid[:height, :width]
    for number in range(count):
        turn = 2 * math.pi * number / count
        centre_x, centre_y = (
            width * (0.5 + 0.3 * math.cos(turn)),
            height * (0.5 + 0.3 * math.sin(turn)),
        )
        spot = np.exp(-((x - centre_x) ** 2 + (y - centre_y) ** 2) / (0.02 * width**2))
        channels = [60 + 120 * spot, 60 + 80 * x / width, 60 + 80 * y / height]
        yield np.stack(channels, axis=-1).astype(np.uint8)
