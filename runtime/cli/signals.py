"""SIGINT and SIGTERM: the first ends a run in order, the second at once."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

from wsgn.support.signals import handle_signals

from ..pipeline import StopFlag

_MESSAGE = b"\nwsgn-run: stopping and keeping what was found; once more ends at once\n"


class SignalStop(StopFlag):
    """A stop flag that knows which signal set it."""

    def __init__(self) -> None:
        super().__init__()
        self.signal_number: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if self.requested:
            os._exit(128 + number)
        self.signal_number = number
        self.request()
        # Not through sys.stderr: the signal may have come in the middle of a write to it.
        try:
            os.write(2, _MESSAGE)
        except OSError:
            return


@contextmanager
def stop_on_signals() -> Iterator[SignalStop]:
    """A flag that signals set while the context is open, in the main thread (Python's rule)."""
    stop = SignalStop()
    with handle_signals(stop.handle):
        yield stop
