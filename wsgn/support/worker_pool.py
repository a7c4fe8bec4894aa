"""Processes that do one job after the other; a job that kills its process costs that job alone.

Not `ProcessPoolExecutor`, which gives up all jobs when one of its processes dies.
"""

from __future__ import annotations

import multiprocessing
import signal
import time
import traceback
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from multiprocessing.connection import Connection, wait
from pickle import PicklingError
from types import FrameType
from typing import Any, Self

from wsgn.errors import EngineError, UsageError, WsgnError
from wsgn.support.signals import HANG_UPS

# How soon a signal is noticed while all workers are silent.
_POLL_SECONDS = 0.2
# Who was stopped for longer than this heard nothing, and cannot judge who was silent.
_LONG_PAUSE_SECONDS = 5.0
# For a worker that was told to end, before it is killed.
_PATIENCE_SECONDS = 5.0

CRASHED, STALLED = "crashed", "stalled"


class WorkerStop:
    """In a worker: whether it was asked to end, by SIGTERM."""

    def __init__(self) -> None:
        self.requested = False
        # Is called in the signal's handler.
        self.then: Callable[[], None] = lambda: None

    def handle(self, number: int, frame: FrameType | None) -> None:
        """Take the signal."""
        self.requested = True
        self.then()


# A job and whom to tell of it while it runs; its result.
Work = Callable[[Any, Callable[[Any], None]], Any]


@dataclass(frozen=True, kw_only=True)
class Opened:
    """What a worker has when it is ready."""

    work: Work
    # For `WorkerPool.begin`.
    info: Any


OpenWork = Callable[[WorkerStop], AbstractContextManager[Opened]]


@dataclass(frozen=True, kw_only=True)
class Told:
    """What the work on a job told on its way."""

    number: int
    news: Any


@dataclass(frozen=True, kw_only=True)
class Done:
    """A job has ended, and its result."""

    number: int
    result: Any


@dataclass(frozen=True, kw_only=True)
class Died:
    """A job has killed its process (CRASHED), or was silent for too long (STALLED)."""

    number: int
    code: str
    message: str


@dataclass(kw_only=True)
class _Worker:
    process: Any
    connection: Connection
    is_ready: bool = False
    # Of its job, if it has one.
    number: int | None = None
    # On the monotonic clock.
    heard_seconds: float = 0.0


class WorkerPool:
    """Workers in processes that are spawned, each with what `open_work` opens in it.

    `open_work` must be picklable, and so must jobs, news and results. A worker that hears nothing
    more from this process ends by itself.
    """

    def __init__(
        self,
        open_work: OpenWork,
        num_workers: int,
        *,
        stall_seconds: float,
        stopping: Callable[[], bool] = lambda: False,
    ) -> None:
        self._open_work = open_work
        self._num_workers = num_workers
        self._stall_seconds = stall_seconds
        self._stopping = stopping
        self._context = multiprocessing.get_context("spawn")
        self._workers: list[_Worker] = []
        self._looked_seconds = time.monotonic()
        self._was_told_to_stop = False

    def __enter__(self) -> Self:
        """Nothing yet: `begin` starts the workers."""
        return self

    def __exit__(self, *error: object) -> None:
        """End all workers."""
        for worker in self._workers:
            worker.connection.close()
            worker.process.terminate()
        for worker in self._workers:
            _end(worker)

    def begin(self) -> Any:
        """Start the workers; the `info` of the first one that is ready, None where it stops.

        Raises the `WsgnError` that opening raised.
        """
        for _ in range(self._num_workers):
            self._start()
        while not self._stopping():
            for worker in self._ready():
                message = self._received(worker)
                if message is None:
                    raise self._no_beginning(worker)
                return message[1]
        return None

    def run(self, jobs: Iterator[tuple[int, Any]]) -> Iterator[Told | Done | Died]:
        """Do jobs, each with its number, on whichever worker is free.

        Asks for a job when a worker is free for it. Raises what ends the whole run: a `WsgnError`
        of a worker, which no job's work caught, or that of opening a worker anew.
        """
        waiting = next(jobs, None)
        while True:
            if self._stopping() and not self._was_told_to_stop:
                self._tell_to_stop()
            if self._was_told_to_stop:
                waiting = None
            for worker in [one for one in self._workers if one.number is None]:
                if waiting is None:
                    self._dismiss(worker)
                elif worker.is_ready and self._hand(worker, waiting):
                    waiting = next(jobs, None)
            while waiting is not None and len(self._workers) < self._num_workers:
                self._start()
            if not self._workers:
                return
            for worker in self._ready():
                yield from self._hear(worker)
            yield from self._stalled()

    def _start(self) -> None:
        ours, theirs = self._context.Pipe()
        process = self._context.Process(target=_serve, args=(theirs, self._open_work), daemon=True)
        process.start()
        # So that its death is the end of the pipe.
        theirs.close()
        self._workers.append(
            _Worker(process=process, connection=ours, heard_seconds=time.monotonic())
        )

    def _hand(self, worker: _Worker, job: tuple[int, Any]) -> bool:
        """Whether the worker has taken the job: one that died while it was idle is removed."""
        try:
            worker.connection.send(job)
        # What Python says of what it cannot pickle, such as an open file.
        except (TypeError, AttributeError, PicklingError) as error:
            raise UsageError(
                f"a source cannot be sent to a worker ({error}): leave --workers out."
            ) from error
        except OSError:
            self._dismiss(worker)
            return False
        worker.number = job[0]
        worker.heard_seconds = time.monotonic()
        return True

    def _dismiss(self, worker: _Worker) -> None:
        self._workers.remove(worker)
        # It ends at the end of its pipe, and one that is still opening at the signal.
        worker.connection.close()
        worker.process.terminate()
        _end(worker)

    def _tell_to_stop(self) -> None:
        """Let workers come to an end with what they have."""
        self._was_told_to_stop = True
        for worker in self._workers:
            worker.process.terminate()

    def _ready(self) -> list[_Worker]:
        """Workers that have said something, or have died, after a short wait for one."""
        found = wait([worker.connection for worker in self._workers], _POLL_SECONDS)
        now = time.monotonic()
        pause = now - self._looked_seconds
        self._looked_seconds = now
        if pause > _LONG_PAUSE_SECONDS:
            for worker in self._workers:
                worker.heard_seconds += pause
        return [worker for worker in self._workers if worker.connection in found]

    def _received(self, worker: _Worker) -> tuple[str, Any] | None:
        """Its next message; None where it has died. Raises what ends the run."""
        try:
            kind, content = worker.connection.recv()
        # In the middle of a message it is an OSError.
        except (EOFError, OSError):
            return None
        worker.heard_seconds = time.monotonic()
        worker.is_ready = True
        if kind == "fatal":
            raise _again(*content)
        return kind, content

    def _hear(self, worker: _Worker) -> Iterator[Told | Done | Died]:
        message = self._received(worker)
        number = worker.number
        if message is not None:
            kind, content = message
            if number is not None and kind == "told":
                yield Told(number=number, news=content)
            elif number is not None and kind == "done":
                worker.number = None
                yield Done(number=number, result=content)
            return
        if not worker.is_ready and not self._was_told_to_stop:
            raise self._no_beginning(worker)
        self._workers.remove(worker)
        _end(worker)
        if number is not None and not self._was_told_to_stop:
            words = f"the process that worked on it has ended ({_how(worker)}): it is left out"
            yield Died(number=number, code=CRASHED, message=f"{words}.")

    def _stalled(self) -> Iterator[Died]:
        now = time.monotonic()
        for worker in list(self._workers):
            number = worker.number
            if number is None or now - worker.heard_seconds <= self._stall_seconds:
                continue
            # What came since it was last listened to counts.
            if worker.connection.poll():
                continue
            self._workers.remove(worker)
            worker.process.kill()
            _end(worker)
            yield Died(
                number=number,
                code=STALLED,
                message=f"nothing came of it for {self._stall_seconds:g} s: it is left out.",
            )

    def _no_beginning(self, worker: _Worker) -> WsgnError:
        _end(worker)
        return EngineError(
            f"a worker has ended before it was ready ({_how(worker)}): try fewer workers, or none."
        )


def _end(worker: _Worker) -> None:
    worker.connection.close()
    worker.process.join(_PATIENCE_SECONDS)
    if worker.process.exitcode is None:
        worker.process.kill()
        worker.process.join()


def _how(worker: _Worker) -> str:
    """How the process of a worker has ended."""
    code = worker.process.exitcode or 0
    if code >= 0:
        return f"exit code {code}"
    with suppress(ValueError):
        name = signal.Signals(-code).name
        is_kill = name == "SIGKILL"
        return f"{name}, as systems do where memory runs out" if is_kill else name
    return f"signal {-code}"


def _again(exit_code: int, sentence: str, trace: str) -> Exception:
    """What a worker raised; errors themselves do not travel."""
    if exit_code == WsgnError.exit_code:
        unforeseen = RuntimeError(sentence)
        unforeseen.add_note(trace)
        return unforeseen
    error = WsgnError(sentence)
    error.exit_code = exit_code
    return error


def _serve(connection: Connection, open_work: OpenWork) -> None:
    """What a worker does, in its process."""
    stop = WorkerStop()
    # Ctrl-C and a lost terminal are the parent's, who tells of them by SIGTERM.
    for number in (signal.SIGINT, *HANG_UPS):
        signal.signal(number, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, stop.handle)

    def tell(news: Any) -> None:
        connection.send(("told", news))

    try:
        with open_work(stop) as opened:
            connection.send(("ready", opened.info))
            while not stop.requested:
                _, job = connection.recv()
                connection.send(("done", opened.work(job, tell)))
    # Nobody is there to tell it.
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return
    except Exception as error:
        is_known = isinstance(error, WsgnError)
        code = error.exit_code if isinstance(error, WsgnError) else WsgnError.exit_code
        sentence = str(error) if is_known else f"{type(error).__name__} in a worker: {error}"
        with suppress(OSError):
            connection.send(("fatal", (code, sentence, traceback.format_exc())))
