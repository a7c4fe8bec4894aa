"""A run in several processes: what each of them opens, and the pool of them."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory

from wsgn.engines.devices import cuda_ordinal
from wsgn.engines.engine import Engine, EngineDescription
from wsgn.engines.open import open_engine
from wsgn.errors import UsageError
from wsgn.workers.open import opened_pool
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


@contextmanager
def source_workers(
    description: EngineDescription,
    options: RunOptions,
    outputs: Outputs,
    *,
    num_jobs: int,
    stopping: Callable[[], bool],
    say: Callable[[str], None],
) -> Iterator[WorkerPool]:
    """The workers of a run, whose folder of results is there; see `opened_pool`."""
    assert options.workers is not None
    is_far = options.workers.ray is not None
    needs_gpu = is_far and takes_gpu(description, options)
    engine_file = description.path.read_bytes() if is_far else None
    marked: AbstractContextManager[list[Path]] = outputs.mark() if is_far else nullcontext([])

    def opener(num_threads: int | None) -> SourceWorkOpener:
        return SourceWorkOpener(
            description=description,
            options=replace(options, num_threads=num_threads, notify=None),
            outputs=outputs.for_worker(),
            engine_file=engine_file,
        )

    with (
        marked as marks,
        opened_pool(
            opener,
            options.workers,
            num_jobs=num_jobs,
            num_threads=options.num_threads,
            needs_gpu=needs_gpu,
            marks=marks,
            stopping=stopping,
            say=say,
        ) as pool,
    ):
        yield pool


def takes_gpu(description: EngineDescription, options: RunOptions) -> bool:
    """Whether an engine runs on a GPU of NVIDIA.

    Raises `UsageError` for one that is chosen by its number: each actor has another one.
    """
    if options.device is None:
        return description.sidecar is not None
    ordinal = cuda_ordinal(options.device)
    if ordinal:
        raise UsageError(
            f"--ray gives each actor a GPU of its own: say --device cuda, not {options.device}."
        )
    return ordinal is not None
