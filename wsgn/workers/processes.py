"""Workers in processes of this machine."""

from __future__ import annotations

import multiprocessing
import signal
from contextlib import suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from wsgn.support.signals import HANG_UPS
from wsgn.workers.transport import Ended, NumberedJob, Report, sendable
from wsgn.workers.work import OpenWork, WorkerStop, serve

# For a worker that was told to end, before it is killed.
_PATIENCE_SECONDS = 5.0


@dataclass(kw_only=True)
class _Process:
    process: Any
    connection: Connection


class ProcessTransport:
    """Pipes to processes that are spawned, each with what `open_work` opens in it.

    `open_work` must be picklable, and so must jobs, news and results. A worker that hears nothing
    more from this process ends by itself.
    """

    def __init__(self, open_work: OpenWork) -> None:
        self._open_work = open_work
        self._context = multiprocessing.get_context("spawn")
        self._workers: dict[int, _Process] = {}
        # Dismissed, and perhaps not gone yet.
        self._leaving: list[_Process] = []

    def start(self, worker: int) -> None:
        """See `Transport.start`."""
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._open_work), daemon=True)
        process.start()
        # So that its death is the end of the pipe.
        theirs.close()
        self._workers[worker] = _Process(process=process, connection=ours)

    def send(self, worker: int, job: NumberedJob) -> bool:
        """See `Transport.send`. Raises `UsageError` where the job cannot be sent anywhere."""
        try:
            with sendable("--workers"):
                self._workers[worker].connection.send(job)
        except OSError:
            self.dismiss(worker)
            return False
        return True

    def interrupt(self, worker: int) -> None:
        """See `Transport.interrupt`."""
        self._workers[worker].process.terminate()

    def dismiss(self, worker: int) -> None:
        """See `Transport.dismiss`."""
        gone = self._workers.pop(worker)
        # It ends at the end of its pipe, and one that is still opening at the signal.
        gone.connection.close()
        gone.process.terminate()
        self._leaving.append(gone)

    def kill(self, worker: int) -> None:
        """See `Transport.kill`."""
        gone = self._workers.pop(worker)
        gone.process.kill()
        _end(gone)

    def wait(self, seconds: float) -> list[tuple[int, Report]]:
        """See `Transport.wait`."""
        workers = {one.connection: number for number, one in self._workers.items()}
        found = wait(list(workers), seconds)
        return [(number, self._report(number)) for one, number in workers.items() if one in found]

    def close(self) -> None:
        """See `Transport.close`."""
        for worker in list(self._workers):
            self.dismiss(worker)
        for gone in self._leaving:
            _end(gone)
        self._leaving.clear()

    def _report(self, worker: int) -> Report:
        """The next report of a worker that has one, or has died."""
        try:
            report: Report = self._workers[worker].connection.recv()
        # In the middle of a message it is an OSError.
        except (EOFError, OSError):
            gone = self._workers.pop(worker)
            _end(gone)
            return Ended(how=_how(gone))
        return report


def _end(worker: _Process) -> None:
    worker.connection.close()
    worker.process.join(_PATIENCE_SECONDS)
    if worker.process.exitcode is None:
        worker.process.kill()
        worker.process.join()


def _how(worker: _Process) -> str:
    """How the process of a worker has ended."""
    code = worker.process.exitcode or 0
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        is_kill = name == "SIGKILL"
        return f"{name}, as systems do where memory runs out" if is_kill else name
    return f"signal {-code}"


def _serve(connection: Connection, open_work: OpenWork) -> None:
    """What a worker does, in its process."""
    stop = WorkerStop()

    def handle(number: int, frame: FrameType | None) -> None:
        stop.request()

    # Ctrl-C and a lost terminal are the parent's, who tells of them by SIGTERM.
    for number in (signal.SIGINT, *HANG_UPS):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, handle)
    # Nobody is there to tell it.
    with suppress(EOFError, BrokenPipeError, ConnectionResetError):
        serve(open_work, stop, receive=connection.recv, report=connection.send)
