"""Pictures in media time to frames on the grid."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator

from av.video.frame import VideoFrame

from wsgn.support.arrays import UInt8Array
from wsgn.video.grid import TIME_TOLERANCE_SECONDS, FrameGrid, GridCursor
from wsgn.video.live.items import LiveFrame
from wsgn.video.resize import Scaler


class Sampler:
    """Holds the picture that is on show; each grid point is given out once, when it is over."""

    def __init__(self, grid: FrameGrid, unix: Callable[[float], float], end: float | None) -> None:
        self._unix = unix
        self._cursor = GridCursor(grid.frame_rate, 0.0, end)
        self.tolerance = TIME_TOLERANCE_SECONDS
        self._frame: VideoFrame | None = None
        self._scaler: Scaler | None = None
        self._image: UInt8Array | None = None
        # Of the last picture.
        self.epoch = -1
        self._end = math.inf if end is None else end
        # Whether every grid point that was asked for lies before the last picture.
        self.is_over = False

    def hold(self, frame: VideoFrame, scaler: Scaler, seconds: float, epoch: int) -> None:
        """Put a picture on show; grid points before it that were not given out are left out."""
        self._cursor.skip_to(seconds, self.tolerance)
        self._frame, self._scaler, self._image, self.epoch = frame, scaler, None, epoch
        self.is_over = seconds >= self._end - TIME_TOLERANCE_SECONDS

    def show(self, until_seconds: float, arrival: float) -> Iterator[LiveFrame]:
        """The grid points of the held picture, which ends here; known since `arrival`."""
        if self._frame is None or self._scaler is None:
            return
        for index in self._cursor.take_until(until_seconds, self.tolerance):
            if self._image is None:
                self._image = self._scaler.image(self._frame)
            seconds = self._cursor.seconds(index)
            yield LiveFrame(
                index,
                seconds,
                self.epoch,
                self._image,
                arrival=arrival,
                unix_seconds=self._unix(seconds),
            )

    def drop(self) -> None:
        """Nothing is on show any more."""
        self._frame = self._scaler = self._image = None
