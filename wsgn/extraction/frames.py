"""A video as square frames at the points of a time grid, without holes, one at a time."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import TypeVar

import numpy as np
import numpy.typing as npt

from wsgn.errors import InputError
from wsgn.remote.addresses import shown
from wsgn.support.arrays import UInt8Array
from wsgn.video import FrameGrid, Gap, Notice, ReadSummary, VideoReader, probe

Value = TypeVar("Value", np.uint8, np.float32)

# A longer hole would be features of nothing; recordings that were joined wrongly have such.
MAXIMUM_GAP_SECONDS = 600.0


class FrameStream:
    """The frames of one video: shorter side `short_side`, of which the middle square is kept.
    With `resize` 'stretch' the whole frame becomes the square.

    `frame_rate` None takes the rate that the video declares. A hole in the video shows the frame
    before it (at the start the first), so that frame k always lies at k / frame_rate seconds.
    `on_notice` is told what is odd about the video. Raises `InputError`.
    """

    def __init__(
        self,
        path: Path | str,
        *,
        frame_rate: float | None,
        short_side: int,
        resize: str = "centre_crop",
        on_notice: Callable[[str], None] = lambda sentence: None,
    ) -> None:
        self.frame_rate = _native_rate(path) if frame_rate is None else frame_rate
        # Frames at their own rate are taken in the middle of their time: timestamps are rounded,
        # and may lie a little behind the point of an exact grid.
        self._points = 2 if frame_rate is None else 1
        # To cover this square, the shorter side of the frame becomes the square's.
        grid = FrameGrid(
            frame_rate=self.frame_rate * self._points,
            height=short_side,
            width=short_side,
            resize=resize,
        )
        self._name = shown(str(path))
        self._on_notice = on_notice
        self._reader = VideoReader(path, grid)
        self._gap_seconds = 0.0

    def __iter__(self) -> Iterator[UInt8Array]:
        """(short_side, short_side, 3) uint8 RGB; frames that are shown twice share one array."""
        held: UInt8Array | None = None
        num_given = 0
        with self._reader as reader:
            for item in reader:
                if isinstance(item, Notice | Gap):
                    self._tell(item)
                    continue
                number, point = divmod(item.index, self._points)
                if point != self._points // 2:
                    continue
                before = item.image if held is None else held
                for _ in range(num_given, number):
                    yield before
                yield item.image
                held, num_given = item.image, number + 1
        if held is None:
            raise InputError(f"{self._name} holds no frames.")

    @property
    def summary(self) -> ReadSummary:
        """What became of the reading so far."""
        return self._reader.summary

    def close(self) -> None:
        """Close the file, also before its end."""
        self._reader.close()

    def _tell(self, item: Notice | Gap) -> None:
        if isinstance(item, Notice):
            self._on_notice(item.message)
            return
        seconds = item.to_seconds - item.from_seconds
        if seconds > MAXIMUM_GAP_SECONDS:
            raise InputError(
                f"{self._name} has no frames for {seconds:.0f} s from {item.from_seconds:.2f} s "
                f"on ({item.cause}): cut the video there."
            )
        self._on_notice(
            f"no frames from {item.from_seconds:.2f} to {item.to_seconds:.2f} s "
            f"({item.cause}); the frame before is shown"
        )


def centre_crop(frame: npt.NDArray[Value], size: int) -> npt.NDArray[Value]:
    """The (size, size, ...) square in the middle of a larger one, as an array of its own."""
    top = (frame.shape[0] - size) // 2
    left = (frame.shape[1] - size) // 2
    return np.ascontiguousarray(frame[top : top + size, left : left + size])


def _native_rate(path: Path | str) -> float:
    rate = probe(path).frame_rate
    if rate is None:
        raise InputError(
            f"{shown(str(path))} does not say its frame rate: give one, such as --frame-rate 25."
        )
    return rate
