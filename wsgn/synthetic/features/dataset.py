"""Writing the features of all annotated videos, and how they were made."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Sequence
from pathlib import Path

from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError, UsageError
from wsgn.features.file import SUFFIX, write_feature_file
from wsgn.support.files import write_whole_file
from wsgn.support.progress import progress_bar
from wsgn.support.records import record_to_dict
from wsgn.support.terminal import say_above_bars
from wsgn.synthetic.features.config import SyntheticFeaturesConfig
from wsgn.synthetic.features.patterns import Patterns, class_relations, draw_patterns
from wsgn.synthetic.features.video import known_duration, make_features

FORMAT_VERSION = "wsgn-synthetic-features-1"

RECORD_NAME = "synthetic_features.json"


def write_features(
    folder: Path,
    annotations_path: Path,
    config: SyntheticFeaturesConfig,
    *,
    subsets: Sequence[str] = (),
    overwrite: bool = False,
    progress: bool = True,
) -> list[Path]:
    """Write `<video>.safetensors` of every video (of some subsets), and `synthetic_features.json`.

    How related classes are is always taken from the whole file, so that a part of the videos has
    the same features as in the whole. Returns the paths of the features. Raises UsageError if the
    folder holds anything and `overwrite` is false.
    """
    annotations = read_annotations(annotations_path)
    videos = _with_content(_chosen(annotations, subsets))
    for video in videos:
        known_duration(video)
    patterns = patterns_of(annotations, config)
    _prepare(folder, overwrite)
    paths = []
    for video in progress_bar(videos, wanted=progress, unit="video", desc="making features"):
        path = folder / f"{video.name}{SUFFIX}"
        _write_video(path, video, patterns, config)
        paths.append(path)
    _write_record(folder / RECORD_NAME, annotations_path, config, len(paths))
    return paths


def patterns_of(annotations: Annotations, config: SyntheticFeaturesConfig) -> Patterns:
    """The patterns that all videos of an annotation file share."""
    return draw_patterns(annotations.classes, class_relations(annotations), config)


def _chosen(annotations: Annotations, subsets: Sequence[str]) -> tuple[VideoAnnotation, ...]:
    if not subsets:
        return annotations.videos
    return tuple(video for name in subsets for video in annotations.subset(name))


def _with_content(videos: Sequence[VideoAnnotation]) -> list[VideoAnnotation]:
    """Without the videos of which the annotations say nothing, not even how long they are."""
    empty = [
        video.name
        for video in videos
        if video.duration_seconds is None and not video.labels and not video.segments
    ]
    if empty:
        say_above_bars(
            f"no features are made for {len(empty)} videos without duration and labels: "
            f"{', '.join(empty[:5])}."
        )
    kept = [video for video in videos if video.name not in set(empty)]
    if not kept:
        raise InputError("no video has a duration: add the seconds of each to the annotations.")
    return kept


def _prepare(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder} is a file; name a folder.")
    if folder.is_dir() and any(folder.iterdir()) and not overwrite:
        raise UsageError(f"{folder} is not empty; name another folder or add --overwrite.")


def _write_video(
    path: Path, video: VideoAnnotation, patterns: Patterns, config: SyntheticFeaturesConfig
) -> None:
    write_feature_file(
        path,
        make_features(video, patterns, config),
        config.sampling,
        duration_seconds=video.duration_seconds,
        source=f"synthetic features ({FORMAT_VERSION}, seed {config.seed})",
    )


def _write_record(
    path: Path, annotations_path: Path, config: SyntheticFeaturesConfig, num_videos: int
) -> None:
    digest = hashlib.sha256(annotations_path.read_bytes()).hexdigest()
    record = {
        "version": FORMAT_VERSION,
        "annotations": {"file": annotations_path.name, "sha256": digest},
        "videos": num_videos,
        "config": record_to_dict(config),
    }
    text = json.dumps(record, indent=1) + "\n"
    write_whole_file(path, text.encode("utf-8"), what="the record of the synthetic features")
