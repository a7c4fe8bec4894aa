"""Annotations of a dataset: which videos there are, and what occurs in them."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np

from wsgn.data.names import is_background
from wsgn.errors import InputError
from wsgn.manifest import SYNTHETIC
from wsgn.support.arrays import Float32Array, FloatArray
from wsgn.support.files import write_whole_file
from wsgn.support.json_input import (
    as_list,
    as_number,
    as_object,
    as_segment,
    as_text,
    member,
    read_object,
)
from wsgn.support.terminal import holds_controls, json_text, quoted

_LOGGER = logging.getLogger("wsgn.data")


# What wsgn-synthesize writes into `version`, by what it is: the names are those of provenance.
SYNTHETIC_VERSIONS = {name: f"wsgn-{name.replace(' ', '-')}-" for name in SYNTHETIC}
_LONGEST_NAME = 200


@dataclass(frozen=True, kw_only=True)
class VideoAnnotation:
    """What is known of one video."""

    name: str
    subset: str
    # None where the file does not say.
    duration_seconds: float | None
    # Video-level labels: all that weak supervision sees.
    labels: tuple[str, ...]
    # (label, start_seconds, end_seconds), for scoring and for the supervised variant only.
    segments: tuple[tuple[str, float, float], ...]
    # Frames per second of the video file; None where the file does not say.
    frame_rate: float | None = None
    # (start_seconds, end_seconds) in which nobody can say what happens.
    ambiguous: tuple[tuple[float, float], ...] = ()
    # The recording, person or camera that it comes from; empty where the file does not say.
    group: str = ""


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """A dataset's classes and videos."""

    classes: tuple[str, ...]
    videos: tuple[VideoAnnotation, ...]
    # What people call it, such as the file's name; empty where nothing says.
    dataset: str = field(default="", compare=False)

    def subset(self, name: str) -> tuple[VideoAnnotation, ...]:
        """The videos of one subset; an `InputError` names those that exist if it has none."""
        videos = tuple(video for video in self.videos if video.subset == name)
        if not videos:
            known = sorted({video.subset for video in self.videos})
            raise InputError(f"no video is in subset '{name}'; there are: {', '.join(known)}.")
        return videos


def read_activitynet(path: Path, *, labels_from_segments: bool = False) -> Annotations:
    """Read a dataset's classes and videos from ActivityNet-style JSON; times are seconds.

    Raises:
        InputError: the file cannot be read, or a field is wrong; it says which.
    """
    return activitynet_annotations(
        read_object(path), path, labels_from_segments=labels_from_segments
    )


def activitynet_annotations(
    document: dict[str, Any], path: Path, *, labels_from_segments: bool = False
) -> Annotations:
    """As `read_activitynet`, of a document that was read from the path."""
    where = repr(str(path))
    database = as_object(member(document, "database", where), f"{where}: 'database'")
    videos = [
        _video(f"{where}: video {name!r}", name, entry) for name, entry in sorted(database.items())
    ]
    named = document.get("classes")
    classes: tuple[str, ...] = ()
    if named is not None:
        listed = as_list(named, f"{where}: 'classes'")
        classes = tuple(as_text(name, f"{where}: a class") for name in listed)
    found = checked_annotations(where, classes, videos, labels_from_segments=labels_from_segments)
    return replace(found, dataset=_synthetic_name(document) or dataset_name(path))


def _synthetic_name(document: dict[str, Any]) -> str:
    """That the videos are drawn or made up, where the file says so."""
    version = document.get("version")
    for name, prefix in SYNTHETIC_VERSIONS.items():
        if isinstance(version, str) and version.startswith(prefix):
            return name
    return ""


def dataset_name(path: Path) -> str:
    """What people call a dataset whose annotations lie here: the file's own name."""
    path = path.absolute()
    name = path.parent.name if path.stem == "annotations" else path.stem
    # It goes into engines, whose names are text.
    return name.encode("utf-8", "replace").decode()[:_LONGEST_NAME]


def checked_annotations(
    where: str,
    classes: tuple[str, ...],
    videos: Iterable[VideoAnnotation],
    *,
    labels_from_segments: bool = False,
) -> Annotations:
    """Annotations whose names fit each other; without classes those that are used, sorted.

    A duration or a frame rate that no video has, such as 0, counts as unknown, with a notice.
    """
    videos = _with_possible_numbers(where, videos)
    _require_segments(where, videos)
    videos = tuple(_with_segment_labels(v) if labels_from_segments else v for v in videos)
    if not videos:
        raise InputError(f"{where} names no videos.")
    if len({video.name for video in videos}) < len(videos):
        raise InputError(f"{where} names a video twice.")
    used = {label for video in videos for label in video.labels}
    used |= {label for video in videos for label, _, _ in video.segments}
    if not classes:
        classes = tuple(sorted(used))
        _tell_of_background(where, classes)
    if odd := [name for name in classes if holds_controls(name)]:
        raise InputError(
            f"{where}: the class {quoted(odd[:1])} holds a control character: name it otherwise."
        )
    if len(set(classes)) != len(classes) or not classes:
        raise InputError(f"{where} must name at least one class, and each only once.")
    unknown = sorted(used - set(classes))
    if unknown:
        raise InputError(f"{where} uses labels that its 'classes' lack: {quoted(unknown)}.")
    return Annotations(classes=classes, videos=videos)


def write_annotations(path: Path, annotations: Annotations) -> None:
    """Write ActivityNet-style JSON that `read_activitynet` reads back as it was."""
    database = {video.name: _entry(video) for video in annotations.videos}
    document: dict[str, Any] = {"classes": annotations.classes, "database": database}
    if annotations.dataset in SYNTHETIC_VERSIONS:
        # Or engines that are made of these would pass for others.
        document["version"] = f"{SYNTHETIC_VERSIONS[annotations.dataset]}1"
    data = json_text(document, indent=1).encode()
    write_whole_file(path, data, what="the annotations")


def label_vector(labels: Sequence[str], classes: Sequence[str]) -> Float32Array:
    """(C,) of 0 and 1."""
    return np.array([label in labels for label in classes], dtype=np.float32)


def snippet_labels(
    video: VideoAnnotation, centre_seconds: FloatArray, classes: Sequence[str]
) -> Float32Array:
    """(T, C): 1 where a snippet's centre lies in a segment of the class."""
    labels = np.zeros((len(centre_seconds), len(classes)), dtype=np.float32)
    for label, start, end in video.segments:
        inside = (centre_seconds >= start) & (centre_seconds <= end)
        labels[inside, classes.index(label)] = 1
    return labels


def _with_segment_labels(video: VideoAnnotation) -> VideoAnnotation:
    return replace(video, labels=_labels_of(video.segments))


def _labels_of(segments: Iterable[tuple[str, float, float]]) -> tuple[str, ...]:
    return tuple(sorted({label for label, _, _ in segments}))


def _video(where: str, name: str, value: Any) -> VideoAnnotation:
    entry = as_object(value, where)
    segments = tuple(
        _segment(item, f"{where}: an annotation")
        for item in as_list(entry.get("annotations") or [], f"{where}: 'annotations'")
    )
    labels = entry.get("labels")
    return VideoAnnotation(
        name=name,
        subset=as_text(member(entry, "subset", where), f"{where}: 'subset'"),
        duration_seconds=_number(entry, "duration", where),
        labels=_labels_of(segments)
        if labels is None
        else tuple(as_text(label, f"{where}: a label") for label in _label_list(labels, where)),
        segments=segments,
        frame_rate=_frame_rate(entry, where),
        ambiguous=tuple(
            as_segment(span, f"{where}: an ambiguous interval")
            for span in as_list(entry.get("ambiguous") or [], f"{where}: 'ambiguous'")
        ),
        group=as_text(entry["group"], f"{where}: 'group'") if entry.get("group") else "",
    )


def _segment(value: Any, where: str) -> tuple[str, float, float]:
    annotation = as_object(value, where)
    label = as_text(member(annotation, "label", where), f"{where}: 'label'")
    start, end = as_segment(
        member(annotation, "segment", where), f"{where}: a segment of {label!r}"
    )
    return label, start, end


def _label_list(value: Any, where: str) -> list[Any]:
    return as_list(value, f"{where}: 'labels'")


def _number(entry: dict[str, Any], key: str, where: str) -> float | None:
    return None if entry.get(key) is None else as_number(entry[key], f"{where}: {key!r}")


def _frame_rate(entry: dict[str, Any], where: str) -> float | None:
    """`fps` as in ActionFormer's files, or `frame` (their number) as in OpenTAD's."""
    rate = _number(entry, "fps", where)
    frames, duration = _number(entry, "frame", where), _number(entry, "duration", where)
    if rate is None and _is_possible(frames) and _is_possible(duration):
        assert frames is not None
        assert duration is not None
        rate = frames / duration
    return rate


def _is_possible(number: float | None) -> bool:
    return number is not None and 0 < number < math.inf


def _with_possible_numbers(
    where: str, videos: Iterable[VideoAnnotation]
) -> tuple[VideoAnnotation, ...]:
    found, odd = [], []
    for video in videos:
        duration, rate = video.duration_seconds, video.frame_rate
        if duration is not None and not _is_possible(duration):
            odd.append(f"video {video.name!r} has the duration {duration:g}")
            duration = None
        if rate is not None and not _is_possible(rate):
            odd.append(f"video {video.name!r} has the frame rate {rate:g}")
            rate = None
        found.append(replace(video, duration_seconds=duration, frame_rate=rate))
    if odd:
        more = f" (and {len(odd) - 1} more like it)" if len(odd) > 1 else ""
        _LOGGER.warning("%s: %s%s, which counts as unknown.", where, odd[0], more)
    return tuple(found)


def _tell_of_background(where: str, classes: Sequence[str]) -> None:
    """Folders and tables have no such class; JSON may name one that is an action."""
    if names := [name for name in classes if is_background(name)]:
        _LOGGER.warning(
            "%s: %s is learned and found as an action: where it says that nothing happens, leave "
            "it out and give those videos an empty list of labels; else name it in 'classes'.",
            where,
            quoted(names[:1]),
        )


def _require_segments(where: str, videos: Iterable[VideoAnnotation]) -> None:
    for video in videos:
        spans = [*video.ambiguous, *((start, end) for _, start, end in video.segments)]
        for start, end in spans:
            if not (math.isfinite(start) and math.isfinite(end)):
                raise InputError(
                    f"{where}: video {video.name!r} has a segment from {start} to {end} where "
                    "finite seconds are needed."
                )
            if end < start:
                raise InputError(
                    f"{where}: video {video.name!r} has a segment that ends at {end} s, before it "
                    f"starts at {start} s."
                )


def _entry(video: VideoAnnotation) -> dict[str, Any]:
    group = {"group": video.group} if video.group else {}
    return group | {
        "subset": video.subset,
        "duration": video.duration_seconds,
        "fps": video.frame_rate,
        "labels": video.labels,
        "annotations": [
            {"label": label, "segment": [start, end]} for label, start, end in video.segments
        ],
        "ambiguous": video.ambiguous,
    }
