"""How long to wait before the next attempt, and how many attempts go on at a time."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from wsgn.video.live.moments import Moments

_FIRST_SECONDS = 0.5
_LONGEST_SECONDS = 30.0
# Cameras lock an account after some wrong passwords.
_UNAUTHORIZED_SECONDS = 60.0
# So long pictures have to come before the waits begin anew.
STEADY_SECONDS = 5.0
# Hundreds of cameras come back at once after a power cut.
OPENINGS_AT_A_TIME = 8
_POLL_SECONDS = 0.1

_openings = threading.BoundedSemaphore(OPENINGS_AT_A_TIME)


class Backoff:
    """Waits that double from 0.5 to 30 s, each shortened by up to half at random."""

    def __init__(self, draw: Callable[[], float] = random.random) -> None:
        self._draw = draw
        self._num_waits = 0

    def reset(self) -> None:
        """Pictures came for a while."""
        self._num_waits = 0

    def wait_seconds(self, cause: str) -> float:
        """The next wait after this fault."""
        doublings = min(self._num_waits, 10)
        self._num_waits += 1
        if cause == "unauthorized":
            return _UNAUTHORIZED_SECONDS
        longest = min(_LONGEST_SECONDS, _FIRST_SECONDS * 2.0**doublings)
        return float(longest * (0.5 + self._draw() / 2))


@contextmanager
def opening_slot(seconds: float, moments: Moments) -> Iterator[None]:
    """Wait for a place among the openings, for so long or until reading is to stop.

    An opening that hangs keeps its place, so none waits for ever.
    """
    until = moments.now() + seconds
    while not (has_slot := _openings.acquire(blocking=False)):
        if moments.should_stop() or moments.now() >= until:
            break
        moments.wait(_POLL_SECONDS)
    try:
        yield
    finally:
        if has_slot:
            _openings.release()
