"""The newest pictures as JPEG: made where one is asked for, once for all who ask."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction

import av
from av.video.codeccontext import VideoCodecContext
from av.video.frame import VideoFrame

from wsgn.support.arrays import UInt8Array
from wsgn.video.grid import FrameGrid
from wsgn.video.live.items import LastPicture
from wsgn.video.resize import Scaler

# Longest side in pixels; no picture is enlarged.
_LONGEST_SIDE = 480
# libavcodec's quantiser, 2 the best: this one shows no blocks at such a size.
_QUANTISER = 5
# More than about six a second show nothing more.
_FRESH_SECONDS = 0.15


@dataclass(eq=False, kw_only=True)
class _Made:
    """A picture that was made."""

    frame: VideoFrame
    jpeg: bytes
    at: float


class Pictures:
    """JPEGs by source; for one thread."""

    def __init__(
        self,
        newest: Callable[[str], LastPicture | None],
        monotonic: Callable[[], float] = time.monotonic,
    ) -> None:
        self._newest = newest
        self._now = monotonic
        self._made: dict[str, _Made] = {}
        self.num_made = 0

    def jpeg(self, source: str) -> bytes | None:
        """The newest picture, at most 0.15 s old where it moves; None where there is none.

        Raises `VideoError` and `FFmpegError` where it cannot be converted.
        """
        newest, made, now = self._newest(source), self._made.get(source), self._now()
        if newest is None:
            self._made.pop(source, None)
            return None
        if made is None or (made.frame is not newest.frame and now - made.at >= _FRESH_SECONDS):
            made = _Made(frame=newest.frame, jpeg=_encoded(_shown(newest)), at=now)
            self._made[source] = made
            self.num_made += 1
        return made.jpeg


def _shown(picture: LastPicture) -> UInt8Array:
    """A picture (H, W, 3), upright and with square pixels."""
    frame, aspect = picture.frame, float(picture.pixel_aspect or 1)
    # As `Scaler` judges it: what lies outside is damage.
    aspect = aspect if 0.1 <= aspect <= 10 else 1.0
    height, width = float(frame.height), frame.width * aspect
    if frame.rotation % 180:
        height, width = width, height
    scale = min(1.0, _LONGEST_SIDE / max(height, width))
    grid = FrameGrid(1.0, _even(height * scale), _even(width * scale))
    return Scaler(grid, None).image(frame)


def _even(side: float) -> int:
    return max(2, round(side / 2) * 2)


def _encoded(image: UInt8Array) -> bytes:
    frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(
        format="yuvj420p", dst_color_range="JPEG"
    )
    frame.pts = 0
    encoder = av.CodecContext.create("mjpeg", "w")
    assert isinstance(encoder, VideoCodecContext)
    encoder.width, encoder.height, encoder.pix_fmt = frame.width, frame.height, "yuvj420p"
    encoder.time_base = Fraction(1, 25)
    encoder.qmin = encoder.qmax = _QUANTISER
    return b"".join(bytes(packet) for packet in (*encoder.encode(frame), *encoder.encode(None)))
