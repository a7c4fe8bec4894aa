"""Ground truth of temporal action detection and its reader."""

from __future__ import annotations

from collections.abc import Container, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from pathlib import Path
from typing import Any

import numpy as np

from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.data.layouts import is_single_json, read_annotations, tool_annotations
from wsgn.errors import InputError
from wsgn.support.arrays import FloatArray, IntArray
from wsgn.support.json_input import (
    as_label,
    as_list,
    as_object,
    as_segment,
    as_text,
    member,
    read_json,
    whole_object,
)


@dataclass(frozen=True, kw_only=True, eq=False)
class Truth:
    """The annotated segments of V videos: I instances of C classes and A ambiguous intervals."""

    # (V,) the evaluated videos, also those without an instance.
    videos: tuple[str, ...]
    # (C,) every label that may occur.
    classes: tuple[str, ...]
    # (I,) indices into `videos` and `classes`, and times in seconds, in file order.
    instance_videos: IntArray
    instance_classes: IntArray
    instance_start_seconds: FloatArray
    instance_end_seconds: FloatArray
    # (A,) intervals in which nobody can say what happens: indices into `videos`, times in seconds.
    ambiguous_videos: IntArray = field(default_factory=lambda: np.zeros(0, dtype=np.int64))
    ambiguous_start_seconds: FloatArray = field(default_factory=lambda: np.zeros(0))
    ambiguous_end_seconds: FloatArray = field(default_factory=lambda: np.zeros(0))
    # The subsets that `videos` come from.
    subsets: tuple[str, ...] = ()
    # Videos of the dataset's other subsets; detections in them are ignored, not an error.
    other_videos: frozenset[str] = frozenset()

    def __post_init__(self) -> None:
        """Check that the columns belong together."""
        for prefix in ("instance", "ambiguous"):
            names = [column.name for column in fields(self) if column.name.startswith(prefix)]
            lengths = {name: len(getattr(self, name)) for name in names}
            if len(set(lengths.values())) > 1:
                raise InputError(f"The columns of a truth differ in length: {lengths}.")

    def only(self, names: Container[str]) -> Truth:
        """The truth of some of its videos; the rest are other videos then."""
        kept = np.array([video in names for video in self.videos], dtype=np.bool_)
        number = np.cumsum(kept) - 1
        instances, ambiguous = kept[self.instance_videos], kept[self.ambiguous_videos]
        left_out = {video for video in self.videos if video not in names}
        return replace(
            self,
            videos=tuple(video for video in self.videos if video in names),
            instance_videos=number[self.instance_videos[instances]],
            instance_classes=self.instance_classes[instances],
            instance_start_seconds=self.instance_start_seconds[instances],
            instance_end_seconds=self.instance_end_seconds[instances],
            ambiguous_videos=number[self.ambiguous_videos[ambiguous]],
            ambiguous_start_seconds=self.ambiguous_start_seconds[ambiguous],
            ambiguous_end_seconds=self.ambiguous_end_seconds[ambiguous],
            other_videos=self.other_videos | left_out,
        )


def read_truth(path: str | Path, subset: str | None = None) -> Truth:
    """Read the ground truth of a dataset.

    Args:
        path: a table with `start` and `end` (`wsgn.data.table`), files of ELAN, Label Studio or
            VIA as `read_annotations` takes them, or a JSON object with
            `database[video] = {subset, annotations: [{label, segment}]}`, times in seconds;
            `classes` (all labels) and each video's `ambiguous` intervals are optional.
        subset: selects videos; None takes all.

    Raises:
        InputError: the file cannot be read, a field is wrong, or no video is in the subset.
    """
    path = Path(path)
    if not is_single_json(path):
        return _annotated_truth(read_annotations(path), path, subset)
    document = read_json(path)
    if (found := tool_annotations(document, path)) is not None:
        return _annotated_truth(found, path, subset)
    document = whole_object(document, f"'{path}'")
    where = repr(str(path))
    database = as_object(member(document, "database", where), f"{where}: 'database'")
    entries = {
        video: as_object(entry, f"{where}: video {video!r}") for video, entry in database.items()
    }
    subset_of = {
        video: as_text(member(entry, "subset", f"{where}: video {video!r}"), f"{where}: 'subset'")
        for video, entry in entries.items()
    }
    chosen = {video: entries[video] for video in entries if subset in (None, subset_of[video])}
    if not chosen:
        raise InputError(_nothing_chosen(where, subset, subset_of.values()))
    columns = _Columns(where=where, classes=_classes(document, entries, where))
    for video, entry in chosen.items():
        columns.add(video, entry)
    return columns.truth(
        subsets=tuple(sorted({subset_of[video] for video in chosen})),
        other_videos=frozenset(entries.keys() - chosen.keys()),
    )


def truth_of(videos: Sequence[VideoAnnotation], classes: Sequence[str]) -> Truth:
    """The segments of annotated videos as the metric wants them."""
    rows = [
        (index, classes.index(label), start, end)
        for index, video in enumerate(videos)
        for label, start, end in video.segments
    ]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Truth(
        videos=tuple(video.name for video in videos),
        classes=tuple(classes),
        instance_videos=columns[:, 0].astype(np.int64),
        instance_classes=columns[:, 1].astype(np.int64),
        instance_start_seconds=columns[:, 2],
        instance_end_seconds=columns[:, 3],
    )


def _annotated_truth(annotations: Annotations, path: Path, subset: str | None) -> Truth:
    """The truth of other layouts; a folder for each class has no segments to give."""
    where = repr(str(path))
    chosen = [video for video in annotations.videos if subset in (None, video.subset)]
    if not chosen:
        raise InputError(
            _nothing_chosen(where, subset, (video.subset for video in annotations.videos))
        )
    for video in chosen:
        if video.labels and not video.segments:
            raise InputError(
                f"{where}: video {video.name!r} has labels only, and no times of them."
            )
    names = {video.name for video in chosen}
    return replace(
        truth_of(chosen, annotations.classes),
        subsets=tuple(sorted({video.subset for video in chosen})),
        other_videos=frozenset(v.name for v in annotations.videos if v.name not in names),
    )


def _nothing_chosen(where: str, subset: str | None, subsets: Iterable[str]) -> str:
    known = ", ".join(repr(name) for name in sorted(set(subsets)))
    if not known:
        return f"{where} holds no videos."
    return f"{where} has no subset {subset!r}; it has {known}."


def _classes(
    document: dict[str, Any], entries: dict[str, dict[str, Any]], where: str
) -> tuple[str, ...]:
    """The file's `classes`, or else every label that any of its subsets uses."""
    if "classes" in document:
        listed = as_list(document["classes"], f"{where}: 'classes'")
        # Twice the same name would give the second one no instances.
        return tuple(dict.fromkeys(as_label(name, f"{where}: a class") for name in listed))
    found: set[str] = set()
    for entry in entries.values():
        found.update(label for label in _items(entry, "labels") if isinstance(label, str))
        labels = (item.get("label") for item in _items(entry, "annotations") if type(item) is dict)
        found.update(label for label in labels if isinstance(label, str))
    return tuple(sorted(found))


def _items(entry: dict[str, Any], key: str) -> list[Any]:
    # Other subsets are looked through for labels only; what is wrong in them does no harm.
    value = entry.get(key)
    return value if isinstance(value, list) else []


class _Columns:
    """Collects the columns of a `Truth` video by video."""

    def __init__(self, *, where: str, classes: tuple[str, ...]) -> None:
        self._where = where
        self._classes = classes
        self._class_index = {label: index for index, label in enumerate(classes)}
        self._videos: list[str] = []
        # Rows of (video, class, start, end) and of (video, start, end).
        self._instances: list[tuple[int, int, float, float]] = []
        self._ambiguous: list[tuple[int, float, float]] = []

    def add(self, video: str, entry: dict[str, Any]) -> None:
        where = f"{self._where}: video {video!r}"
        index = len(self._videos)
        self._videos.append(video)
        for item in as_list(member(entry, "annotations", where), f"{where}: 'annotations'"):
            annotation = as_object(item, f"{where}: an annotation")
            label = as_label(
                member(annotation, "label", f"{where}: an annotation"), f"{where}: a label"
            )
            if label not in self._class_index:
                raise InputError(f"{where} has the label {label!r}, which 'classes' does not list.")
            span = member(annotation, "segment", f"{where}: an annotation")
            start, end = as_segment(span, f"{where}: a segment of {label!r}")
            self._instances.append((index, self._class_index[label], start, end))
        for span in as_list(entry.get("ambiguous") or [], f"{where}: 'ambiguous'"):
            start, end = as_segment(span, f"{where}: an ambiguous interval")
            self._ambiguous.append((index, start, end))

    def truth(self, *, subsets: tuple[str, ...], other_videos: frozenset[str]) -> Truth:
        instances = np.array(self._instances, dtype=np.float64).reshape(-1, 4)
        ambiguous = np.array(self._ambiguous, dtype=np.float64).reshape(-1, 3)
        return Truth(
            videos=tuple(self._videos),
            classes=self._classes,
            instance_videos=instances[:, 0].astype(np.int64),
            instance_classes=instances[:, 1].astype(np.int64),
            instance_start_seconds=instances[:, 2],
            instance_end_seconds=instances[:, 3],
            ambiguous_videos=ambiguous[:, 0].astype(np.int64),
            ambiguous_start_seconds=ambiguous[:, 1],
            ambiguous_end_seconds=ambiguous[:, 2],
            subsets=subsets,
            other_videos=other_videos,
        )
