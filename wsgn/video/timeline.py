"""From the timestamps of decoded frames, which may be anything, to a time that never falls."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass
from fractions import Fraction

from wsgn.video.grid import TIME_TOLERANCE_SECONDS, Gap, Notice

# A hole in the timestamps that is longer, or a fall by more, breaks the epoch.
JUMP_SECONDS = 1.0
# No jump over a day is believed, whatever follows it.
MAXIMUM_JUMP_SECONDS = 86_400.0
# A still that would be longer counts as a hole: a damaged time base must not fill days with it.
# Nor is a hole believed that ends later than this behind the end that the file declares.
MAXIMUM_STILL_SECONDS = 600.0
# A clock that wrapped goes on within this time of where it was.
WRAP_SLACK_SECONDS = 60.0
# Packets whose durations can explain a long still; more than any decoder holds back.
STILL_WINDOW = 64
# A clock whose ticks are so short beside a frame, or shorter, has rounded the times in it; in one
# with longer ticks they are exact, since a frame is a whole number of them.
_ROUNDED_TICKS_PER_FRAME = 2.05
_ROUNDED_TICK_SECONDS = 0.01
# Of a tick, if a muxer rounds up, or to the nearest: time 0 is a rounded timestamp too. Never all
# of it: a frame that begins a tick behind a grid point begins behind it.
_ROUNDED_PART = 0.99


@dataclass(frozen=True)
class Placement:
    """Where a frame lies."""

    seconds: float
    epoch: int
    gap: Gap | None
    notice: Notice | None


def rounding_tolerance(tick_seconds: float, frame_seconds: float) -> float:
    """How much too late a timestamp can be: what the stream's clock has rounded away."""
    if tick_seconds > _ROUNDED_TICK_SECONDS:
        return TIME_TOLERANCE_SECONDS
    if tick_seconds * _ROUNDED_TICKS_PER_FRAME > frame_seconds:
        return TIME_TOLERANCE_SECONDS
    return max(TIME_TOLERANCE_SECONDS, _ROUNDED_PART * tick_seconds)


class Timeline:
    """Gives every decoded frame, in the order of presentation, its place in time.

    `declared_seconds` is the duration that a header of the file claims: believed until frames lie
    beyond it, or the clock begins anew. `packet_seconds` holds the durations of the packets read
    last: a still frame is told from a hole by them. The clock wraps after `wrap_ticks`.
    """

    def __init__(
        self,
        *,
        time_base: Fraction,
        frame_seconds: float,
        declared_seconds: float | None,
        packet_seconds: deque[float],
        wrap_ticks: int | None = None,
    ) -> None:
        self._time_base = time_base
        self._frame_seconds = frame_seconds
        self._declared_seconds = declared_seconds
        self._packet_seconds = packet_seconds
        self._wrap_ticks = wrap_ticks
        self._wrapped_ticks = 0
        self._origin: int | None = None
        self._shift_seconds = 0.0
        self._last_seconds: float | None = None
        self._last_duration = frame_seconds
        self._epoch = 0
        self._noticed: set[str] = set()
        # Whether the clock fell by more than a second and time went on: no duration that was
        # computed over such a place means anything.
        self.restarted = False

    @property
    def end_seconds(self) -> float:
        """End of the last frame."""
        return 0.0 if self._last_seconds is None else self._last_seconds + self._last_duration

    @property
    def last_seconds(self) -> float:
        """Start of the last frame."""
        return self._last_seconds or 0.0

    @property
    def tolerance_seconds(self) -> float:
        """How much too late a timestamp can be."""
        return rounding_tolerance(float(self._time_base), self._frame_seconds)

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

    def has_noticed(self, code: str) -> None:
        """Leave out notices of this kind: the reader has been told."""
        self._noticed.add(code)

    def is_jump(self, pts: int | None) -> bool:
        """Whether the next frame would lie far away, which the one behind it must bear out."""
        if pts is None or self._last_seconds is None or self._origin is None:
            return False
        seconds = self._unwrapped_seconds(pts)
        return not self._last_seconds - JUMP_SECONDS <= seconds <= self.end_seconds + JUMP_SECONDS

    def place(
        self,
        pts: int | None,
        duration_seconds: float,
        *,
        following: int | None = None,
        lead_gap: bool = True,
    ) -> Placement:
        """Place the next frame.

        `following` is the timestamp of the frame behind it, needed where it jumps. `lead_gap` says
        whether a first frame that does not lie at 0 stands after a gap.
        """
        end_before = self.end_seconds
        if self._last_seconds is None:
            seconds, gap, notice = self._place_first(pts, lead_gap)
        else:
            seconds, gap, notice = self._place_next(pts, following, self._last_seconds, end_before)
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
        self, pts: int | None, following: int | None, last: float, end: float
    ) -> tuple[float, Gap | None, Notice | None]:
        if pts is None:
            return end, None, self._missing(end)
        if self._origin is None:
            return end, None, None
        is_jump = self.is_jump(pts)
        seconds = self._unwrapped_seconds(pts, keep=True)
        if is_jump:
            return self._place_jump(seconds, following, last, end)
        if seconds < last:
            return last, None, self._falling(last)
        if seconds == last:
            message = "several frames have the same timestamp; the last of them is shown"
            return last, None, self._notice("duplicate_timestamps", message, last)
        return seconds, None, None

    def _place_jump(
        self, seconds: float, following: int | None, last: float, end: float
    ) -> tuple[float, Gap | None, Notice | None]:
        """A still, a hole, a clock that begins anew, or a wrong timestamp."""
        if seconds > end and self._take_still(seconds - last):
            return seconds, None, None
        is_hole = seconds > end
        is_borne_out = self._is_borne_out(seconds, following, end)
        is_believed = not is_hole or self._is_believable_hole(seconds, following, last)
        if is_borne_out and is_hole and is_believed:
            self._epoch += 1
            return seconds, Gap(end, seconds, "no frames in the file"), None
        if is_borne_out and (is_believed or following is not None):
            # The clock goes on from another time: so does time, from where it was.
            self._epoch += 1
            self._shift_seconds += end - seconds
            self.restarted = True
            self._declared_seconds = None
        if is_borne_out and not is_hole:
            return end, None, self._falling(end)
        return end, None, self._notice("unlikely_timestamps", "a timestamp jumps far away", end)

    def _is_borne_out(self, seconds: float, following: int | None, end: float) -> bool:
        """Whether the frame behind a jump goes on from there, and not from where time was."""
        if following is None:
            return True
        behind = self._unwrapped_seconds(following)
        return abs(behind - seconds) <= abs(behind - end)

    def _is_believable_hole(self, seconds: float, following: int | None, last: float) -> bool:
        limit = MAXIMUM_JUMP_SECONDS if following is not None else MAXIMUM_STILL_SECONDS
        if seconds - last > limit:
            return False
        if self._declared_seconds is None or self._last_seconds is None:
            return True
        return seconds <= self._declared_seconds + MAXIMUM_STILL_SECONDS

    def _unwrapped_seconds(self, pts: int, *, keep: bool = False) -> float:
        """Time of a timestamp, over all wraps and restarts so far; `keep` keeps a wrap it shows."""
        ticks = self._wrapped_ticks
        if self._wrap_ticks is not None and self._last_seconds is not None:
            unwrapped = self.seconds_of(pts + ticks) + self._shift_seconds
            wrap_seconds = float(self._wrap_ticks * self._time_base)
            turns = round((self._last_seconds - unwrapped) / wrap_seconds)
            off = abs(unwrapped + turns * wrap_seconds - self._last_seconds)
            if turns and off <= WRAP_SLACK_SECONDS:
                ticks += turns * self._wrap_ticks
        if keep:
            self._wrapped_ticks = ticks
        return self.seconds_of(pts + ticks) + self._shift_seconds

    def _take_still(self, still_seconds: float) -> bool:
        """Whether a packet's duration accounts for so long a still; each packet explains one."""
        longest = max(self._packet_seconds, default=0.0)
        if not still_seconds - JUMP_SECONDS <= longest <= MAXIMUM_STILL_SECONDS:
            return False
        self._packet_seconds.remove(longest)
        return True

    def _believable_duration(self, seconds: float, duration_seconds: float) -> float:
        declared = self._declared_seconds
        if declared is not None and seconds > declared + JUMP_SECONDS:
            # Disproved: this frame lies beyond it.
            self._declared_seconds = declared = None
        if duration_seconds <= 0:
            return self._frame_seconds
        if duration_seconds <= JUMP_SECONDS:
            return duration_seconds
        believable = duration_seconds <= MAXIMUM_STILL_SECONDS
        if declared is not None:
            believable = believable and seconds + duration_seconds <= declared + JUMP_SECONDS
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
