"""Features of any layout into the project's own files, video by video."""

from __future__ import annotations

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.split import SplitOptions
from wsgn.errors import InputError
from wsgn.features.file import SUFFIX, FeatureInfo, read_feature_info, write_feature_file
from wsgn.features.options import FeatureOptions
from wsgn.features.reader import FeatureReader
from wsgn.features.shapes import check_orientation, odd_widths
from wsgn.features.time_base import TimedVideo, check_time_base
from wsgn.support.arrays import Float32Array
from wsgn.support.files import remove_leftovers, require_present

# What nearly every file system allows.
_LONGEST_NAME_BYTES = 255


@dataclass(frozen=True, kw_only=True)
class AnnotationOptions:
    """Which annotations are read, and where to they are written."""

    # A JSON, W-TALC's folder, or Charades' CSVs as [SUBSET=]PATH; see `read_any_annotations`.
    items: tuple[str, ...]
    # Video-level labels out of the segments.
    labels_from_segments: bool = False
    # Frames per second of videos whose annotations count frames and do not say.
    frame_rate: float | None = None
    # The ActivityNet-style JSON; None where they only serve the features.
    output: Path | None = None
    # Subsets drawn anew (`wsgn.data.split`); None keeps those of the annotations.
    split: SplitOptions | None = None


@dataclass(frozen=True, kw_only=True)
class TargetOptions:
    """Which features are converted, and where to."""

    source: FeatureOptions
    # A folder.
    output: Path
    # 'float16' or 'float32'; None for the source's.
    dtype: str | None = None
    # Convert whole files of an earlier run again.
    overwrite: bool = False


@dataclass(frozen=True, kw_only=True)
class ConvertOptions:
    """What a run of `wsgn-convert` is asked for; None for what it is not."""

    annotations: AnnotationOptions | None
    features: TargetOptions | None
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Conversion:
    """What became of the videos."""

    written: tuple[str, ...]
    # Whole files of an earlier run.
    kept: tuple[str, ...]
    # (video, sentence)
    failed: tuple[tuple[str, str], ...]
    # Annotated videos without features, and features of videos that are not annotated.
    num_without_features: int = 0
    num_not_annotated: int = 0


def convert_features(
    reader: FeatureReader,
    folder: Path,
    *,
    videos: Sequence[VideoAnnotation] | None = None,
    dtype: str | None = None,
    overwrite: bool = False,
    on_video: Callable[[int], None] = lambda total: None,
) -> Conversion:
    """Write `<folder>/<video>.safetensors` for the annotated videos, or for all without `videos`.

    `dtype` is 'float16' or 'float32', by default float16 where the source has it and float32
    elsewhere. A video that cannot be read or is not as wide as most is noted and passed over.
    `on_video` is called with the number of videos after each. Raises `InputError` where the time
    base contradicts the annotated durations or the arrays lie the wrong way, `OutputError` where a
    file cannot be written, or is gone at the end.
    """
    remove_leftovers(folder)
    names = _chosen(reader, videos)
    durations = {video.name: video.duration_seconds for video in videos or ()}
    notes = _Notes()
    infos = _infos(reader, names, durations, dtype, notes)
    for name, info in infos.items():
        path = folder / f"{name}{SUFFIX}"
        if not overwrite and _is_whole(path, info):
            notes.kept.append(name)
        else:
            try:
                _write(path, info, reader.read(name))
                notes.written.append(name)
            except InputError as error:
                notes.failed.append((name, str(error)))
        on_video(len(infos))
    require_present([folder / f"{name}{SUFFIX}" for name in (*notes.written, *notes.kept)])
    return Conversion(
        written=tuple(notes.written),
        kept=tuple(notes.kept),
        failed=tuple(notes.failed),
        num_without_features=0 if videos is None else len(videos) - len(names),
        num_not_annotated=len(reader.names) - len(names),
    )


@dataclass(kw_only=True)
class _Notes:
    written: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    failed: list[tuple[str, str]] = field(default_factory=list)


def _chosen(reader: FeatureReader, videos: Sequence[VideoAnnotation] | None) -> list[str]:
    if videos is None:
        return list(reader.names)
    annotated = {video.name for video in videos}
    names = [name for name in reader.names if name in annotated]
    if not names:
        raise InputError(
            f"none of the {len(reader.names)} videos with features is annotated; the first is "
            f"'{reader.names[0]}'."
        )
    return names


def _infos(
    reader: FeatureReader,
    names: Sequence[str],
    durations: dict[str, float | None],
    dtype: str | None,
    notes: _Notes,
) -> dict[str, FeatureInfo]:
    """What the files are going to say, of the videos whose headers can be read."""
    infos = {}
    for name in names:
        try:
            _require_file_name(name)
            info = reader.info(name)
        except InputError as error:
            notes.failed.append((name, str(error)))
            continue
        kept = "float16" if info.dtype == "float16" else "float32"
        duration = durations.get(name)
        infos[name] = replace(
            info,
            dtype=dtype or kept,
            duration_seconds=info.duration_seconds if duration is None else duration,
        )
    known = {name: info.duration_seconds for name, info in infos.items()}
    check_orientation(infos, known)
    for name, sentence in odd_widths(infos).items():
        notes.failed.append((name, sentence))
        del infos[name]
    check_time_base(
        [
            TimedVideo(name=name, info=info, duration_seconds=info.duration_seconds)
            for name, info in infos.items()
            if info.duration_seconds is not None
        ]
    )
    return infos


def _require_file_name(name: str) -> None:
    # Names come from files of others, and must not lead out of the folder.
    if name in ("", ".", "..") or set(name) & set("/\\\0"):
        raise InputError(f"the video name {name!r} cannot be the name of a file.")
    try:
        num_bytes = len(os.fsencode(f"{name}{SUFFIX}"))
    except UnicodeEncodeError as error:
        raise InputError(f"the video name {name!r} is no text that a file can have.") from error
    if num_bytes > _LONGEST_NAME_BYTES:
        raise InputError(
            f"the video name '{name[:40]}...' makes a file name of {num_bytes} bytes where "
            f"{_LONGEST_NAME_BYTES} are possible: give it a shorter one."
        )


def _is_whole(path: Path, info: FeatureInfo) -> bool:
    if not path.is_file():
        return False
    try:
        present = read_feature_info(path)
    except InputError:
        return False
    return replace(present, source="") == replace(info, source="")


def _write(path: Path, info: FeatureInfo, features: Float32Array) -> None:
    # What does not fit becomes infinite, and is then refused.
    with np.errstate(over="ignore"):
        values = features.astype(info.dtype)
    if not np.isfinite(values).all():
        raise InputError(
            f"the largest value {np.abs(features).max():g} does not fit into {info.dtype}: convert "
            "to float32."
        )
    write_feature_file(
        path,
        values,
        info.sampling,
        duration_seconds=info.duration_seconds,
        streams=tuple(stream.name for stream in info.streams),
        stream_sizes=tuple(stream.size for stream in info.streams),
        source=info.source,
    )
