"""Writes a set of synthetic videos and its annotations, in the style of ActivityNet."""

import json
import multiprocessing
import shutil
import signal
from collections.abc import Iterator, Sequence
from concurrent.futures import ProcessPoolExecutor, as_completed
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wsgn.errors import UsageError
from wsgn.support.counts import checked_count
from wsgn.support.files import write_whole_file
from wsgn.support.progress import progress_bar
from wsgn.synthetic.videos.config import (
    ACTION_CLASSES,
    SceneConfig,
    SyntheticVideosConfig,
    TimelineConfig,
)
from wsgn.synthetic.videos.video import VideoTruth, make_video

FORMAT_VERSION = "wsgn-synthetic-videos-1"

_SUBSETS = ("train", "test")


@dataclass(frozen=True, kw_only=True)
class _Job:
    name: str
    subset: str
    seed: tuple[int, int, int]


def write_dataset(
    output: Path, config: SyntheticVideosConfig, num_workers: int, overwrite: bool = False
) -> Path:
    """Makes all videos below `output` and returns the path of the annotations.

    Raises UsageError if `output` holds anything and `overwrite` is false.
    """
    checked_count("--workers", num_workers)
    _prepare(output, overwrite)
    jobs = _jobs(config)
    truths: dict[str, VideoTruth] = {}
    progress = progress_bar(wanted=True, total=len(jobs), unit="video", desc="making videos")
    with progress:
        for name, truth in _run(jobs, output / "videos", config, num_workers):
            truths[name] = truth
            progress.update()
    database = {job.name: _entry(job.subset, truths[job.name]) for job in jobs}
    annotations = output / "annotations.json"
    content = {
        "version": FORMAT_VERSION,
        "config": asdict(config),
        "classes": list(ACTION_CLASSES),
        "database": database,
    }
    _write_json(annotations, content)
    return annotations


def write_sample(
    path: Path,
    seed: int,
    scene: SceneConfig,
    timeline: TimelineConfig,
    actions: Sequence[str] | None = None,
    duration_seconds: float | None = None,
) -> VideoTruth:
    """Makes one video with the given or drawn actions; its truth goes beside it as JSON."""
    path.parent.mkdir(parents=True, exist_ok=True)
    truth = make_video(path, (seed,), scene, timeline, actions, duration_seconds)
    _write_json(path.with_suffix(".json"), _entry("sample", truth))
    return truth


def segment_records(truth: VideoTruth) -> list[dict[str, Any]]:
    """The segments as they stand in annotation files; seconds to the millisecond."""
    return [
        {
            "label": segment.label,
            "segment": [round(segment.start_seconds, 3), round(segment.end_seconds, 3)],
        }
        for segment in truth.segments
    ]


def _write_json(path: Path, content: dict[str, Any]) -> None:
    text = json.dumps(content, indent=1) + "\n"
    write_whole_file(path, text.encode(), what="the annotations")


def _prepare(output: Path, overwrite: bool) -> None:
    if output.exists() and not output.is_dir():
        raise UsageError(f"{output} is a file; name a folder.")
    if output.is_dir() and any(output.iterdir()):
        if not overwrite:
            raise UsageError(f"{output} is not empty; name another folder or add --overwrite.")
        # Only what a former run wrote is removed, never the folder's other contents.
        (output / "annotations.json").unlink(missing_ok=True)
        shutil.rmtree(output / "videos", ignore_errors=True)
    (output / "videos").mkdir(parents=True, exist_ok=True)


def _jobs(config: SyntheticVideosConfig) -> list[_Job]:
    counts = (config.num_train, config.num_test)
    return [
        _Job(
            name=f"synthetic_{subset}_{index:04d}", subset=subset, seed=(config.seed, split, index)
        )
        for split, (subset, count) in enumerate(zip(_SUBSETS, counts, strict=True))
        for index in range(count)
    ]


def _run(
    jobs: list[_Job], folder: Path, config: SyntheticVideosConfig, num_workers: int
) -> Iterator[tuple[str, VideoTruth]]:
    """Yields names and truths as the videos get ready, in any order."""
    if num_workers == 1:
        for job in jobs:
            yield _make(job, folder, config)
        return
    context = multiprocessing.get_context("spawn")
    with ProcessPoolExecutor(num_workers, context, initializer=_ignore_interrupt) as pool:
        futures = [pool.submit(_make, job, folder, config) for job in jobs]
        try:
            for future in as_completed(futures):
                yield future.result()
        finally:
            pool.shutdown(wait=True, cancel_futures=True)


def _ignore_interrupt() -> None:
    """Leaves Ctrl-C to the parent, so that workers do not each print a traceback."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)


def _make(job: _Job, folder: Path, config: SyntheticVideosConfig) -> tuple[str, VideoTruth]:
    path = folder / f"{job.name}.mp4"
    return job.name, make_video(path, job.seed, config.scene, config.timeline)


def _entry(subset: str, truth: VideoTruth) -> dict[str, Any]:
    return {
        "subset": subset,
        "duration": round(truth.duration_seconds, 3),
        "frame_rate": truth.frame_rate,
        "labels": truth.labels,
        "annotations": segment_records(truth),
    }
