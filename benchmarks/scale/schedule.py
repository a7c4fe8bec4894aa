"""How long workers take over jobs of known length: from one queue, or each with a share of its own.

Plain arithmetic on the virtual time of a run; the scheduler itself is in `simulation.py`.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.errors import UsageError
from wsgn.support.arrays import FloatArray
from wsgn.support.shards import Shard

# Of one group of workers.
_MOST_OUTAGES = 100_000


@dataclass(frozen=True, kw_only=True)
class Finish:
    """When a group of workers had done its jobs."""

    seconds: float
    # Work that had to be done once more, of all its workers.
    lost_seconds: float
    num_outages: int


def finish_of_queue(
    lengths: FloatArray,
    workers: int,
    *,
    outages: Iterable[float] = (),
    restart_seconds: float = 0.0,
    look_seconds: float = 0.0,
) -> Finish:
    """Workers that take the next job of one queue whenever they are free.

    At each outage (in seconds, ascending) all of them lose what they were at. They begin again
    `restart_seconds` later, and `look_seconds` later still for each job that was done before.
    """
    waiting = iter(lengths.tolist())
    again: list[float] = []
    clock, lost, num_outages, num_done = 0.0, 0.0, 0, 0
    coming = iter(outages)
    outage = next(coming, float("inf"))
    running: list[tuple[float, float]] = []
    _fill(running, workers, clock, again, waiting)
    while running:
        end = running[0][0]
        if outage < end:
            lost += sum(outage - (ends - long) for ends, long in running)
            again += [long for _, long in running]
            running.clear()
            # What fails while it starts, starts anew.
            while outage < float("inf"):
                num_outages += 1
                if num_outages > _MOST_OUTAGES:
                    raise UsageError(
                        "machines fail so often that their work does not come to an end: it needs "
                        "shorter videos or machines that live longer."
                    )
                clock = outage + restart_seconds + look_seconds * num_done
                outage = next(coming, float("inf"))
                if outage >= clock:
                    break
            _fill(running, workers, clock, again, waiting)
            continue
        clock = end
        num_done += 1
        following = again.pop() if again else next(waiting, None)
        if following is None:
            heapq.heappop(running)
        else:
            heapq.heapreplace(running, (clock + following, following))
    return Finish(seconds=clock, lost_seconds=lost, num_outages=num_outages)


def _fill(
    running: list[tuple[float, float]], workers: int, clock: float, again: list[float],
    waiting: Iterator[float],
) -> None:  # fmt: skip
    """Give each worker a job; `running` holds when each ends, and its length."""
    while len(running) < workers:
        length = again.pop() if again else next(waiting, None)
        if length is None:
            return
        heapq.heappush(running, (clock + length, length))


def shares(lengths: FloatArray, groups: int) -> list[FloatArray]:
    """The jobs of each shard, as `--shard` deals them out; those without any are left out."""
    found = []
    for number in range(1, min(groups, len(lengths)) + 1):
        positions = Shard(number=number, count=groups).positions(len(lengths))
        found.append(lengths[positions.start : positions.stop : positions.step])
    return found


def outage_times(random: np.random.Generator, per_second: float) -> Iterator[float]:
    """A machine's failures, without an end; none at all where the rate is 0."""
    clock = 0.0
    while per_second > 0:
        clock += random.exponential(1 / per_second)
        yield clock


def outages_of_groups(
    random: np.random.Generator, num_groups: int, groups_each: int, per_second: float
) -> Iterator[Iterator[float]]:
    """The failures that each group sees: those that share a machine fail together."""
    seeds = random.integers(1 << 62, size=-(-num_groups // groups_each))
    for group in range(num_groups):
        yield outage_times(np.random.default_rng(seeds[group // groups_each]), per_second)


def least_seconds(lengths: Sequence[float] | FloatArray, workers: int) -> float:
    """What no order of jobs can be below."""
    return float(max(np.sum(lengths) / workers, np.max(lengths)))
