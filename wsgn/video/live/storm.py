"""Pictures that come many times as fast as before: a relay that sends one again and again."""

from __future__ import annotations

from collections import deque
from statistics import median

# Over so many times the usual rate, for so long.
_TIMES_THE_RATE = 4.0
_STORM_SECONDS = 5
# A camera that films slowly until something moves is no storm.
_LEAST_RATE = 60.0
# Seconds that the usual rate is taken from, and how many of them it needs.
_WINDOW_SECONDS = 600
_LEAST_SECONDS = 10


class StormWatch:
    """Counts the pictures of each second of a connection."""

    def __init__(self) -> None:
        self._counts: deque[int] = deque(maxlen=_WINDOW_SECONDS)
        self._second: int | None = None
        self._num_in_second = 0
        self._num_stormy = 0

    def is_storm(self, arrival: float) -> bool:
        """Whether the picture that has come now is part of a storm."""
        second = int(arrival)
        if self._second is None:
            self._second = second
        if second != self._second:
            self._end_second()
            # Seconds without a picture are no storm.
            self._num_stormy = self._num_stormy if second == self._second + 1 else 0
            self._second, self._num_in_second = second, 0
        self._num_in_second += 1
        return self._num_stormy >= _STORM_SECONDS

    def _end_second(self) -> None:
        usual = median(self._counts) if len(self._counts) >= _LEAST_SECONDS else float("inf")
        if self._num_in_second > max(_LEAST_RATE, _TIMES_THE_RATE * usual):
            self._num_stormy += 1
        else:
            self._num_stormy = 0
            self._counts.append(self._num_in_second)
