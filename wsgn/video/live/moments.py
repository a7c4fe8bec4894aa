"""The clock by which a live source is read, and the sign of life of the thread that reads it."""

from __future__ import annotations

from collections.abc import Callable

_POLL_SECONDS = 0.1


class Moments:
    """Monotonic seconds, waits that can be stopped, and when the reader was last seen at work."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        should_stop: Callable[[], bool],
    ) -> None:
        self._monotonic = monotonic
        self._sleep = sleep
        self.should_stop = should_stop
        # Monotonic: a reader that hangs inside of libav gives none.
        self.alive = monotonic()

    def now(self) -> float:
        """Now, which is also a sign of life."""
        self.alive = self._monotonic()
        return self.alive

    def wait(self, seconds: float) -> None:
        """Wait so long, or until reading is to stop."""
        self.wait_until(self.now() + seconds)

    def wait_until(self, moment: float) -> None:
        """Wait until then, or until reading is to stop."""
        while not self.should_stop():
            rest = moment - self.now()
            if rest <= 0:
                return
            self._sleep(min(rest, _POLL_SECONDS))
