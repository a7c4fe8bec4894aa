"""The clock by which a live source is read."""

from __future__ import annotations

from collections.abc import Callable

_POLL_SECONDS = 0.1


class Moments:
    """Monotonic seconds, and waits that can be stopped."""

    def __init__(
        self,
        monotonic: Callable[[], float],
        sleep: Callable[[float], None],
        should_stop: Callable[[], bool],
    ) -> None:
        # Seconds of this moment.
        self.now = monotonic
        self._sleep = sleep
        self.should_stop = should_stop

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
