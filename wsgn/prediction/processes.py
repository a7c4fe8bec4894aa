"""A prediction in several processes: a video that crashes one or hangs costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, replace

from wsgn.checkpoint import load_checkpoint
from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError
from wsgn.prediction.models import Models, Predicted, PredictedVideo, open_sources
from wsgn.prediction.options import PredictOptions
from wsgn.prediction.tried import tried
from wsgn.support.progress import progress_bar
from wsgn.support.terminal import say_above_bars
from wsgn.workers.open import opened_pool
from wsgn.workers.options import takes_gpu
from wsgn.workers.pool import Died, Done, WorkerPool
from wsgn.workers.work import Opened, WorkerStop


@dataclass(frozen=True, kw_only=True)
class PredictionOpener:
    """Opens the models in a worker, and predicts a video at a time."""

    options: PredictOptions
    # Of the videos of all workers.
    names: tuple[str, ...]

    @contextmanager
    def __call__(self, stop: WorkerStop) -> Iterator[Opened]:
        """The work on a video's place among the names: a `PredictedVideo`."""
        options = self.options
        checkpoints = [tried(load_checkpoint(path), options) for path in options.checkpoints]
        annotations = read_annotations(options.annotations)
        sources = open_sources(options, checkpoints, annotations, at_once=False, progress=False)
        if tuple(video.name for video in sources[0].videos) != self.names:
            raise InputError(
                "a worker finds other videos than the command did: annotations and files must stay "
                "as they are, and be the same on all machines."
            )
        models = Models(options, checkpoints, sources)

        def work(index: int, tell: Callable[[None], None]) -> PredictedVideo:
            return models.predict(index)

        yield Opened(work=work, info=None)


def predict_in_processes(
    options: PredictOptions,
    names: Sequence[str],
    places: Sequence[int],
    keep: Callable[[int, PredictedVideo], None] = lambda place, video: None,
) -> Predicted:
    """Predict those of the named videos that stand at these places, in the options' workers.

    `keep` is given each with its place when it is there. Raises what ends the run in one process,
    too.
    """
    if not places:
        return Predicted(videos=())
    found: dict[int, PredictedVideo] = {}
    failures: dict[int, str] = {}
    with (
        _workers(options, names, num_jobs=len(places)) as pool,
        progress_bar(
            wanted=not options.quiet, total=len(places), desc="predicting", unit="video"
        ) as bar,
    ):
        pool.begin()
        for message in pool.run(enumerate(places)):
            if isinstance(message, Done):
                found[message.number] = message.result
                keep(places[message.number], message.result)
            elif isinstance(message, Died):
                failures[message.number] = message.message
            bar.update()
    return Predicted(
        videos=tuple(found[number] for number in range(len(places)) if number in found),
        failed=tuple((names[places[number]], failures[number]) for number in sorted(failures)),
    )


def _workers(
    options: PredictOptions, names: Sequence[str], *, num_jobs: int
) -> AbstractContextManager[WorkerPool]:
    """The pool that the options ask for; see `opened_pool`."""
    assert options.workers is not None

    def opener(num_threads: int | None) -> PredictionOpener:
        return PredictionOpener(
            options=replace(options, num_threads=num_threads), names=tuple(names)
        )

    return opened_pool(
        opener,
        options.workers,
        num_jobs=num_jobs,
        num_threads=options.num_threads,
        needs_gpu=options.workers.ray is not None and takes_gpu(options.device),
        shared_folder=None,
        stopping=lambda: False,
        say=lambda words: None if options.quiet else say_above_bars(f"wsgn-predict: {words}"),
    )
