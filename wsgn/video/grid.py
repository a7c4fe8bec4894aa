"""The time grid on which videos are sampled, and what reading along it yields."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wsgn.errors import UsageError
from wsgn.manifest import RESIZE_MODES
from wsgn.support.arrays import UInt8Array

# Two times closer than this are the same time: timestamps are rational, the grid is float64.
TIME_TOLERANCE_SECONDS = 1e-6
# Below this one frame would have to stand for days, above it the tolerance spans grid points.
MINIMUM_FRAME_RATE = 1e-5
MAXIMUM_FRAME_RATE = 1e5


@dataclass(frozen=True)
class FrameGrid:
    """Grid point k lies k / frame_rate seconds after the video's first frame."""

    # Grid points per second.
    frame_rate: float
    # Size of the sampled frames, pixels.
    height: int
    width: int
    # How a frame of another shape gets there: one of RESIZE_MODES.
    resize: str = "stretch"

    def __post_init__(self) -> None:
        if not MINIMUM_FRAME_RATE <= self.frame_rate <= MAXIMUM_FRAME_RATE:
            raise UsageError(
                f"the grid's frame_rate must be {MINIMUM_FRAME_RATE:g} to {MAXIMUM_FRAME_RATE:g} "
                f"frames per second, got {self.frame_rate}."
            )
        if self.height < 1 or self.width < 1:
            raise UsageError(
                f"the grid's height and width must be positive, got {self.height} x {self.width}."
            )
        if self.resize not in RESIZE_MODES:
            raise UsageError(
                f"the grid's resize must be one of {', '.join(RESIZE_MODES)}, got '{self.resize}'."
            )


@dataclass(frozen=True, eq=False)
class SampledFrame:
    """The frame that a viewer sees at one grid point."""

    # Grid index k, and its time k / frame_rate after the video's first frame.
    index: int
    seconds: float
    # Counts the stretches of unbroken time; nothing that looks at motion may span two.
    epoch: int
    # (H, W, 3) uint8 RGB. Grid points that show the same frame share one array.
    image: UInt8Array


@dataclass(frozen=True)
class Gap:
    """A stretch of time over one second long for which the video has no frame."""

    from_seconds: float
    to_seconds: float
    cause: str


@dataclass(frozen=True)
class Notice:
    """Something odd about the video that did not stop the reading; once per kind."""

    code: str
    message: str
    # Where in the video it was met.
    seconds: float


@dataclass(frozen=True)
class ReadSummary:
    """What became of the reading."""

    # The whole video, or all of it that was asked for, was reached.
    complete: bool
    # End of the last frame.
    seconds: float
    num_frames_decoded: int
    num_frames_sampled: int
    decode_failures: int
    # Frames that the decoder gave out although it marked them as damaged.
    num_frames_damaged: int


class GridCursor:
    """Walks the grid; each grid point is handed out once, in order."""

    def __init__(
        self, frame_rate: float, start_seconds: float = 0.0, end_seconds: float | None = None
    ) -> None:
        self._frame_rate = frame_rate
        self._next_index = max(0, self._first_index_at(start_seconds))
        self._end_index = None if end_seconds is None else self._first_index_at(end_seconds)

    def _first_index_at(
        self, seconds: float, tolerance_seconds: float = TIME_TOLERANCE_SECONDS
    ) -> int:
        return math.ceil((seconds - tolerance_seconds) * self._frame_rate)

    def seconds(self, index: int) -> float:
        """Time of a grid point."""
        return index / self._frame_rate

    def take_until(self, seconds: float, tolerance_seconds: float) -> range:
        """Grid points before `seconds` that were not handed out yet."""
        start = self._next_index
        self.skip_to(seconds, tolerance_seconds)
        stop = self._next_index
        if self._end_index is not None:
            stop = min(stop, self._end_index)
        return range(start, max(start, stop))

    def skip_to(self, seconds: float, tolerance_seconds: float) -> None:
        """Leave out the grid points before `seconds`, which may be so much too late."""
        index = self._first_index_at(seconds, tolerance_seconds)
        self._next_index = max(self._next_index, index)
