"""A run in several processes: what each of them opens, and the pool of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from wsgn.engines.engine import Engine, EngineDescription
from wsgn.engines.open import open_engine
from wsgn.support.mirrors import lent_mirror, own_mirror
from wsgn.workers.open import opened_pool
from wsgn.workers.options import takes_gpu
from wsgn.workers.pool import WorkerPool
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
    # The contents of the engine's file, where workers may not find it by its path.
    engine_file: bytes | None

    @contextmanager
    def __call__(self, stop: WorkerStop) -> Iterator[Opened]:
        """The engine, and what else the work needs, while the worker lives."""
        flag = StopFlag()
        stop.then = flag.request
        options = self.options
        with (
            lent_mirror(self.outputs.mirror),
            self._engine() as engine,
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

    def _engine(self) -> Engine:
        device, num_threads = self.options.device, self.options.num_threads
        if self.engine_file is None:
            return open_engine(self.description, device=device, num_threads=num_threads)
        # It goes when the engine is open, since actors are killed in the end.
        with TemporaryDirectory(prefix="wsgn-") as folder:
            path = Path(folder) / self.description.path.name
            path.write_bytes(self.engine_file)
            here = replace(self.description, path=path)
            return open_engine(here, device=device, num_threads=num_threads)


def source_workers(
    description: EngineDescription,
    options: RunOptions,
    outputs: Outputs,
    *,
    num_jobs: int,
    stopping: Callable[[], bool],
    say: Callable[[str], None],
) -> AbstractContextManager[WorkerPool]:
    """The workers of a run, whose folder of results is there; see `opened_pool`."""
    assert options.workers is not None
    is_far = options.workers.ray is not None
    engine_file = description.path.read_bytes() if is_far else None

    def opener(num_threads: int | None) -> SourceWorkOpener:
        return SourceWorkOpener(
            description=description,
            options=replace(options, num_threads=num_threads, notify=None),
            outputs=outputs.for_worker(),
            engine_file=engine_file,
        )

    device = options.device or ("cpu" if description.sidecar is None else "cuda")
    folder = options.output.directory if options.output else None
    # Whoever is far uploads to a store by itself.
    is_shared = folder is not None and own_mirror(folder) is None
    return opened_pool(
        opener,
        options.workers,
        num_jobs=num_jobs,
        num_threads=options.num_threads,
        needs_gpu=is_far and takes_gpu(device),
        shared_folder=folder if is_shared else None,
        stopping=stopping,
        say=say,
    )
