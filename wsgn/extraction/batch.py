"""Many videos: several are decoded at a time, a bad one is noted and passed over."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event

from wsgn.errors import InputError, WsgnError
from wsgn.extraction.config import ExtractionConfig
from wsgn.extraction.extract import (
    DEFAULT_BATCH_SIZE,
    FeatureNetwork,
    StoppedError,
    Watcher,
    extract_features,
    write_features,
)
from wsgn.extraction.folder import prepare_folder
from wsgn.extraction.videos import VideoFile
from wsgn.features.file import SUFFIX
from wsgn.support.counts import checked_count
from wsgn.support.files import name_problem, no_empty_folder, require_present
from wsgn.video.files import is_fifo


@dataclass(frozen=True, kw_only=True)
class Extraction:
    """What became of the videos, by name, in their order."""

    written: tuple[str, ...]
    # Whole files of an earlier run.
    kept: tuple[str, ...]
    # (video, sentence)
    failed: tuple[tuple[str, str], ...]
    num_snippets: int


@dataclass(frozen=True, kw_only=True)
class Extracted:
    """What a pass over videos gave, by their names."""

    # Numbers of snippets.
    counts: dict[str, int] = field(default_factory=dict)
    # Sentences.
    failures: dict[str, str] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class BatchWatcher:
    """Who is told how the batch goes on; called from several threads."""

    # After each video: how many there are.
    on_video: Callable[[int], None] = lambda total: None
    # A video's name, and something odd about it.
    on_notice: Callable[[str, str], None] = lambda name, sentence: None
    on_snippets: Callable[[int], None] = lambda count: None


def extract_videos(
    videos: Sequence[VideoFile],
    folder: Path,
    config: ExtractionConfig,
    network: FeatureNetwork,
    *,
    batch_size: int = DEFAULT_BATCH_SIZE,
    num_workers: int = 1,
    overwrite: bool = False,
    watcher: BatchWatcher | None = None,
) -> Extraction:
    """Write `<folder>/<name>.safetensors` for every video that has none yet.

    `num_workers` videos are decoded at a time; the network takes their batches in turn. Raises
    `OutputError` where a file cannot be written or is gone at the end, `UsageError` where the
    folder holds features of another configuration; a video that cannot be read is noted.
    """
    checked_count("--batch", batch_size)
    checked_count("--workers", num_workers)

    def extract(waiting: Sequence[VideoFile]) -> Extracted:
        run = _Run(folder, config, network, batch_size, watcher or BatchWatcher())
        return run.all(waiting, num_workers, total=len(videos))

    return extract_missing(videos, folder, config, extract, overwrite=overwrite)


def extract_missing(
    videos: Sequence[VideoFile],
    folder: Path,
    config: ExtractionConfig,
    extract: Callable[[Sequence[VideoFile]], Extracted],
    *,
    overwrite: bool,
) -> Extraction:
    """Let `extract` write the files of those videos that have none yet; what became of all.

    Raises what `prepare_folder` and `extract` raise, and `OutputError` where a file is gone at the
    end.
    """
    names = [video.name for video in videos]
    with no_empty_folder(folder):
        finished = prepare_folder(folder, names, config, overwrite=overwrite)
        waiting = [video for video in videos if video.name not in finished]
        found = extract(waiting)
    counts, failures = found.counts, found.failures
    done = [name for name in names if name in counts or name in finished]
    require_present([folder / f"{name}{SUFFIX}" for name in done])
    return Extraction(
        written=tuple(video.name for video in waiting if video.name in counts),
        kept=tuple(name for name in names if name in finished),
        failed=tuple((v.name, failures[v.name]) for v in waiting if v.name in failures),
        num_snippets=sum(counts.values()),
    )


class _Run:
    """One pass over the videos."""

    def __init__(
        self,
        folder: Path,
        config: ExtractionConfig,
        network: FeatureNetwork,
        batch_size: int,
        watcher: BatchWatcher,
    ) -> None:
        self._folder = folder
        self._config = config
        self._network = network
        self._batch_size = batch_size
        self._watcher = watcher
        self._stop = Event()

    def all(self, videos: Sequence[VideoFile], num_workers: int, *, total: int) -> Extracted:
        """Extract all videos."""
        found = Extracted()
        for _ in range(total - len(videos)):
            self._watcher.on_video(total)
        pool = ThreadPoolExecutor(num_workers, thread_name_prefix="wsgn-features")
        try:
            futures = {pool.submit(self._one, video): video.name for video in videos}
            for future in as_completed(futures):
                try:
                    found.counts[futures[future]] = future.result()
                except InputError as error:
                    found.failures[futures[future]] = str(error)
                self._watcher.on_video(total)
        finally:
            # After an interruption or a full disk, the videos under way end with a frame.
            self._stop.set()
            pool.shutdown(wait=True, cancel_futures=True)
        return found

    def _one(self, video: VideoFile) -> int:
        watcher = Watcher(
            on_notice=lambda sentence: self._watcher.on_notice(video.name, sentence),
            on_snippets=self._watcher.on_snippets,
            stopped=self._stop.is_set,
        )
        return extract_video(
            video, self._folder, self._config, self._network, self._batch_size, watcher
        )


def extract_video(
    video: VideoFile,
    folder: Path,
    config: ExtractionConfig,
    network: FeatureNetwork,
    batch_size: int,
    watcher: Watcher,
) -> int:
    """Extract one video and write its file into the folder; the number of snippets.

    Raises `InputError` for a video that cannot be read or named, `OutputError`, `StoppedError`.
    """
    path = folder / f"{video.name}{SUFFIX}"
    with suppress(OSError):
        # What hinders it hinders the file too, and is said of that.
        path.parent.mkdir(parents=True, exist_ok=True)
    if reason := name_problem(path):
        raise InputError(f"its features cannot be written to {path} ({reason}): rename it.")
    if is_fifo(video.path):
        raise InputError(f"{video.path} is a FIFO: write what comes out of it to a file first.")
    try:
        features = extract_features(
            video.path, config, network, batch_size=batch_size, watcher=watcher
        )
    except (WsgnError, StoppedError):
        raise
    # Whatever one file does to the libraries that read it, the others go on.
    except Exception as error:
        raise InputError(f"{video.shown}: unexpected {type(error).__name__}: {error}") from error
    write_features(path, features, config)
    return len(features.values)
