"""A file played by its timestamps: its packets come no earlier than a camera would send them."""

from __future__ import annotations

from wsgn.video.live.moments import Moments
from wsgn.video.timeline import JUMP_SECONDS


class Pace:
    """Waits until a packet is due."""

    def __init__(self, moments: Moments) -> None:
        self._moments = moments
        self._last: float | None = None
        # Monotonic time less that of the file.
        self._offset = 0.0

    def wait(self, seconds: float) -> None:
        """Return when the packet of this time is due; a clock that jumps is followed at once."""
        last, self._last = self._last, seconds
        if last is None:
            self._offset = self._moments.now() - seconds
        elif not -JUMP_SECONDS <= seconds - last <= JUMP_SECONDS:
            self._offset += last - seconds
        self._moments.wait_until(seconds + self._offset)
