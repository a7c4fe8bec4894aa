"""Many videos in several processes: one that crashes a decoder or hangs costs itself alone."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsgn.errors import InputError
from wsgn.extraction.batch import (
    BatchWatcher,
    Extracted,
    Extraction,
    extract_missing,
    extract_video,
)
from wsgn.extraction.config import ExtractionConfig
from wsgn.extraction.extract import StoppedError, Watcher
from wsgn.extraction.options import ExtractOptions
from wsgn.extraction.videos import VideoFile
from wsgn.features.file import SUFFIX
from wsgn.support.counts import checked_count
from wsgn.support.files import leftovers_removed
from wsgn.support.mirrors import Mirror, lent_mirror, own_mirror
from wsgn.support.terminal import say_above_bars
from wsgn.workers.open import opened_pool
from wsgn.workers.options import takes_gpu
from wsgn.workers.pool import Died, Told, WorkerPool
from wsgn.workers.work import Opened, WorkerStop


@dataclass(frozen=True, kw_only=True)
class VideoEnd:
    """What became of a video in a worker."""

    num_snippets: int = 0
    # Why it has no features; empty where it has.
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class ExtractionOpener:
    """Opens the networks in a worker, and extracts a video at a time."""

    folder: Path
    config: ExtractionConfig
    weights: tuple[Path | None, ...]
    device: str
    num_threads: int | None
    batch_size: int
    mirror: Mirror | None

    @contextmanager
    def __call__(self, stop: WorkerStop) -> Iterator[Opened]:
        """The work on a `VideoFile`: a `VideoEnd`; it tells numbers of snippets, and notices."""
        # PyTorch is loaded where it is used.
        from wsgn.extraction.networks import open_networks

        networks = open_networks(
            self.config, self.weights, self.device, num_threads=self.num_threads
        )

        def work(video: VideoFile, tell: Callable[[int | str], None]) -> VideoEnd:
            watcher = Watcher(on_notice=tell, on_snippets=tell, stopped=lambda: stop.requested)
            try:
                count = extract_video(
                    video, self.folder, self.config, networks, self.batch_size, watcher
                )
            except InputError as error:
                return VideoEnd(problem=str(error))
            except StoppedError:
                return VideoEnd(problem="a signal to its process alone has cut it short.")
            return VideoEnd(num_snippets=count)

        with lent_mirror(self.mirror):
            yield Opened(work=work, info=None)


def extract_in_processes(options: ExtractOptions, watcher: BatchWatcher) -> Extraction:
    """`wsgn.extraction.batch.extract_videos` in the processes of the options.

    Files are those of one process, byte for byte, at the same number of threads. A video whose
    process dies or is silent for too long is noted. Raises what that raises, and what
    `wsgn.extraction.networks.open_networks` raises.
    """
    checked_count("--batch", options.batch_size)

    def extract(waiting: Sequence[VideoFile]) -> Extracted:
        total = len(options.videos)
        for _ in range(total - len(waiting)):
            watcher.on_video(total)
        if not waiting:
            return Extracted()
        files = [options.output / f"{video.name}{SUFFIX}" for video in waiting]
        with leftovers_removed(files), _workers(options, num_jobs=len(waiting)) as pool:
            pool.begin()
            return _extracted(pool, waiting, watcher, total)

    return extract_missing(
        options.videos, options.output, options.config, extract, overwrite=options.overwrite
    )


def _workers(options: ExtractOptions, *, num_jobs: int) -> AbstractContextManager[WorkerPool]:
    """The pool that the options ask for, whose folder is there; see `opened_pool`."""
    assert options.processes is not None
    mirror = own_mirror(options.output)

    def opener(num_threads: int | None) -> ExtractionOpener:
        return ExtractionOpener(
            folder=options.output,
            config=options.config,
            weights=options.weights,
            device=options.device,
            num_threads=num_threads,
            batch_size=options.batch_size,
            mirror=mirror,
        )

    return opened_pool(
        opener,
        options.processes,
        num_jobs=num_jobs,
        num_threads=options.num_threads,
        needs_gpu=options.processes.ray is not None and takes_gpu(options.device),
        # Whoever is far uploads to a store by itself.
        shared_folder=options.output if mirror is None else None,
        stopping=lambda: False,
        say=lambda words: None if options.quiet else say_above_bars(f"wsgn-features: {words}"),
    )


def _extracted(
    pool: WorkerPool, videos: Sequence[VideoFile], watcher: BatchWatcher, total: int
) -> Extracted:
    found = Extracted()
    for message in pool.run(enumerate(videos)):
        name = videos[message.number].name
        if isinstance(message, Told):
            _pass_on(message.news, name, watcher)
            continue
        if isinstance(message, Died):
            found.failures[name] = message.message
        else:
            end: VideoEnd = message.result
            if end.problem:
                found.failures[name] = end.problem
            else:
                found.counts[name] = end.num_snippets
        watcher.on_video(total)
    return found


def _pass_on(news: Any, name: str, watcher: BatchWatcher) -> None:
    if isinstance(news, int):
        watcher.on_snippets(news)
    else:
        watcher.on_notice(name, news)
