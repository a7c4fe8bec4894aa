"""A run in several processes: what each of them opens, and the pool of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from typing import Any

from wsgn.engines.engine import EngineDescription
from wsgn.engines.open import open_engine
from wsgn.support.packages import default_num_threads
from wsgn.workers.pool import WorkerPool
from wsgn.workers.processes import process_pool
from wsgn.workers.work import Opened, WorkerStop

from ..events import Event
from ..pipeline import StopFlag
from .batch import run_event
from .options import RunOptions
from .outputs import Outputs
from .scorers import open_scorer
from .source_work import SourceOutcome, SourceWork
from .sources import Job


@dataclass(frozen=True, kw_only=True)
class SourceWorkOpener:
    """Opens the work on sources in a worker."""

    description: EngineDescription
    options: RunOptions
    outputs: Outputs

    @contextmanager
    def __call__(self, stop: WorkerStop) -> Iterator[Opened]:
        """The engine, and what else the work needs, while the worker lives."""
        flag = StopFlag()
        stop.then = flag.request
        options = self.options
        with (
            open_engine(
                self.description, device=options.device, num_threads=options.num_threads
            ) as engine,
            open_scorer(options.kernels, engine) as scorer,
        ):
            event = run_event(engine, options)
            work = SourceWork(
                engine=engine,
                scorer=scorer,
                options=options.detect,
                outputs=self.outputs,
                run_event=event,
                stop=flag,
            )

            def run(job: Job, tell: Callable[[Event], None]) -> SourceOutcome:
                return work.run(job, tell)

            yield Opened(work=run, info=event)


def source_workers(
    description: EngineDescription,
    options: RunOptions,
    outputs: Outputs,
    *,
    num_jobs: int,
    stopping: Callable[[], bool],
) -> WorkerPool:
    """The workers of a run, no more than it has sources; they share the cores."""
    assert options.workers is not None
    num_workers = max(1, min(options.workers.number, num_jobs))
    num_threads: Any = options.num_threads
    if num_threads is None and num_workers > 1:
        num_threads = max(1, (default_num_threads() + 1) // num_workers)
    opener = SourceWorkOpener(
        description=description,
        options=replace(options, num_threads=num_threads, notify=None),
        outputs=outputs.for_worker(),
    )
    return process_pool(
        opener, num_workers, stall_seconds=options.workers.stall_seconds, stopping=stopping
    )
