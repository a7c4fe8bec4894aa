"""Work for processes: jobs are words for what happens in them."""

from __future__ import annotations

import errno
import os
import signal
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from wsgn.workers.work import Opened, WorkerStop

_ERRORS = {
    "no more": EOFError("the file has ended"),
    "reset": ConnectionResetError(errno.ECONNRESET, "the store has hung up"),
    "full": OSError(errno.ENOSPC, "No space left on device"),
    "bug": KeyError("a"),
}


@dataclass(frozen=True, kw_only=True)
class MadeOpener:
    """Opens the work in a worker."""

    # Whether it asks for the parent's end, too, when it is asked for its own.
    asks_parent: bool = False

    @contextmanager
    def __call__(self, stop: WorkerStop) -> Iterator[Opened]:
        if self.asks_parent:
            stop.then = lambda: os.kill(os.getppid(), signal.SIGINT)
        yield Opened(work=_work, info="ready")


class CtrlCOpener(MadeOpener):
    """Presses Ctrl-C on its worker while that is being started."""

    def __setstate__(self, state: dict[str, object]) -> None:
        self.__dict__.update(state)
        os.kill(os.getpid(), signal.SIGINT)


def _work(job: str, tell: Callable[[int], None]) -> str:
    tell(os.getpid())
    if job == "hang":
        while True:
            time.sleep(3600)
    if job == "asked":
        os.kill(os.getpid(), signal.SIGTERM)
    if job in _ERRORS:
        raise _ERRORS[job]
    return job
