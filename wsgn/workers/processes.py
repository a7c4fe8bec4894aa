"""Workers in processes of this machine."""

from __future__ import annotations

import multiprocessing
import os
import signal
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import resource_tracker
from multiprocessing.connection import Connection, wait
from types import FrameType
from typing import Any

from wsgn.support.signals import HANG_UPS, hold_signals
from wsgn.workers.transport import Ended, HungUpError, NumberedJob, Report, sendable
from wsgn.workers.work import OpenWork, WorkerStop, serve

# For workers that were told to end, before they are killed.
_PATIENCE_SECONDS = 5.0
# Of a terminal, to all processes: they are the parent's, who tells workers by SIGTERM.
_OF_TERMINALS = (signal.SIGINT, *HANG_UPS)


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
        with _later_signals():
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
        gone = self._workers[worker]
        # In this order `close` knows it, whenever a signal comes.
        self._leaving.append(gone)
        del self._workers[worker]
        # It ends at the end of its pipe, and at the signal before it has begun or in its work.
        gone.connection.close()
        gone.process.terminate()

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
        try:
            for worker in list(self._workers):
                self.dismiss(worker)
            deadline = time.monotonic() + _PATIENCE_SECONDS
            for gone in self._leaving:
                gone.process.join(max(0.0, deadline - time.monotonic()))
        finally:
            # Also where somebody presses Ctrl-C once more: Python waits for all of them at its end.
            with hold_signals():
                for gone in (*self._workers.values(), *self._leaving):
                    gone.process.kill()
                    gone.process.join()
                self._workers.clear()
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


@contextmanager
def _later_signals() -> Iterator[None]:
    """Signals wait until a process has been started whole, and in it until it ignores them.

    One that is still loading Python would end with a traceback. SIGTERM ends it in silence.
    """
    # Windows has nothing of the kind.
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    # It comes with the first process, and lets signals through again.
    resource_tracker.ensure_running()
    with hold_signals():
        before = signal.pthread_sigmask(signal.SIG_BLOCK, _OF_TERMINALS)
        try:
            yield
        finally:
            signal.pthread_sigmask(signal.SIG_SETMASK, before)


def _serve(connection: Connection, open_work: OpenWork) -> None:
    """What a worker does, in its process."""
    stop = WorkerStop()
    _take_signals(stop)
    threading.Thread(target=_end_with_parent, daemon=True).start()

    def receive() -> NumberedJob:
        with _hanging_up():
            job: NumberedJob = connection.recv()
        return job

    def report(report: Report) -> None:
        with _hanging_up():
            connection.send(report)

    # Nobody is there to tell it.
    with suppress(HungUpError):
        serve(open_work, stop, receive=receive, report=report)


def _take_signals(stop: WorkerStop) -> None:
    def handle(number: int, frame: FrameType | None) -> None:
        stop.request()

    signal.signal(signal.SIGTERM, handle)
    for number in _OF_TERMINALS:
        signal.signal(number, signal.SIG_IGN)
    if hasattr(signal, "pthread_sigmask"):
        signal.pthread_sigmask(signal.SIG_UNBLOCK, _OF_TERMINALS)


def _end_with_parent() -> None:
    """End soon after the parent, also in the middle of what never ends: nobody else would do it."""
    parent = multiprocessing.parent_process()
    assert parent is not None
    parent.join()
    time.sleep(_PATIENCE_SECONDS)
    os._exit(1)


@contextmanager
def _hanging_up() -> Iterator[None]:
    """What a pipe raises whose other end is closed becomes a `HungUpError`."""
    try:
        yield
    except (EOFError, BrokenPipeError, ConnectionResetError) as error:
        raise HungUpError from error
