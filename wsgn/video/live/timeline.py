"""From the timestamps of pictures, over connections and jumps, to a media time that never falls."""

from __future__ import annotations

import math
from dataclasses import dataclass

from wsgn.video.grid import TIME_TOLERANCE_SECONDS, Gap
from wsgn.video.live.clock import MediaClock
from wsgn.video.timeline import JUMP_SECONDS

# A playlist's old segments are given again by a new connection: pictures that are not older than
# this before the last one were seen.
SEEN_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Placement:
    """Where a picture lies in media time."""

    seconds: float
    epoch: int
    # What is missing before it.
    gap: Gap | None
    lag_seconds: float


class LiveTimeline:
    """Gives each picture its place; `seen` ones of a playlist have none.

    A `clock` that is set and the other arguments are those of an earlier run that this one goes on
    from. Times of an epoch are the source's own, shifted. An epoch begins with a connection, where
    timestamps fall or jump by over a second, and behind packets that were left out: then at the
    media time of that moment, on the grid.
    """

    def __init__(
        self, clock: MediaClock, frame_rate: float, *, end_seconds: float = 0.0, epoch: int = -1
    ) -> None:
        self.clock = clock
        self._frame_rate = frame_rate
        # Of the last picture; -1 before the first one.
        self.epoch = epoch
        # End of the last picture.
        self.end_seconds = end_seconds
        self._last_raw: float | None = None
        self._last_duration = 0.0
        self._last_lag = 0.0
        # Raw time less media time.
        self._base: float | None = None
        self._cause: str | None = None
        self._joins_until: float | None = None

    def connect(self, *, joins_until: float | None = None) -> None:
        """The next picture is the first of a connection.

        Those of a playlist go on from the last one where they can: what arrives before
        `joins_until` may have been seen.
        """
        self._cause = "lost"
        self._joins_until = joins_until if self._base is not None else None

    def leave_out(self) -> None:
        """Packets before the next picture were left out."""
        self._cause = self._cause or "late"

    def lag(self, raw_seconds: float, arrival: float) -> float:
        """How late a picture is that was not placed yet; 0 where that cannot be known."""
        if self._base is None or self._cause == "lost":
            return 0.0
        return self.clock.lag(arrival, raw_seconds - self._base)

    def place(
        self, raw_seconds: float, duration_seconds: float, arrival: float
    ) -> Placement | None:
        """The next picture's place; None for one that was seen, or that comes too late."""
        last = self._last_raw
        if self._cause == "lost" and self._joins_until is not None and last is not None:
            if arrival < self._joins_until and last - SEEN_SECONDS < raw_seconds <= last:
                return None
            if 0 < raw_seconds - last <= self._last_duration + JUMP_SECONDS:
                self._cause = None
        elif self._cause is None and last is not None and self._base is not None:
            if raw_seconds < last and raw_seconds >= last - JUMP_SECONDS:
                return None
            if not 0 <= raw_seconds - last <= self._last_duration + JUMP_SECONDS:
                self._cause = "jump"
        gap = None
        if self._base is None or self._cause is not None:
            gap = self._begin_epoch(raw_seconds, arrival)
        assert self._base is not None
        seconds = raw_seconds - self._base
        self._last_raw, self._last_duration = raw_seconds, duration_seconds
        self.end_seconds = max(self.end_seconds, seconds + duration_seconds)
        self._last_lag = self.clock.observe(arrival, seconds)
        return Placement(seconds=seconds, epoch=self.epoch, gap=gap, lag_seconds=self._last_lag)

    def _begin_epoch(self, raw_seconds: float, arrival: float) -> Gap | None:
        cause, self._cause, self._joins_until = self._cause or "lost", None, None
        end = self.end_seconds
        self.epoch += 1
        if not self.clock.is_set:
            self._base = raw_seconds
            return None
        if cause == "late" and self._base is not None and raw_seconds - self._base >= end:
            # The timestamps went on: how late the source is must stay known.
            start = raw_seconds - self._base
        else:
            lag = 0.0 if cause == "lost" else self._last_lag
            start = self._on_grid(max(end, self.clock.now(arrival) - lag))
            self.clock.begin_epoch(arrival, new_connection=cause == "lost")
            self._base = raw_seconds - start
        is_gap = start > end if cause == "lost" else start > end + JUMP_SECONDS
        return Gap(end, start, cause) if is_gap else None

    def _on_grid(self, seconds: float) -> float:
        index = math.ceil((seconds - TIME_TOLERANCE_SECONDS) * self._frame_rate)
        return index / self._frame_rate
