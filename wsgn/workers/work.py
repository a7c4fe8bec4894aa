"""What a worker does, wherever it is."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from wsgn.errors import WsgnError
from wsgn.support.command import ending_of
from wsgn.workers.transport import (
    Fatal,
    HungUpError,
    NumberedJob,
    Ready,
    Report,
    Result,
    Said,
)

# A job and whom to tell of it while it runs; its result.
Work = Callable[[Any, Callable[[Any], None]], Any]


class WorkerStop:
    """In a worker: whether it was asked to end."""

    def __init__(self) -> None:
        self.requested = False
        # Is called when it is asked, perhaps in a signal's handler.
        self.then: Callable[[], None] = lambda: None

    def request(self) -> None:
        """Ask it."""
        self.requested = True
        self.then()


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a worker has when it is ready."""

    work: Work
    # For `WorkerPool.begin`.
    info: Any


OpenWork = Callable[[WorkerStop], AbstractContextManager[Opened]]


def serve(
    open_work: OpenWork,
    stop: WorkerStop,
    *,
    receive: Callable[[], NumberedJob],
    report: Callable[[Report], None],
) -> None:
    """Open the work, then do what is received until the worker is asked to stop.

    `receive` and `report` raise `HungUpError` where nobody is there any more, which is raised. Any
    other error is reported, and ends the run.
    """
    try:
        with open_work(stop) as opened:
            report(Ready(info=opened.info))
            is_last = False
            while not is_last:
                _, job = receive()
                result = opened.work(job, lambda news: report(Said(news=news)))
                # One look: whoever gives out jobs has to know whether one more would be taken.
                is_last = stop.requested
                report(Result(result=result, is_last=is_last))
    except HungUpError:
        raise
    except Exception as error:
        report(_fatal(error))


def _fatal(error: Exception) -> Fatal:
    """An error as a command in one process ends with it."""
    ending = ending_of(error)
    words = f"{type(error).__name__} in a worker: {error}"
    is_foreseen = ending.code != WsgnError.exit_code or isinstance(error, WsgnError)
    return Fatal(
        exit_code=ending.code,
        sentence=(ending.sentence if is_foreseen else "") or words,
        trace=traceback.format_exc(),
    )
