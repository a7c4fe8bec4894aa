"""The pool of workers on a virtual clock, with failures that Hypothesis draws."""

from __future__ import annotations

from collections import Counter

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from benchmarks.measuring import CommandError
from benchmarks.scale.schedule import finish_of_queue, least_seconds
from benchmarks.scale.simulation import (
    CRASHES,
    GOOD,
    HANGS,
    Cluster,
    Jobs,
    Ledger,
    check,
    draw_jobs,
    simulate,
)
from wsgn.workers.pool import CRASHED, STALLED, WorkerPool

STALL_SECONDS = 30.0


def jobs_of(*jobs: tuple[float, int], news_seconds: float = 4.0) -> Jobs:
    return Jobs(
        seconds=np.array([seconds for seconds, _ in jobs]),
        fates=[fate for _, fate in jobs],
        news_seconds=news_seconds,
    )


JOBS = st.lists(
    st.tuples(st.floats(0.01, 100.0), st.sampled_from([GOOD, GOOD, GOOD, CRASHES, HANGS])),
    min_size=1, max_size=40,
)  # fmt: skip
CLUSTERS = st.builds(
    Cluster,
    machines=st.integers(1, 4),
    workers_each=st.integers(1, 5),
    start_seconds=st.floats(0.0, 20.0),
    failures_per_second=st.sampled_from([0.0, 0.0, 0.002, 0.01]),
    restart_seconds=st.floats(0.0, 200.0),
)


@settings(max_examples=60, deadline=None)
@given(jobs=JOBS, cluster=CLUSTERS, seed=st.integers(0, 1000))
def test_each_job_has_one_end_and_it_is_its_own(
    jobs: list[tuple[float, int]], cluster: Cluster, seed: int
) -> None:
    """`simulate` holds what the pool said against what was so; a few figures once more here."""
    result, ledger = simulate(jobs_of(*jobs), cluster, stall_seconds=STALL_SECONDS, seed=seed)
    assert result.done + result.crashed + result.stalled == len(jobs)
    assert set(ledger.sent) == set(range(len(jobs)))
    assert set(ledger.sent.values()) == {1}
    # A word every 4 s never lets a stall be found early, nor one be found where there is none.
    assert result.stalled == len(ledger.silent.keys() - ledger.with_machine)
    assert 0 <= result.stall_found_late_seconds < 1e-6
    assert ledger.most_alive <= cluster.machines * cluster.workers_each
    if ledger.machine_failures == 0:
        fates = Counter(fate for _, fate in jobs)
        assert (result.done, result.crashed, result.stalled) == (
            fates[GOOD], fates[CRASHES], fates[HANGS],
        )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(
    # The pool looks up five times a second of the virtual clock, which is what this test takes.
    seconds=st.lists(st.floats(0.01, 10.0), min_size=1, max_size=60),
    workers=st.integers(1, 7),
    start=st.floats(0.0, 20.0),
)
def test_without_failures_it_takes_as_long_as_the_model_says(
    seconds: list[float], workers: int, start: float
) -> None:
    """Two ways to the same number: the pool's events, and the model's queue."""
    cluster = Cluster(machines=1, workers_each=workers, start_seconds=start)
    jobs = jobs_of(*((one, GOOD) for one in seconds))
    result, _ = simulate(jobs, cluster, stall_seconds=1e6)
    wanted = start + finish_of_queue(np.array(seconds), workers).seconds
    assert result.seconds == pytest.approx(wanted)
    # But for how sums are rounded.
    assert result.seconds >= least_seconds(seconds, workers) * (1 - 1e-12)
    # No greedy order is twice as long as the best one.
    assert result.seconds - start < 2 * least_seconds(seconds, workers) + 1e-6


def test_the_model_takes_as_long_where_jobs_crash_and_hang() -> None:
    """A fault costs its job's time, the limit where it hangs, and the start of another worker."""
    random = np.random.default_rng(0)
    lengths = random.exponential(30.0, 400)
    jobs = draw_jobs(random, lengths, crash=0.1, hang=0.05, news_seconds=10.0)
    cluster = Cluster(machines=1, workers_each=20, start_seconds=5.0)
    result, _ = simulate(jobs, cluster, stall_seconds=STALL_SECONDS)
    assert result.stalled > 5
    assert result.crashed > 20
    fates = np.array(jobs.fates)
    taken = jobs.seconds + (fates != GOOD) * 5.0 + (fates == HANGS) * STALL_SECONDS
    # To the end of the last job, and not of the start behind it.
    assert result.seconds == pytest.approx(5.0 + finish_of_queue(taken, 20).seconds, abs=5.0)


def test_a_dead_machine_costs_one_job_of_each_worker_and_is_replaced() -> None:
    cluster = Cluster(
        machines=10, workers_each=8, start_seconds=2.0, failures_per_second=1 / 1000,
        restart_seconds=60.0,
    )  # fmt: skip
    random = np.random.default_rng(1)
    jobs = draw_jobs(random, random.exponential(30.0, 3000), crash=0, hang=0, news_seconds=10.0)
    result, _ = simulate(jobs, cluster, stall_seconds=1e6, seed=3)
    assert result.machine_failures >= 5
    assert 0 < result.crashed == result.with_machine <= 8 * result.machine_failures
    assert result.done == 3000 - result.crashed
    # Those that were lost, but for machines that fail while nobody is left to hand them work.
    assert result.workers_started >= 80 + result.crashed - 8


def test_time_of_the_scheduler_does_not_grow_with_workers() -> None:
    """What it does for a job, counted and not timed: looks at workers are what could grow."""

    def calls(workers: int) -> int:
        jobs = jobs_of(*((10.0, GOOD) for _ in range(400)))
        counted = _Counted(workers)
        with counted:
            simulate(jobs, Cluster(machines=1, workers_each=workers), stall_seconds=1e6)
        return counted.calls

    few, many = calls(10), calls(200)
    assert many < 1.5 * few


class _Counted:
    """Counts calls of Python functions of the pool while it is entered."""

    def __init__(self, workers: int) -> None:
        self.calls = 0

    def __enter__(self) -> None:
        import sys

        def count(frame: object, event: str, argument: object) -> None:
            code = getattr(frame, "f_code", None)
            if event in ("call", "c_call") and code is not None:
                self.calls += code.co_filename.endswith("workers/pool.py")

        sys.setprofile(count)

    def __exit__(self, *error: object) -> None:
        import sys

        sys.setprofile(None)


@pytest.mark.parametrize(
    ("ends", "sent", "sentence"),
    [
        ({0: "done"}, {0: 1, 1: 1}, "1 of 2 jobs are lost"),
        ({0: "done", 1: "done"}, {0: 2, 1: 1}, "job 0 was handed out 2 times"),
        ({0: "done", 1: "done"}, {0: 1, 1: 1}, "job 1 is said to be done, and was crashed"),
        ({0: STALLED, 1: CRASHED}, {0: 1, 1: 1}, "job 0 is said to be stalled, and was done"),
    ],
)
def test_a_wrong_end_is_noticed(ends: dict[int, str], sent: dict[int, int], sentence: str) -> None:
    ledger = Ledger(sent=Counter(sent))
    with pytest.raises(CommandError, match=sentence):
        check(ends, ledger, jobs_of((1.0, GOOD), (1.0, CRASHES)), 2)


def test_a_pool_that_forgets_who_crashed_is_noticed(monkeypatch: pytest.MonkeyPatch) -> None:
    def forget(self: WorkerPool, worker: int, ended: object) -> list[object]:
        self._busy.pop(worker, None)
        return []

    monkeypatch.setattr(WorkerPool, "_bury", forget)
    with pytest.raises(CommandError, match="1 of 2 jobs are lost"):
        simulate(
            jobs_of((1.0, GOOD), (1.0, CRASHES)), Cluster(machines=1, workers_each=2),
            stall_seconds=STALL_SECONDS,
        )  # fmt: skip
