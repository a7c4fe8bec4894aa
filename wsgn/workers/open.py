"""The workers that a user asked for: processes of this machine, or actors of a Ray cluster."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from wsgn.support.packages import default_num_threads
from wsgn.workers.options import WorkerOptions
from wsgn.workers.pool import WorkerPool
from wsgn.workers.processes import ProcessTransport
from wsgn.workers.work import OpenWork

# Given how many threads each worker is to have; None leaves it to the engine.
MakeOpener = Callable[[int | None], OpenWork]


@contextmanager
def opened_pool(
    make_opener: MakeOpener,
    options: WorkerOptions,
    *,
    num_jobs: int,
    num_threads: int | None,
    needs_gpu: bool,
    shared_folder: Path | None,
    stopping: Callable[[], bool],
    say: Callable[[str], None],
) -> Iterator[WorkerPool]:
    """The pool of a run, not begun yet.

    Args:
        make_opener: what opens the work in a worker; it must be picklable, and so must jobs, news
            and results.
        options: how many workers, where, and when one is given up.
        num_jobs: there are no more workers than jobs.
        num_threads: of each worker; None shares out the cores, or takes one of a cluster.
        needs_gpu: whether an actor has to have a GPU of its own.
        shared_folder: where workers write; actors must see the one of this machine.
        stopping: whether the run is to come to its end.
        say: is told which cluster it is, and what is waited for there.

    Raises `MissingExtraError`, `UsageError` and `EngineError`, also while it lives.
    """
    if options.ray is not None:
        from wsgn.workers.ray_actors import opened_ray_pool

        with opened_ray_pool(
            make_opener(num_threads or 1),
            options,
            num_jobs=num_jobs,
            num_threads=num_threads or 1,
            needs_gpu=needs_gpu,
            shared_folder=shared_folder,
            stopping=stopping,
            say=say,
        ) as pool:
            yield pool
        return
    assert options.number is not None
    num_workers = max(1, min(options.number, num_jobs))
    if num_threads is None and num_workers > 1:
        num_threads = max(1, (default_num_threads() + 1) // num_workers)
    with WorkerPool(
        ProcessTransport(make_opener(num_threads)),
        num_workers,
        stall_seconds=options.stall_seconds,
        stopping=stopping,
    ) as pool:
        yield pool
