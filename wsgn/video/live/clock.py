"""When pictures come and which times they carry: the media time of this moment, and the lag."""

from __future__ import annotations

from collections import deque

# The smallest delay of so long is no lag: it follows a camera's clock, which may be 50 ppm off.
WINDOW_SECONDS = 600.0
# An opening hands over what it has waited for as a burst; behind it the delays of an epoch mean
# something.
SETTLE_SECONDS = 10.0


class MediaClock:
    """Arrivals (monotonic seconds) of a source to its media time, over all of its connections.

    The first pictures of a connection come late, with the burst of its opening, and are placed at
    the moment at which they come: the times of that epoch then run ahead by as much. How far is
    measured while the epoch settles, so that it does not add up from one connection to the next.
    """

    def __init__(self, anchor: float | None = None) -> None:
        # Arrivals, and delays that rise: the first is the smallest of the window.
        self._delays: deque[tuple[float, float]] = deque()
        # An arrival less this was the media time of its moment when the epoch began.
        self._anchor = anchor
        self._ahead_seconds = 0.0
        self._settled_at = float("-inf")

    @property
    def is_set(self) -> bool:
        """Whether a picture was seen."""
        return self._anchor is not None or bool(self._delays)

    def begin_epoch(self, arrival: float, *, new_connection: bool) -> None:
        """From here on media times are mapped anew; a lag is never forgotten in a connection."""
        if not self.is_set:
            return
        self._anchor = arrival - self.now(arrival)
        self._settled_at = arrival + SETTLE_SECONDS
        if new_connection:
            self._delays.clear()

    def observe(self, arrival: float, seconds: float) -> float:
        """A picture of this media time has come: how late it is, over the best of the window."""
        delay = arrival - seconds
        while self._delays and self._delays[-1][1] >= delay:
            self._delays.pop()
        self._delays.append((arrival, delay))
        while self._delays[0][0] < arrival - WINDOW_SECONDS:
            self._delays.popleft()
        if self._anchor is not None and arrival < self._settled_at:
            self._ahead_seconds = self._anchor - self._smallest
        return delay - self._smallest

    def lag(self, arrival: float, seconds: float) -> float:
        """How late a picture would be, without counting it."""
        return arrival - seconds - self._smallest if self._delays else 0.0

    def now(self, arrival: float) -> float:
        """The media time of a moment, at which an epoch begins; needs a picture before."""
        if self._anchor is not None and (arrival < self._settled_at or not self._delays):
            return arrival - self._anchor
        return arrival - self._smallest - self._ahead_seconds

    def reached(self, seconds: float, arrival: float) -> float:
        """The moment whose media time it is, were an epoch to begin at an arrival; as `now`."""
        return seconds + arrival - self.now(arrival)

    def moment(self, seconds: float) -> float:
        """The monotonic time at which the picture of a media time should have come."""
        return seconds + (self._smallest if self._delays else self._anchor or 0.0)

    @property
    def _smallest(self) -> float:
        return self._delays[0][1]
