"""What a simulation shows: the scheduler among failures, and one queue beside shards of a list."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from benchmarks.measuring import digits
from benchmarks.scale.model import Faults, Lengths
from benchmarks.scale.schedule import finish_of_queue, least_seconds, outages_of_groups, shares
from benchmarks.scale.simulation import Cluster, Simulated, draw_jobs, simulate
from benchmarks.tables import table
from wsgn.support.arrays import FloatArray

# Fewer workers, beside which growth is seen.
_TENTH = 10


@dataclass(frozen=True, kw_only=True)
class Scene:
    """Workers, jobs, and what may go wrong."""

    workers: int
    jobs: int
    lengths: Lengths
    faults: Faults
    news_seconds: float
    # Workers on a machine.
    cores: int
    failures_per_hour: float
    restart_seconds: float
    start_seconds: float
    seed: int = 0


@dataclass(frozen=True, kw_only=True)
class Division:
    """The same jobs without faults of their own, divided among the same workers."""

    name: str
    seconds: float
    # Beside what no order of jobs can be below.
    over_least: float
    # When half of the groups had done theirs.
    half_done_seconds: float
    lost_seconds: float
    outages: int


@dataclass(frozen=True, kw_only=True)
class Played:
    """All of it."""

    # With a tenth of the workers, and with all.
    runs: list[Simulated]
    divisions: list[Division]


def play(scene: Scene) -> Played:
    """Run the scheduler twice, and divide the jobs in each way. Raises `CommandError`."""
    random = np.random.default_rng(scene.seed)
    seconds = scene.lengths.draw(random, scene.jobs)
    jobs = draw_jobs(
        random, seconds, crash=scene.faults.crash, hang=scene.faults.hang,
        news_seconds=scene.news_seconds,
    )  # fmt: skip
    runs = []
    for workers in sorted({max(1, scene.workers // _TENTH), scene.workers}):
        result, _ = simulate(
            jobs, _cluster(scene, workers), stall_seconds=scene.faults.stall_seconds,
            seed=scene.seed,
        )  # fmt: skip
        runs.append(result)
    return Played(runs=runs, divisions=list(_divisions(scene, seconds)))


def _cluster(scene: Scene, workers: int) -> Cluster:
    each = min(scene.cores, workers)
    return Cluster(
        machines=max(1, round(workers / each)),
        workers_each=each,
        start_seconds=scene.start_seconds,
        failures_per_second=scene.failures_per_hour / 3600,
        restart_seconds=scene.restart_seconds,
    )


def _divisions(scene: Scene, seconds: FloatArray) -> Iterator[Division]:
    """One queue, and shards with a worker for each core or for one; some of their machines fail."""
    cluster = _cluster(scene, scene.workers)
    workers = cluster.machines * cluster.workers_each
    longest_first = np.sort(seconds)[::-1]
    shard_words = (
        f"{cluster.machines} shards, {cluster.workers_each} workers each",
        f"{workers} shards, 1 worker each",
    )
    failing = cluster.failures_per_second
    for order, words, rate in (
        (seconds, "", 0.0),
        (longest_first, ", longest first", 0.0),
        (seconds, ", machines fail", failing),
    ):
        if words and not rate and order is seconds:
            return
        if not rate:
            yield _division(f"one queue{words}", [order], workers, scene, rate)
        by_machine, by_core = shares(order, cluster.machines), shares(order, workers)
        yield _division(
            f"{shard_words[0]}{words}", by_machine, cluster.workers_each, scene, rate
        )  # fmt: skip
        yield _division(f"{shard_words[1]}{words}", by_core, 1, scene, rate)


def _division(
    name: str, groups: list[FloatArray], workers: int, scene: Scene, failures: float
) -> Division:
    random = np.random.default_rng(scene.seed)
    # Groups on one machine.
    each = max(1, scene.cores // workers)
    finishes = [
        finish_of_queue(
            group,
            workers,
            outages=outages,
            restart_seconds=scene.restart_seconds + scene.start_seconds,
        )
        for group, outages in zip(
            groups, outages_of_groups(random, len(groups), each, failures), strict=True
        )
    ]
    ends = [finish.seconds for finish in finishes]
    everything = np.concatenate(groups)
    return Division(
        name=name,
        seconds=max(ends),
        over_least=max(ends) / least_seconds(everything, workers * len(groups)),
        half_done_seconds=float(np.median(ends)),
        lost_seconds=sum(finish.lost_seconds for finish in finishes),
        outages=sum(finish.num_outages for finish in finishes),
    )


def as_text(scene: Scene, played: Played) -> str:
    """Markdown: two tables, and what was checked."""
    work = float(sum(run.least_seconds * run.workers for run in played.runs[-1:]))
    runs = table(
        ["workers", "jobs", "done", "crashed", "with their machine", "stalled", "workers started",
         "machines failed", "hours", "beside the least", "scheduler, s", "jobs a second",
         "of a core"],
        [
            [f"{run.workers:,}", f"{run.jobs:,}", f"{run.done:,}",
             f"{run.crashed - run.with_machine:,}", f"{run.with_machine:,}", f"{run.stalled:,}",
             f"{run.workers_started:,}", f"{run.machine_failures:,}", digits(run.seconds / 3600),
             f"{run.seconds / run.least_seconds:.3f}", digits(run.scheduler_seconds),
             digits(run.handed_out_per_second), f"{100 * run.core_share:.3f} %"]
            for run in played.runs
        ],
    )  # fmt: skip
    divisions = table(
        ["divided", "hours", "beside the least", "half of them done, h", "done again, worker hours",
         "started anew"],
        [
            [one.name, digits(one.seconds / 3600), f"{one.over_least:.3f}",
             digits(one.half_done_seconds / 3600), digits(one.lost_seconds / 3600), one.outages]
            for one in played.divisions
        ],
    )  # fmt: skip
    late = max(run.stall_found_late_seconds for run in played.runs)
    return (
        f"{scene.jobs:,} jobs, log-normal about {scene.lengths.mean_seconds:g} s (spread "
        f"{scene.lengths.spread:g}), {work / 3600:,.0f} worker hours in all. Each was handed out "
        "once and has one end, its own or its machine's: none is lost, none done twice. Stalls "
        f"were found at most {late:.3f} s behind --stall-limit {scene.faults.stall_seconds:g}.\n\n"
        f"{runs}\n\nThe same list without faults of its own:\n\n{divisions}"
    )


def as_document(scene: Scene, played: Played) -> dict[str, Any]:
    """For programs."""
    return {
        "scene": asdict(scene),
        "runs": [
            asdict(run) | {"jobs_a_second": run.handed_out_per_second, "core_share": run.core_share}
            for run in played.runs
        ],
        "divisions": [asdict(one) for one in played.divisions],
    }
