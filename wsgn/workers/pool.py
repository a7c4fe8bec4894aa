"""Who does which job; a job that kills its worker costs that job alone.

Not `ProcessPoolExecutor`, which gives up all jobs when one of its processes dies.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any, Self

from wsgn.errors import EngineError, WsgnError
from wsgn.workers.transport import Ended, Fatal, NumberedJob, Ready, Report, Result, Said, Transport

# How soon a signal is noticed while all workers are silent.
_POLL_SECONDS = 0.2
# Who was stopped for longer than this heard nothing, and cannot judge who was silent.
_LONG_PAUSE_SECONDS = 5.0

CRASHED, STALLED = "crashed", "stalled"


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
    """A job has killed its worker (CRASHED), or was silent for too long (STALLED)."""

    number: int
    code: str
    message: str


@dataclass(kw_only=True)
class _Busy:
    """A worker's job."""

    number: int
    # On the pool's clock: a worker that is silent until then is given up.
    deadline: float


class WorkerPool:
    """Workers behind a transport, each with one job at a time.

    It never waits but in the transport, and knows no time but that of its clock. What comes of one
    worker costs no look at the others.
    """

    def __init__(
        self,
        transport: Transport,
        num_workers: int,
        *,
        stall_seconds: float,
        stopping: Callable[[], bool] = lambda: False,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Nothing starts yet.

        Args:
            transport: of this pool alone, which closes it.
            num_workers: as many are kept alive while there are jobs for them.
            stall_seconds: a job of which nothing came for so long is given up.
            stopping: whether the run is to come to its end.
            clock: seconds that only grow, by which the transport waits.
        """
        self._transport = transport
        self._num_workers = num_workers
        self._stall_seconds = stall_seconds
        self._stopping = stopping
        self._clock = clock
        self._num_started = 0
        # Each worker is in one of these. Those with a job in the order in which they were heard.
        self._opening: dict[int, None] = {}
        self._idle: dict[int, None] = {}
        self._busy: dict[int, _Busy] = {}
        self._looked_seconds = clock()
        # Long pauses, in which nobody listened; and the time without them at the last look.
        self._paused_seconds = 0.0
        self._now = self._looked_seconds
        self._was_told_to_stop = False
        # A job that was asked for and has no worker yet, and whether there are no more.
        self._waiting: NumberedJob | None = None
        self._is_all_given = False

    def __enter__(self) -> Self:
        """Nothing yet: `begin` starts the workers."""
        return self

    def __exit__(self, *error: object) -> None:
        """End all workers."""
        self._transport.close()

    def begin(self) -> Any:
        """Start the workers; the `info` of the first one that is ready, None where it stops.

        Raises the `WsgnError` that opening raised.
        """
        self._fill()
        while not self._stopping():
            infos = []
            for worker, report in self._reports():
                if isinstance(report, Ready):
                    infos.append(report.info)
                for _ in self._hear(worker, report):
                    raise AssertionError("a worker without a job spoke of one")
            if infos:
                return infos[0]
            self._fill()
        return None

    def run(self, jobs: Iterator[NumberedJob]) -> Iterator[Told | Done | Died]:
        """Do jobs, each with its number, on whichever worker is free.

        Asks for a job when a worker is free for it, or is to be started for it. Raises what ends
        the whole run: a `WsgnError` of a worker, which no job's work caught, or that of opening a
        worker anew.
        """
        while True:
            self._look(0.0)
            if self._stopping() and not self._was_told_to_stop:
                self._tell_to_stop()
            self._hand_out(jobs)
            if self._is_all_given:
                self._dismiss_idle()
            else:
                self._fill()
            if not self._num_workers_now:
                return
            for worker, report in self._reports():
                yield from self._hear(worker, report)
            yield from self._stalled()

    def _hand_out(self, jobs: Iterator[NumberedJob]) -> None:
        """Give jobs to all that are idle, and see whether there is one for whoever is missing."""
        while not self._is_all_given:
            if self._waiting is None and (self._idle or self._num_workers_now < self._num_workers):
                self._waiting = next(jobs, None)
                self._is_all_given = self._waiting is None
            if self._waiting is None or not self._idle:
                return
            worker = self._idle.popitem()[0]
            if self._transport.send(worker, self._waiting):
                deadline = self._now + self._stall_seconds
                self._busy[worker] = _Busy(number=self._waiting[0], deadline=deadline)
                self._waiting = None

    @property
    def _num_workers_now(self) -> int:
        return len(self._opening) + len(self._idle) + len(self._busy)

    def _fill(self) -> None:
        while self._num_workers_now < self._num_workers:
            self._opening[self._num_started] = None
            self._transport.start(self._num_started)
            self._num_started += 1

    def _dismiss_idle(self) -> None:
        """Also those that are still opening: there is nothing left for them."""
        for workers in (self._opening, self._idle):
            for worker in workers:
                self._transport.dismiss(worker)
            workers.clear()

    def _tell_to_stop(self) -> None:
        """Let workers come to an end with what they have."""
        self._was_told_to_stop = self._is_all_given = True
        self._waiting = None
        for worker in self._busy:
            self._transport.interrupt(worker)

    def _look(self, waited_seconds: float) -> None:
        """Look at the clock, after a wait of so long at most."""
        now = self._clock()
        pause = now - self._looked_seconds - waited_seconds
        self._looked_seconds = now
        if pause > _LONG_PAUSE_SECONDS:
            self._paused_seconds += pause
        self._now = now - self._paused_seconds

    def _reports(self) -> list[tuple[int, Report]]:
        """What workers have said, after a short wait for one; whoever spoke was not silent."""
        seconds = _POLL_SECONDS
        if self._busy:
            first = next(iter(self._busy.values())).deadline
            seconds = min(seconds, max(0.0, first - self._now))
        reports = list(self._transport.wait(seconds))
        self._look(seconds)
        for worker, _ in reports:
            if (busy := self._busy.pop(worker, None)) is not None:
                busy.deadline = self._now + self._stall_seconds
                self._busy[worker] = busy
        return reports

    def _hear(self, worker: int, report: Report) -> Iterator[Told | Done | Died]:
        busy = self._busy.get(worker)
        match report:
            case Ready():
                del self._opening[worker]
                self._idle[worker] = None
            case Said():
                assert busy is not None
                yield Told(number=busy.number, news=report.news)
            case Result():
                assert busy is not None
                del self._busy[worker]
                if report.is_last:
                    self._transport.dismiss(worker)
                else:
                    self._idle[worker] = None
                yield Done(number=busy.number, result=report.result)
            case Fatal():
                raise _again(report)
            case Ended():
                yield from self._bury(worker, report)

    def _bury(self, worker: int, ended: Ended) -> Iterator[Died]:
        is_opening = worker in self._opening
        for workers in (self._opening, self._idle):
            workers.pop(worker, None)
        busy = self._busy.pop(worker, None)
        if self._was_told_to_stop:
            return
        if is_opening and not ended.with_machine:
            raise EngineError(
                f"a worker has ended before it was ready ({ended.how}): try fewer workers, or none."
            )
        if busy is not None:
            words = f"the process that worked on it has ended ({ended.how}): it is left out"
            yield Died(number=busy.number, code=CRASHED, message=f"{words}.")

    def _stalled(self) -> Iterator[Died]:
        """Give up who was silent for too long until the last look.

        Since then time was taken by whoever took the reports, and nobody listened.
        """
        while self._busy:
            worker, busy = next(iter(self._busy.items()))
            if busy.deadline > self._now:
                return
            del self._busy[worker]
            self._transport.kill(worker)
            yield Died(
                number=busy.number,
                code=STALLED,
                message=f"nothing came of it for {self._stall_seconds:g} s: it is left out.",
            )


def _again(fatal: Fatal) -> Exception:
    """What a worker raised."""
    if fatal.exit_code == WsgnError.exit_code:
        unforeseen = RuntimeError(fatal.sentence)
        unforeseen.add_note(fatal.trace)
        return unforeseen
    error = WsgnError(fatal.sentence)
    error.exit_code = fatal.exit_code
    return error
