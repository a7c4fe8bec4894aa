"""SIGINT and SIGTERM around what must not be torn apart, and SIGTERM as an orderly end."""

from __future__ import annotations

import os
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType

# Exit code of what SIGTERM has ended.
TERMINATED = 128 + signal.SIGTERM
_SIGNALS = (signal.SIGINT, signal.SIGTERM)


class HeldSignal:
    """Which signal has come while it was held; None before one does."""

    def __init__(self) -> None:
        self.number: int | None = None

    def take(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal; a second one ends the process at once."""
        if self.number is not None:
            os._exit(128 + number)
        self.number = number


@contextmanager
def hold_signals() -> Iterator[HeldSignal]:
    """Let signals wait until the block has ended; then they do what they would have done.

    Libraries in C++ swallow a KeyboardInterrupt that is raised in a callback, or turn it into an
    error of their own. Outside the main thread no signal is raised, and none is held.
    """
    held = HeldSignal()
    if threading.current_thread() is not threading.main_thread():
        yield held
        return
    before = {}
    try:
        for number in _SIGNALS:
            # Neither what is ignored (nohup) nor what somebody else than Python handles.
            if signal.getsignal(number) not in (signal.SIG_IGN, None):
                before[number] = signal.signal(number, held.take)
        yield held
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)
        if held.number is not None:
            signal.raise_signal(held.number)


@contextmanager
def exit_on_termination() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C would, so that it tidies up; the exit code is 143."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGTERM, leave)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)
