"""SIGINT and SIGTERM around what must not be torn apart, and SIGTERM as an orderly end."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from types import FrameType

# Exit code of what SIGTERM has ended.
TERMINATED = 128 + signal.SIGTERM
SIGNALS = (signal.SIGINT, signal.SIGTERM)
_AGAIN_SECONDS = 0.1
# A terminal has gone, or settings are to be read again; Windows has none.
HANG_UPS = (signal.SIGHUP,) if hasattr(signal, "SIGHUP") else ()


@contextmanager
def handle_signals(
    handler: Callable[[int, FrameType | None], None],
    numbers: Iterable[signal.Signals] = SIGNALS,
    *,
    ignored_too: bool = True,
) -> Iterator[None]:
    """Let a function take signals while the block runs.

    Those that somebody else than Python handles are left alone, and without `ignored_too` those
    that are ignored (nohup). Outside the main thread, where Python raises no signal, none is taken.
    """
    before = {}
    try:
        if threading.current_thread() is threading.main_thread():
            for number in numbers:
                found = signal.getsignal(number)
                if found is not None and (ignored_too or found is not signal.SIG_IGN):
                    before[number] = signal.signal(number, handler)
        yield
    finally:
        for number, former in before.items():
            signal.signal(number, former)


class KeptSignal:
    """A signal that came before anybody was ready to take it."""

    def __init__(self) -> None:
        self._number: int | None = None

    def keep(self, number: int, frame: FrameType | None) -> None:
        """Remember it."""
        self._number = number

    def taken(self) -> int | None:
        """Which one came since this was asked last; None where none did."""
        number, self._number = self._number, None
        return number


_launched = [False]


@contextmanager
def launched() -> Iterator[None]:
    """Let no second signal end what holds them, while the block runs.

    A launcher of several processes sends one where another part of the program has sent one before,
    and kills what takes too long: nobody there is impatient.
    """
    before, _launched[0] = _launched[0], True
    try:
        yield
    finally:
        _launched[0] = before


class HeldSignal:
    """Which signal has come while it was held; None before one does."""

    def __init__(self) -> None:
        self.number: int | None = None

    def take(self, number: int, frame: FrameType | None) -> None:
        """Remember the first signal; a second one ends the process at once, unless `launched`."""
        if self.number is None:
            self.number = number
        elif not _launched[0]:
            os._exit(128 + number)


@contextmanager
def hold_signals() -> Iterator[HeldSignal]:
    """Let signals wait until the block has ended; then they do what they would have done.

    Libraries in C++ swallow a KeyboardInterrupt that is raised in a callback, or turn it into an
    error of their own. Outside the main thread no signal is raised, and none is held.
    """
    held = HeldSignal()
    try:
        with handle_signals(held.take, ignored_too=False):
            yield held
    finally:
        if held.number is not None:
            signal.raise_signal(held.number)


@contextmanager
def exit_on_termination() -> Iterator[None]:
    """Let SIGTERM end the block as Ctrl-C would, so that it tidies up; the exit code is 143."""

    def leave(number: int, frame: FrameType | None) -> None:
        raise SystemExit(TERMINATED)

    with handle_signals(leave, (signal.SIGTERM,)), signals_sent_again():
        yield


@contextmanager
def signals_sent_again() -> Iterator[None]:
    """Send a signal once more that came to an end in a finaliser, while the block runs.

    Python drops what is raised in `__del__` and in callbacks of weak references, with words on
    stderr: the work would go on as if nobody had asked it to end.
    """
    former = sys.unraisablehook
    waiting: list[threading.Timer] = []
    thread = threading.main_thread().ident or 0

    def dropped(what: sys.UnraisableHookArgs) -> None:
        number = _signal_of(what.exc_value)
        if number is None:
            former(what)
            return
        # Not from here, where an exception is dropped as well.
        again = threading.Timer(_AGAIN_SECONDS, _send, (thread, number))
        again.daemon = True
        waiting.append(again)
        again.start()

    sys.unraisablehook = dropped
    try:
        yield
    finally:
        sys.unraisablehook = former
        for again in waiting:
            again.cancel()


def _send(thread: int, number: signal.Signals) -> None:
    """Also into what a thread waits for; Windows has nothing of the kind."""
    if hasattr(signal, "pthread_kill"):
        signal.pthread_kill(thread, number)
    else:
        signal.raise_signal(number)


def _signal_of(error: BaseException | None) -> signal.Signals | None:
    """The signal whose handler has raised it."""
    if isinstance(error, SystemExit) and error.code == TERMINATED:
        return signal.SIGTERM
    return signal.SIGINT if isinstance(error, KeyboardInterrupt) else None
