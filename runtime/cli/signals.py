"""SIGINT, SIGTERM and SIGHUP end a run in order; SIGINT or SIGTERM behind one of them, at once."""

from __future__ import annotations

import errno
import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from types import FrameType

from wsgn.support.signals import HANG_UPS, KeptSignal, handle_signals

from ..pipeline import StopFlag

_MESSAGE = b"\nwsgn-run: stopping and keeping what was found; once more ends at once\n"


class SignalStop(StopFlag):
    """A stop flag that knows which signal set it."""

    def __init__(self) -> None:
        super().__init__()
        self.signal_number: int | None = None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take a signal."""
        if number in HANG_UPS:
            _leave_terminal()
        if self.requested:
            # A shell and the system may both tell that a terminal has gone.
            if number not in HANG_UPS:
                os._exit(128 + number)
            return
        self.signal_number = number
        self.request()
        # Not through sys.stderr: the signal may have come in the middle of a write to it.
        with suppress(OSError):
            os.write(2, _MESSAGE)


@contextmanager
def stop_on_signals(hang_up: KeptSignal | None = None) -> Iterator[SignalStop]:
    """A flag that signals set while the context is open, in the main thread (Python's rule).

    SIGHUP does where `hang_up` is given, which may have kept one, and nobody chose to ignore it.
    """
    stop = SignalStop()
    hang_ups = () if hang_up is None else HANG_UPS
    with handle_signals(stop.handle), handle_signals(stop.handle, hang_ups, ignored_too=False):
        if hang_up is not None and (number := hang_up.taken()) is not None:
            stop.handle(number, None)
        yield stop


def _leave_terminal() -> None:
    """What is left for a terminal that is gone goes nowhere, instead of failing."""
    for descriptor in (1, 2):
        try:
            os.write(descriptor, b"")
        except OSError as error:
            if error.errno == errno.EIO:
                with Path(os.devnull).open("wb") as nowhere:
                    os.dup2(nowhere.fileno(), descriptor)
