"""What a worker does, wherever it is."""

from __future__ import annotations

import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any

from wsgn.errors import WsgnError
from wsgn.workers.transport import Fatal, NumberedJob, Ready, Report, Result, Said

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

    What `receive` and `report` raise where nobody is there any more is raised; any other error is
    reported, and ends the run.
    """
    try:
        with open_work(stop) as opened:
            report(Ready(info=opened.info))
            while not stop.requested:
                _, job = receive()
                result = opened.work(job, lambda news: report(Said(news=news)))
                report(Result(result=result))
    except (EOFError, BrokenPipeError, ConnectionResetError):
        raise
    except Exception as error:
        is_known = isinstance(error, WsgnError)
        code = error.exit_code if isinstance(error, WsgnError) else WsgnError.exit_code
        sentence = str(error) if is_known else f"{type(error).__name__} in a worker: {error}"
        report(Fatal(exit_code=code, sentence=sentence, trace=traceback.format_exc()))
