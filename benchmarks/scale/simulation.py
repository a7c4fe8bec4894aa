"""The scheduler of `--workers`, with workers that crash, hang and die, on a virtual clock.

The pool is the real one; only its transport and its clock are made up. Nothing sleeps, and the same
seed gives the same run.
"""

from __future__ import annotations

import heapq
import itertools
import time
from collections import Counter, deque
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from benchmarks.measuring import CommandError
from benchmarks.scale.schedule import least_seconds, outage_times
from wsgn.support.arrays import FloatArray
from wsgn.workers.pool import CRASHED, STALLED, Died, Done, Told, WorkerPool
from wsgn.workers.transport import Ended, NumberedJob, Ready, Report, Result, Said

# What becomes of a job on a machine that does not fail.
GOOD, CRASHES, HANGS = range(3)
# How a job has ended, beside the codes of the pool.
DONE = "done"
# Of sums of the virtual clock.
_ROUNDING_SECONDS = 1e-6
# At one moment, at which nothing happens.
_MOST_LOOKS = 1000
# A machine's own events come from no worker.
_MACHINE = -1


@dataclass(frozen=True, kw_only=True)
class Jobs:
    """What is handed out: how long each takes, and how it ends."""

    # Until its result, its crash, or its last word.
    seconds: FloatArray
    # GOOD, CRASHES or HANGS.
    fates: Sequence[int]
    # Between two words of a worker on its job.
    news_seconds: float = float("inf")


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """Machines of equal size."""

    machines: int
    workers_each: int
    # Until a worker is ready.
    start_seconds: float = 0.0
    failures_per_second: float = 0.0
    # Until another machine stands in the place of one that has failed.
    restart_seconds: float = 0.0


@dataclass(kw_only=True)
class _Worker:
    machine: int
    # Of its job, if it has one.
    number: int | None = None


@dataclass(kw_only=True)
class Ledger:
    """What really became of each job, for whoever checks the scheduler."""

    sent: Counter[int] = field(default_factory=Counter)
    # Jobs by the end that the machines gave them.
    good: set[int] = field(default_factory=set)
    crashed: set[int] = field(default_factory=set)
    with_machine: set[int] = field(default_factory=set)
    # When each that hangs said its last word.
    silent: dict[int, float] = field(default_factory=dict)
    started: int = 0
    most_alive: int = 0
    machine_failures: int = 0


class SimulatedTransport:
    """Workers that exist as events on a virtual clock alone."""

    def __init__(self, cluster: Cluster, jobs: Jobs, random: np.random.Generator) -> None:
        self._cluster = cluster
        self._jobs = jobs
        self._clock = 0.0
        self._events: list[tuple[float, int, int, Report | None, int]] = []
        self._order = itertools.count()
        self._workers: dict[int, _Worker] = {}
        # Started, but no machine has room for them.
        self._homeless: deque[int] = deque()
        self._room = [cluster.workers_each] * cluster.machines
        self._free = set(range(cluster.machines))
        self._down: set[int] = set()
        self._outages = [
            outage_times(random, cluster.failures_per_second) for _ in range(cluster.machines)
        ]
        self.ledger = Ledger()
        # Looks in a row at which the clock stood still.
        self._stood = 0
        # Of the processor, in here: the rest is the scheduler's.
        self.own_seconds = 0.0
        for machine in range(cluster.machines):
            self._await_outage(machine)

    def now(self) -> float:
        """The virtual clock."""
        return self._clock

    def start(self, worker: int) -> None:
        """See `Transport.start`."""
        began = time.process_time()
        self.ledger.started += 1
        self._homeless.append(worker)
        self._house()
        self.own_seconds += time.process_time() - began

    def send(self, worker: int, job: NumberedJob) -> bool:
        """See `Transport.send`."""
        began = time.process_time()
        number, one = job[0], self._workers[worker]
        assert one.number is None, "two jobs at once"
        one.number = number
        self.ledger.sent[number] += 1
        left = float(self._jobs.seconds[number])
        step = self._jobs.news_seconds
        for word in range(1, int(left // step) + 1 if step < left else 1):
            self._at(self._clock + word * step, worker, Said(news=word), number)
        end = self._clock + left
        fate = self._jobs.fates[number]
        if fate == GOOD:
            self._at(end, worker, Result(result=number), number)
        elif fate == CRASHES:
            self._at(end, worker, Ended(how="SIGSEGV"), number)
        else:
            self._at(end, worker, Said(news=0), number)
        self.own_seconds += time.process_time() - began
        return True

    def interrupt(self, worker: int) -> None:
        """See `Transport.interrupt`: nobody asks these to stop."""
        raise AssertionError("nothing was to be stopped")

    def dismiss(self, worker: int) -> None:
        """See `Transport.dismiss`."""
        self._leave(worker)

    def kill(self, worker: int) -> None:
        """See `Transport.kill`."""
        self._leave(worker)

    def close(self) -> None:
        """See `Transport.close`."""

    def wait(self, seconds: float) -> list[tuple[int, Report]]:
        """See `Transport.wait`: the clock goes to the next event, or as far as it may."""
        began = time.process_time()
        until = self._clock + seconds
        found: list[tuple[int, Report]] = []
        while self._events and not found and self._events[0][0] <= until:
            moment, _, worker, report, number = heapq.heappop(self._events)
            self._clock = max(self._clock, moment)
            found += self._happen(worker, report, number)
        if not found:
            self._stood = 0 if until > self._clock else self._stood + 1
            if self._stood > _MOST_LOOKS:
                raise CommandError("the scheduler looks again and again, and lets no time pass.")
            self._clock = until
        self.own_seconds += time.process_time() - began
        return found

    def _happen(self, worker: int, report: Report | None, number: int) -> list[tuple[int, Report]]:
        if worker == _MACHINE:
            return self._return(number) if report is None else self._fail(number)
        one = self._workers.get(worker)
        # It was killed, or died with its machine, before this came about.
        if one is None or (not isinstance(report, Ready) and one.number != number):
            return []
        assert report is not None
        if isinstance(report, Result):
            self.ledger.good.add(number)
            one.number = None
        elif isinstance(report, Ended):
            self.ledger.crashed.add(number)
            self._leave(worker)
        elif isinstance(report, Said) and self._jobs.fates[number] == HANGS:
            self.ledger.silent[number] = self._clock
        return [(worker, report)]

    def _fail(self, machine: int) -> list[tuple[int, Report]]:
        self.ledger.machine_failures += 1
        self._down.add(machine)
        self._free.discard(machine)
        lost = [worker for worker, one in self._workers.items() if one.machine == machine]
        for worker in lost:
            number = self._workers.pop(worker).number
            if number is not None:
                self.ledger.with_machine.add(number)
        self._at(self._clock + self._cluster.restart_seconds, _MACHINE, None, machine)
        ended = Ended(how="its machine is gone", with_machine=True)
        return [(worker, ended) for worker in lost]

    def _return(self, machine: int) -> list[tuple[int, Report]]:
        self._down.remove(machine)
        self._room[machine] = self._cluster.workers_each
        self._free.add(machine)
        self._await_outage(machine)
        self._house()
        return []

    def _await_outage(self, machine: int) -> None:
        """The next failure of a machine that runs."""
        for moment in self._outages[machine]:
            if moment >= self._clock:
                failure = Ended(how="its machine is gone", with_machine=True)
                self._at(moment, _MACHINE, failure, machine)
                return

    def _house(self) -> None:
        """Give those that wait a machine."""
        while self._homeless and self._free:
            machine = min(self._free)
            worker = self._homeless.popleft()
            self._room[machine] -= 1
            if not self._room[machine]:
                self._free.remove(machine)
            self._workers[worker] = _Worker(machine=machine)
            self.ledger.most_alive = max(self.ledger.most_alive, len(self._workers))
            self._at(self._clock + self._cluster.start_seconds, worker, Ready(info=None), -1)

    def _leave(self, worker: int) -> None:
        if worker not in self._workers:
            self._homeless.remove(worker)
            return
        machine = self._workers.pop(worker).machine
        self._room[machine] += 1
        self._free.add(machine)
        self._house()

    def _at(self, moment: float, worker: int, report: Report | None, number: int) -> None:
        heapq.heappush(self._events, (moment, next(self._order), worker, report, number))


@dataclass(frozen=True, kw_only=True)
class Simulated:
    """How a run went."""

    workers: int
    jobs: int
    done: int
    crashed: int
    stalled: int
    # Of the crashed, those whose machine went.
    with_machine: int
    machine_failures: int
    workers_started: int
    # On the virtual clock; and what no order of jobs can be below, without any failure.
    seconds: float
    least_seconds: float
    # How long after its limit the last stall was found, at most.
    stall_found_late_seconds: float
    # Of the processor, for the scheduler alone.
    scheduler_seconds: float
    messages: int

    @property
    def handed_out_per_second(self) -> float:
        """Jobs that the scheduler could hand out, if workers took no time."""
        return self.jobs / max(self.scheduler_seconds, 1e-9)

    @property
    def core_share(self) -> float:
        """Of a core, while the run lasts."""
        return self.scheduler_seconds / self.seconds


def simulate(
    jobs: Jobs, cluster: Cluster, *, stall_seconds: float, seed: int = 0
) -> tuple[Simulated, Ledger]:
    """Let the pool do the jobs; what it said, and what was so. Raises `CommandError` as `check`."""
    workers = cluster.machines * cluster.workers_each
    transport = SimulatedTransport(cluster, jobs, np.random.default_rng(seed))
    ends: dict[int, str] = {}
    late, messages = 0.0, 0
    began = time.process_time()
    with WorkerPool(transport, workers, stall_seconds=stall_seconds, clock=transport.now) as pool:
        pool.begin()
        for message in pool.run(_numbered(len(jobs.seconds))):
            messages += 1
            if isinstance(message, Told):
                continue
            if message.number in ends:
                raise CommandError(f"job {message.number} has ended twice.")
            ends[message.number] = _end_of(message)
            if ends[message.number] == STALLED:
                silent = transport.now() - transport.ledger.silent[message.number]
                if silent < stall_seconds - _ROUNDING_SECONDS:
                    raise CommandError(f"job {message.number} was silent for {silent:g} s alone.")
                late = max(late, silent - stall_seconds)
    scheduler_seconds = time.process_time() - began - transport.own_seconds
    ledger = transport.ledger
    check(ends, ledger, jobs, workers)
    counts = Counter(ends.values())
    result = Simulated(
        workers=workers,
        jobs=len(jobs.seconds),
        done=counts[DONE],
        crashed=counts[CRASHED],
        stalled=counts[STALLED],
        with_machine=len(ledger.with_machine),
        machine_failures=ledger.machine_failures,
        workers_started=ledger.started,
        seconds=transport.now(),
        least_seconds=least_seconds(jobs.seconds, workers),
        stall_found_late_seconds=late,
        scheduler_seconds=scheduler_seconds,
        messages=messages,
    )
    return result, ledger


def _numbered(count: int) -> Iterator[NumberedJob]:
    for number in range(count):
        yield number, number


def _end_of(message: Done | Died) -> str:
    if isinstance(message, Done):
        if message.result != message.number:
            raise CommandError(f"job {message.number} got the result of {message.result}.")
        return DONE
    return message.code


def check(ends: dict[int, str], ledger: Ledger, jobs: Jobs, workers: int) -> None:
    """Hold what the pool said against what was so. Raises `CommandError` where they differ.

    Each job was given to a worker once, and has one end: its own, or that of its machine.
    """
    count = len(jobs.seconds)
    if missing := count - len(ends):
        raise CommandError(f"{missing} of {count} jobs are lost.")
    if again := [number for number, times in ledger.sent.items() if times > 1]:
        raise CommandError(f"job {again[0]} was handed out {ledger.sent[again[0]]} times.")
    if ledger.most_alive > workers:
        raise CommandError(f"{ledger.most_alive} workers were alive, {workers} were to be.")
    for number, end in ends.items():
        if number in ledger.with_machine:
            wanted = CRASHED
        else:
            wanted = {GOOD: DONE, CRASHES: CRASHED, HANGS: STALLED}[jobs.fates[number]]
        if end != wanted:
            raise CommandError(f"job {number} is said to be {end}, and was {wanted}.")


def draw_jobs(
    random: np.random.Generator, seconds: FloatArray, *, crash: float, hang: float,
    news_seconds: float,
) -> Jobs:  # fmt: skip
    """Jobs of these lengths, some of which crash or fall silent somewhere within."""
    luck, place = random.uniform(size=(2, len(seconds)))
    fates = np.where(luck < crash, CRASHES, np.where(luck >= 1 - hang, HANGS, GOOD))
    taken = np.where(fates == GOOD, seconds, place * seconds)
    return Jobs(seconds=taken, fates=fates.tolist(), news_seconds=news_seconds)
