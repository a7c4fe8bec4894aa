"""From the timestamps of decoded frames, which may be anything, to a time that never falls."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction

from wsgn.video.grid import Gap, Notice

# A hole in the timestamps that is longer, or a fall by more, breaks the epoch.
JUMP_SECONDS = 1.0
# Without a declared duration no jump over a day is believed.
MAXIMUM_JUMP_SECONDS = 86_400.0
# A still that would be longer counts as a hole: a damaged time base must not fill days with it.
MAXIMUM_STILL_SECONDS = 600.0
# Packets whose durations can explain a long still; more than any decoder holds back.
STILL_WINDOW = 64


@dataclass(frozen=True)
class Placement:
    """Where a frame lies."""

    seconds: float
    epoch: int
    gap: Gap | None
    notice: Notice | None


class Timeline:
    """Gives every decoded frame, in the order of presentation, its place in time.

    `declared_seconds` is the duration the file claims. `packet_seconds` holds the durations of the
    packets read last: a still frame is told from a hole by them.
    """

    def __init__(
        self,
        *,
        time_base: Fraction,
        frame_seconds: float,
        declared_seconds: float | None,
        packet_seconds: deque[float],
    ) -> None:
        self._time_base = time_base
        self._frame_seconds = frame_seconds
        self._declared_seconds = declared_seconds
        self._packet_seconds = packet_seconds
        self._origin: int | None = None
        self._shift_seconds = 0.0
        self._last_seconds: float | None = None
        self._last_duration = frame_seconds
        self._epoch = 0
        self._noticed: set[str] = set()

    @property
    def end_seconds(self) -> float:
        """End of the last frame."""
        return 0.0 if self._last_seconds is None else self._last_seconds + self._last_duration

    @property
    def last_seconds(self) -> float:
        """Start of the last frame."""
        return self._last_seconds or 0.0

    def pts_of(self, seconds: float) -> int:
        """Timestamp of a time, as the file has it."""
        return (self._origin or 0) + round(Fraction(seconds) / self._time_base)

    def set_origin(self, pts: int | None) -> None:
        """Fix the timestamp that is time 0; without it the first frame lies at 0."""
        self._origin = pts

    def seconds_of(self, pts: int) -> float:
        """Time of a timestamp, as the file has it."""
        ticks = pts - (self._origin or 0)
        return ticks * self._time_base.numerator / self._time_base.denominator

    def place(
        self, pts: int | None, duration_seconds: float, *, lead_gap: bool = True
    ) -> Placement:
        """Place the next frame.

        `lead_gap` says whether a first frame that does not lie at 0 stands after a gap.
        """
        end_before = self.end_seconds
        if self._last_seconds is None:
            seconds, gap, notice = self._place_first(pts, lead_gap)
        else:
            seconds, gap, notice = self._place_next(pts, self._last_seconds, end_before)
        if self._origin is None and pts is not None:
            self._origin = pts - round(Fraction(seconds) / self._time_base)
        self._last_seconds = seconds
        self._last_duration = self._believable_duration(seconds, duration_seconds)
        return Placement(seconds, self._epoch, gap, notice)

    def _place_first(
        self, pts: int | None, lead_gap: bool
    ) -> tuple[float, Gap | None, Notice | None]:
        if pts is None:
            return 0.0, None, self._missing(0.0)
        seconds = 0.0 if self._origin is None else max(0.0, self.seconds_of(pts))
        if lead_gap and seconds > JUMP_SECONDS:
            return seconds, Gap(0.0, seconds, "the beginning cannot be decoded"), None
        return seconds, None, None

    def _place_next(
        self, pts: int | None, last: float, end: float
    ) -> tuple[float, Gap | None, Notice | None]:
        if pts is None:
            return end, None, self._missing(end)
        if self._origin is None:
            return end, None, None
        seconds = self.seconds_of(pts) + self._shift_seconds
        if seconds > end + JUMP_SECONDS and not self._is_believable(seconds, last):
            return end, None, self._notice("unlikely_timestamps", "a timestamp jumps far away", end)
        if seconds < last - JUMP_SECONDS:
            self._epoch += 1
            self._shift_seconds += end - seconds
            return end, None, self._falling(end)
        if seconds < last:
            return last, None, self._falling(last)
        if seconds == last:
            message = "several frames have the same timestamp; the last of them is shown"
            return last, None, self._notice("duplicate_timestamps", message, last)
        if seconds > end + JUMP_SECONDS and not self._take_still(seconds - last):
            self._epoch += 1
            return seconds, Gap(end, seconds, "no frames in the file"), None
        return seconds, None, None

    def _is_believable(self, seconds: float, last: float) -> bool:
        if self._declared_seconds is not None:
            return seconds <= self._declared_seconds + JUMP_SECONDS
        return seconds - last <= MAXIMUM_JUMP_SECONDS

    def _take_still(self, still_seconds: float) -> bool:
        """Whether a packet's duration accounts for so long a still; each packet explains one."""
        longest = max(self._packet_seconds, default=0.0)
        if not still_seconds - JUMP_SECONDS <= longest <= MAXIMUM_STILL_SECONDS:
            return False
        self._packet_seconds.remove(longest)
        return True

    def _believable_duration(self, seconds: float, duration_seconds: float) -> float:
        if duration_seconds <= 0:
            return self._frame_seconds
        if duration_seconds <= JUMP_SECONDS:
            return duration_seconds
        believable = duration_seconds <= MAXIMUM_STILL_SECONDS
        if self._declared_seconds is not None:
            end = seconds + duration_seconds
            believable = believable and end <= self._declared_seconds + JUMP_SECONDS
        return duration_seconds if believable else self._frame_seconds

    def _missing(self, seconds: float) -> Notice | None:
        message = "frames without timestamps; each is shown for the length of one frame"
        return self._notice("missing_timestamps", message, seconds)

    def _falling(self, seconds: float) -> Notice | None:
        message = "the timestamps fall; time goes on from the last frame"
        return self._notice("falling_timestamps", message, seconds)

    def _notice(self, code: str, message: str, seconds: float) -> Notice | None:
        if code in self._noticed:
            return None
        self._noticed.add(code)
        return Notice(code, f"{message} (first at {seconds:.2f} s)", seconds)
