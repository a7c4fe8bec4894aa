"""ActivityNet-style annotations: which videos there are, and what occurs in them."""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from wsgn.errors import InputError


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


@dataclass(frozen=True, kw_only=True)
class Annotations:
    """A dataset's classes and videos."""

    classes: tuple[str, ...]
    videos: tuple[VideoAnnotation, ...]

    def subset(self, name: str) -> tuple[VideoAnnotation, ...]:
        """The videos of one subset; an `InputError` names those that exist if it has none."""
        videos = tuple(video for video in self.videos if video.subset == name)
        if not videos:
            known = sorted({video.subset for video in self.videos})
            raise InputError(f"no video is in subset '{name}'; there are: {', '.join(known)}.")
        return videos


def read_annotations(path: Path) -> Annotations:
    """Read `database[video] = {subset, duration, labels?, annotations: [{label, segment}]}`.

    Video-level labels are taken from `labels` where a video has them, else from its segments.
    """
    try:
        document = json.loads(path.read_text(encoding="utf-8"))
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise InputError(f"{path} is not a JSON annotation file: {error}.") from error
    database = document.get("database") if isinstance(document, dict) else None
    if not isinstance(database, dict) or not database:
        raise InputError(
            f"{path} names no videos: it must be ActivityNet-style JSON with a 'database'."
        )
    videos = tuple(_video(path, name, entry) for name, entry in sorted(database.items()))
    named = document.get("classes")
    found = sorted({label for video in videos for label in video.labels})
    classes = tuple(named) if named else tuple(found)
    if len(set(classes)) != len(classes) or not classes:
        raise InputError(f"{path} must name at least one class, and each only once.")
    used = {label for video in videos for label, _, _ in video.segments}
    unknown = sorted((set(found) | used) - set(classes))
    if unknown:
        raise InputError(f"{path} uses labels that its 'classes' lack: {', '.join(unknown)}.")
    return Annotations(classes=classes, videos=videos)


def label_vector(labels: Sequence[str], classes: Sequence[str]) -> npt.NDArray[np.float32]:
    """(C,) of 0 and 1."""
    return np.array([label in labels for label in classes], dtype=np.float32)


def snippet_labels(
    video: VideoAnnotation, centre_seconds: npt.NDArray[np.float64], classes: Sequence[str]
) -> npt.NDArray[np.float32]:
    """(T, C): 1 where a snippet's centre lies in a segment of the class."""
    labels = np.zeros((len(centre_seconds), len(classes)), dtype=np.float32)
    for label, start, end in video.segments:
        inside = (centre_seconds >= start) & (centre_seconds <= end)
        labels[inside, classes.index(label)] = 1
    return labels


def _video(path: Path, name: str, entry: Any) -> VideoAnnotation:
    try:
        segments = tuple(
            (str(a["label"]), float(a["segment"][0]), float(a["segment"][1]))
            for a in entry.get("annotations", [])
        )
        labels = entry.get("labels") or sorted({label for label, _, _ in segments})
        if not isinstance(labels, list) or not all(isinstance(label, str) for label in labels):
            raise TypeError("labels must be a list of names")
        duration = entry.get("duration")
        return VideoAnnotation(
            name=name,
            subset=str(entry["subset"]),
            duration_seconds=None if duration is None else float(duration),
            labels=tuple(labels),
            segments=segments,
        )
    except (AttributeError, KeyError, IndexError, TypeError, ValueError) as error:
        raise InputError(
            f"{path}: the entry of video '{name}' must hold a subset and a list of annotations "
            f"with label and segment ({type(error).__name__}: {error})."
        ) from error
