"""A transport whose workers are a plan, and whose seconds pass only where somebody waits."""

from __future__ import annotations

import heapq
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any

from wsgn.workers.transport import Ended, NumberedJob, Ready, Report, Result, Said

# What a job does on its worker: reports, each so many seconds after the one before.
Course = tuple[tuple[float, Report], ...]


def done(seconds: float = 1.0) -> Course:
    """It works, and says that it is done."""
    return ((seconds, Result(result="done")),)


def crash(seconds: float = 1.0, **words: Any) -> Course:
    """It ends its worker."""
    return ((seconds, Ended(how="SIGSEGV", **words)),)


HANG: Course = ()


def talk(*seconds: float) -> Course:
    """It tells something after so many seconds each, the last of which is its result."""
    said = tuple((one, Said(news=number)) for number, one in enumerate(seconds[:-1]))
    return (*said, (seconds[-1], Result(result="done")))


@dataclass(kw_only=True)
class MadeTransport:
    """Workers that open by `openings`, in the order of their start, and then do what jobs are."""

    openings: Callable[[int], Course] = lambda worker: ((0.5, Ready(info=f"info {worker}")),)
    now: float = 0.0
    # Seconds at which something is reported.
    coming: list[tuple[float, int, int, Report]] = field(default_factory=list)
    alive: set[int] = field(default_factory=set)
    # What the pool did, in its order.
    sent: list[tuple[int, int]] = field(default_factory=list)
    killed: list[int] = field(default_factory=list)
    interrupted: list[int] = field(default_factory=list)
    deaf: set[int] = field(default_factory=set)
    closed: bool = False
    num_planned: int = 0

    def clock(self) -> float:
        return self.now

    def start(self, worker: int) -> None:
        assert worker not in self.alive
        self.alive.add(worker)
        self._plan(worker, self.openings(worker))

    def send(self, worker: int, job: NumberedJob) -> bool:
        assert worker in self.alive
        if worker in self.deaf:
            self.alive.remove(worker)
            return False
        self.sent.append((worker, job[0]))
        self._plan(worker, job[1])
        return True

    def interrupt(self, worker: int) -> None:
        self.interrupted.append(worker)
        self._plan(worker, done(0.1))

    def dismiss(self, worker: int) -> None:
        self.alive.remove(worker)

    def kill(self, worker: int) -> None:
        self.alive.remove(worker)
        self.killed.append(worker)

    def wait(self, seconds: float) -> list[tuple[int, Report]]:
        until = self.now + seconds
        found: list[tuple[int, Report]] = []
        while self.coming and self.coming[0][0] <= until and not found:
            self.now = max(self.now, self.coming[0][0])
            while self.coming and self.coming[0][0] <= self.now:
                _, _, worker, report = heapq.heappop(self.coming)
                if worker in self.alive:
                    found.append((worker, report))
                if isinstance(report, Ended):
                    self.alive.discard(worker)
        if not found:
            self.now = until
        return found

    def close(self) -> None:
        self.closed = True
        self.alive.clear()

    def _plan(self, worker: int, course: Course) -> None:
        at = self.now
        for seconds, report in course:
            at += seconds
            heapq.heappush(
                self.coming, (at, len(self.coming) + 1000 * len(self.sent), worker, report)
            )


def numbered(courses: list[Course]) -> Iterator[NumberedJob]:
    """Jobs from 0 on."""
    yield from enumerate(courses)
