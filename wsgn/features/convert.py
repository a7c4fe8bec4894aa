"""Features of any layout into the project's own files, video by video."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Protocol

import numpy as np

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.split import SplitOptions
from wsgn.errors import InputError, UsageError
from wsgn.features.file import SUFFIX, FeatureInfo, feature_file_bytes, read_feature_info
from wsgn.features.options import FeatureOptions
from wsgn.features.packed.files import holds_packs
from wsgn.features.packed.member import require_member_name
from wsgn.features.packed.writer import PackWriter
from wsgn.features.reader import FeatureReader
from wsgn.features.shapes import check_orientation, odd_widths
from wsgn.features.time_base import TimedVideo, check_time_base
from wsgn.support.arrays import Float32Array
from wsgn.support.files import no_empty_folder, remove_leftovers, require_present, write_whole_file
from wsgn.support.mirrors import at_hand, is_there

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
    # Bytes of a tar file that holds many videos; None: a file for each.
    pack_bytes: int | None = None


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
    pack_bytes: int | None = None,
    on_video: Callable[[int], None] = lambda total: None,
) -> Conversion:
    """Write `<folder>/<video>.safetensors` for the annotated videos, or for all without `videos`.

    With `pack_bytes` they come into tar files of at most this size, with an index beside them
    (`wsgn.features.packed`). `dtype` is 'float16' or 'float32', by default float16 where the source
    has it and float32 elsewhere. A video that cannot be read or is not as wide as most is noted and
    passed over. `on_video` is called with the number of videos after each. Raises `InputError`
    where the time base contradicts the annotated durations or the arrays lie the wrong way,
    `OutputError` where a file cannot be written, or is gone at the end, `UsageError` where features
    of the other form lie in the folder, or other ones of the same video are packed.
    """
    with no_empty_folder(folder), _opened_target(folder, pack_bytes, overwrite) as target:
        names = _chosen(reader, videos)
        durations = {video.name: video.duration_seconds for video in videos or ()}
        notes = _Notes()
        infos = _infos(reader, names, durations, dtype, target, notes)
        present = {name for name, info in infos.items() if target.holds(name, info)}
        for name, info in infos.items():
            if name in present:
                notes.kept.append(name)
            else:
                try:
                    target.write(name, info, _file_bytes(name, info, reader.read(name)))
                    notes.written.append(name)
                except InputError as error:
                    notes.failed.append((name, str(error)))
            on_video(len(infos))
        target.finish((*notes.written, *notes.kept))
    return Conversion(
        written=tuple(notes.written),
        kept=tuple(notes.kept),
        failed=tuple(notes.failed),
        num_without_features=0 if videos is None else len(videos) - len(names),
        num_not_annotated=len(reader.names) - len(names),
    )


class _Target(Protocol):
    """Where converted features go."""

    def check_name(self, name: str) -> None:
        """Raise `InputError` for a name that no file there can have."""

    def holds(self, name: str, info: FeatureInfo) -> bool:
        """Whether the file is there already, whole."""

    def write(self, name: str, info: FeatureInfo, data: bytes) -> None:
        """Take a file."""

    def finish(self, names: Sequence[str]) -> None:
        """All are written; these are to be there."""


class _Files:
    """A file for each video."""

    def __init__(self, folder: Path, *, overwrite: bool) -> None:
        self._folder = folder
        self._overwrite = overwrite
        if holds_packs(folder):
            raise UsageError(
                f"{folder} holds packed features, which a training could not tell from others: "
                "choose another folder, or add --pack."
            )
        remove_leftovers(folder)

    def check_name(self, name: str) -> None:
        _require_file_name(name)

    def holds(self, name: str, info: FeatureInfo) -> bool:
        return not self._overwrite and _is_whole(self._path(name), info)

    def write(self, name: str, info: FeatureInfo, data: bytes) -> None:
        write_whole_file(self._path(name), data, what="the feature file")

    def finish(self, names: Sequence[str]) -> None:
        require_present([self._path(name) for name in names])

    def _path(self, name: str) -> Path:
        return self._folder / f"{name}{SUFFIX}"


class _Packs:
    """Many videos in a file."""

    def __init__(self, folder: Path, writer: PackWriter) -> None:
        self._folder = folder
        self._writer = writer

    def check_name(self, name: str) -> None:
        require_member_name(name)

    def holds(self, name: str, info: FeatureInfo) -> bool:
        present = self._writer.info(name)
        if present is None:
            return False
        if not _is_alike(present, info):
            raise UsageError(
                f"{self._folder} holds other features of video '{name}': choose another folder, or "
                "add --overwrite to pack all videos again."
            )
        return True

    def write(self, name: str, info: FeatureInfo, data: bytes) -> None:
        self._writer.add(name, info, data)

    def finish(self, names: Sequence[str]) -> None:
        require_present(self._writer.finish())


@contextmanager
def _opened_target(folder: Path, pack_bytes: int | None, overwrite: bool) -> Iterator[_Target]:
    if pack_bytes is None:
        yield _Files(folder, overwrite=overwrite)
        return
    writer = PackWriter(folder, pack_bytes, overwrite=overwrite)
    try:
        yield _Packs(folder, writer)
    finally:
        writer.close()


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
    target: _Target,
    notes: _Notes,
) -> dict[str, FeatureInfo]:
    """What the files are going to say, of the videos whose headers can be read."""
    infos = {}
    for name in names:
        try:
            target.check_name(name)
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
    if not is_there(path):
        return False
    try:
        with at_hand(path) as here:
            present = read_feature_info(here)
    except InputError:
        return False
    return _is_alike(present, info)


def _is_alike(present: FeatureInfo, info: FeatureInfo) -> bool:
    return replace(present, source="") == replace(info, source="")


def _file_bytes(name: str, info: FeatureInfo, features: Float32Array) -> bytes:
    # What does not fit becomes infinite, and is then refused.
    with np.errstate(over="ignore"):
        values = features.astype(info.dtype)
    if not np.isfinite(values).all():
        raise InputError(
            f"the largest value {np.abs(features).max():g} does not fit into {info.dtype}: convert "
            "to float32."
        )
    return feature_file_bytes(
        f"video '{name}'",
        values,
        info.sampling,
        duration_seconds=info.duration_seconds,
        streams=tuple(stream.name for stream in info.streams),
        stream_sizes=tuple(stream.size for stream in info.streams),
        source=info.source,
    )
