"""Frames that a program hands over with their times, in place of an opened video."""

from __future__ import annotations

import math
from collections import deque
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from wsgn.errors import UsageError
from wsgn.support.arrays import UInt8Array
from wsgn.video.decoder import DecodedFrame, DecodeFailure
from wsgn.video.errors import VideoError
from wsgn.video.grid import Notice
from wsgn.video.info import VideoInfo
from wsgn.video.source import MAXIMUM_PIXELS
from wsgn.video.timeline import JUMP_SECONDS, STILL_WINDOW, Timeline

_TICKS_PER_SECOND = 10**9


@dataclass(frozen=True, eq=False)
class FramesInMemory:
    """A video as (seconds, image) pairs; images are (H, W, 3) uint8 RGB of any size."""

    frames: Iterable[tuple[float, UInt8Array]]
    name: str = "frames"


class OpenedFrames:
    """What `OpenedVideo` is for a file. The first frame is taken at once, the others in turn.

    A frame lasts as long as the one before it did, if another does not follow. Raises `UsageError`
    for what is no pair of seconds and an image, `VideoError` where there is no frame at all.
    """

    gave_up = False
    read_error: Exception | None = None
    pixel_aspect: Fraction | None = None
    notices: Sequence[Notice] = ()

    def __init__(self, source: FramesInMemory, frame_seconds: float) -> None:
        self._frame_seconds = frame_seconds
        self.timeline = Timeline(
            time_base=Fraction(1, _TICKS_PER_SECOND),
            frame_seconds=frame_seconds,
            declared_seconds=None,
            packet_seconds=deque(maxlen=STILL_WINDOW),
        )
        self._items = self._decoded(source.frames)
        first = next(self._items, None)
        if first is None:
            raise VideoError("empty", f"{source.name}: there are no frames.")
        self._first = first
        self.timeline.set_origin(first.pts)
        self.info = VideoInfo(
            name=source.name,
            duration_seconds=None,
            frame_rate=None,
            codec="rawvideo",
            pixel_format="rgb24",
            width=first.video_frame.width,
            height=first.video_frame.height,
            rotation_degrees=0,
            num_video_streams=1,
            audio_codec=None,
        )

    def frames(self, start_seconds: float = 0.0) -> Iterator[DecodedFrame | DecodeFailure]:
        """All frames; some may lie before `start_seconds`."""
        yield self._first
        yield from self._items

    def missing_end(self) -> str | None:
        """Nothing: no duration was declared."""
        return None

    def late_end(self) -> str | None:
        """Nothing: no duration was declared."""
        return None

    def close(self) -> None:
        """Nothing: whoever made the frames still has them."""

    def _decoded(self, frames: Iterable[tuple[float, UInt8Array]]) -> Iterator[DecodedFrame]:
        before: float | None = None
        lasting = self._frame_seconds
        for number, item in enumerate(frames):
            seconds, image = _checked(item, number)
            if before is not None and seconds > before:
                lasting = min(seconds - before, JUMP_SECONDS)
            before = seconds
            # A copy: a camera's program may use its one buffer again.
            frame = VideoFrame.from_ndarray(np.ascontiguousarray(image), format="rgb24")
            yield DecodedFrame(
                video_frame=frame,
                pts=round(Fraction(seconds) * _TICKS_PER_SECOND),
                duration_seconds=lasting,
            )


def _checked(item: Any, number: int) -> tuple[float, UInt8Array]:
    """The time and the image of one pair."""
    try:
        seconds, image = item
        seconds = float(seconds)
    except (TypeError, ValueError) as error:
        raise UsageError(
            f"frame {number} must be a pair (seconds, image), got a {type(item).__name__}."
        ) from error
    if not math.isfinite(seconds):
        raise UsageError(f"the time of frame {number} must be finite seconds, got {seconds}.")
    image = np.asarray(image)
    if image.dtype != np.uint8 or image.ndim != 3 or image.shape[2] != 3 or 0 in image.shape:
        raise UsageError(
            f"the image of frame {number} must be (height, width, 3) uint8 RGB, got {image.shape} "
            f"{image.dtype}."
        )
    if image.shape[0] * image.shape[1] > MAXIMUM_PIXELS:
        raise UsageError(f"the image of frame {number} has over {MAXIMUM_PIXELS} pixels.")
    return seconds, image
