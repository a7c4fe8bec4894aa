"""What is said of a source that is away, and when it is tried again."""

from __future__ import annotations

from wsgn.video.live.backoff import Backoff
from wsgn.video.live.faults import Fault


class Outage:
    """From a fault to the next picture; each cause is told once.

    `reconnect` limits the attempts in a row without a picture; the first of all is none of them.
    """

    def __init__(self, reconnect: int | None, backoff: Backoff) -> None:
        self._reconnect = reconnect
        self._backoff = backoff
        self._told: set[str] = set()
        # Attempts since the last picture, the next one among them.
        self.attempt = 0

    @property
    def is_told(self) -> bool:
        """Whether anything was said of it."""
        return bool(self._told)

    def fault(self, fault: Fault) -> float | None:
        """Seconds until the next attempt; None where there is none any more."""
        self.attempt += 1
        if self._reconnect is not None and self.attempt > self._reconnect:
            return None
        return self._backoff.wait_seconds(fault.cause)

    def is_new(self, cause: str) -> bool:
        """Whether this cause is to be told."""
        is_new = cause not in self._told
        self._told.add(cause)
        return is_new

    def end(self) -> None:
        """Pictures come."""
        self._told.clear()
        self.attempt = 0

    def steady(self) -> None:
        """Pictures have come for a while."""
        self._backoff.reset()
