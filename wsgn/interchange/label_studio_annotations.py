"""Annotations that Label Studio exports, as JSON or JSON-MIN: ranges of frames with labels."""

from __future__ import annotations

import re
import urllib.parse
from collections.abc import Iterator
from typing import Any

from wsgn.data.annotations import Annotations, VideoAnnotation, checked_annotations
from wsgn.data.table import DEFAULT_SUBSET
from wsgn.errors import InputError
from wsgn.interchange.annotated import DrawnSegment, annotated_video, tell
from wsgn.interchange.exported import media_name
from wsgn.interchange.label_studio import KIND, NAME, OBJECT, OFFSET, RATE
from wsgn.support.json_input import as_list, as_number, as_object, as_text, member
from wsgn.support.terminal import quoted
from wsgn.video.files import is_video_name, without_video_suffix

# What Label Studio puts before the names of uploaded files.
_UPLOADED = re.compile(r"[0-9a-f]{8}-")
_KEYS = ("data", "annotations", "predictions", "annotation_id", "annotator")
_MOST_RATE = 1000.0


def is_label_studio(document: object) -> bool:
    """Whether it is a list of tasks, or of what JSON-MIN has in place of them."""
    first = document[0] if isinstance(document, list) and document else None
    return isinstance(first, dict) and not first.keys().isdisjoint(_KEYS)


def label_studio_annotations(
    document: list[Any],
    where: str,
    *,
    frame_rate: float | None = None,
    labels_from_segments: bool = False,
) -> Annotations:
    """The annotated tasks of an export; those that nobody has annotated are left out, and told.

    `frame_rate` is of videos whose tasks do not say it. Raises `InputError`.
    """
    videos, num_open = [], 0
    for number, item in enumerate(document, start=1):
        place = f"{where}: task {number}"
        task = as_object(item, place)
        regions = _regions(task, place)
        if regions is None:
            num_open += 1
            continue
        # In JSON-MIN the data stand beside the labels.
        data = as_object(task["data"], f"{place}: 'data'") if "data" in task else task
        videos.append(_video(data, regions, place, frame_rate))
    if num_open and not videos:
        raise InputError(
            f"{where} has {num_open} tasks and no annotation: submit them in Label Studio first, "
            "since predictions are not annotations."
        )
    if num_open:
        tell(where, f"left out {num_open} of {len(document)} tasks, which have no annotation")
    return checked_annotations(where, (), videos, labels_from_segments=labels_from_segments)


def _regions(task: dict[str, Any], where: str) -> list[Any] | None:
    """What was drawn in a task; None where nobody has submitted it."""
    if "annotations" not in task:
        # JSON-MIN has a list for each control; a task that is no annotation has a 'data'.
        return (
            None
            if "data" in task
            else [
                {"type": KIND, "value": value}
                for values in task.values()
                if isinstance(values, list)
                for value in values
                if isinstance(value, dict) and KIND in value
            ]
        )
    found = [
        as_object(one, f"{where}: an annotation")
        for one in as_list(task["annotations"], f"{where}: 'annotations'")
    ]
    kept = [one for one in found if not one.get("was_cancelled")]
    kept = [one for one in kept if one.get("ground_truth") is True] or kept
    if not kept:
        return None
    if len(kept) > 1:
        raise InputError(
            f"{where} has {len(kept)} annotations: delete all but one in Label Studio, or mark one "
            "as ground truth."
        )
    return as_list(member(kept[0], "result", f"{where}: its annotation"), f"{where}: 'result'")


def _video(
    data: dict[str, Any], regions: list[Any], where: str, frame_rate: float | None
) -> VideoAnnotation:
    rate = _rate(data, where, frame_rate)
    others: list[str] = []
    drawn = list(_drawn(regions, where, rate, others))
    if others:
        tell(where, f"left out regions of {quoted(sorted(set(others)))}: {len(others)}")
    offset = as_number(data.get(OFFSET, 0.0), f"{where}: {OFFSET!r}")
    subset = data.get("subset")
    return annotated_video(
        where,
        _name(data, where),
        drawn,
        subset=DEFAULT_SUBSET if subset is None else as_text(subset, f"{where}: 'subset'"),
        start_offset_seconds=offset,
        frame_rate=rate,
    )


def _rate(data: dict[str, Any], where: str, frame_rate: float | None) -> float:
    value = data.get(RATE)
    if value is None:
        if frame_rate is None:
            raise InputError(
                f"{where} counts frames and does not say how many are a second: add "
                f'"{RATE}": 25, or what the video has, to its data, or give wsgn-convert '
                "--annotations-frame-rate."
            )
        return frame_rate
    # What came from a table is text.
    try:
        rate = float(value) if isinstance(value, str) else as_number(value, f"{where}: {RATE!r}")
    except ValueError as error:
        raise InputError(f"{where}: {RATE!r} is text where a number is needed.") from error
    if not 0 < rate <= _MOST_RATE:
        raise InputError(f"{where}: {RATE!r} is {rate:g} where over 0 and at most 1000 is needed.")
    return rate


def _drawn(
    regions: list[Any], where: str, rate: float, others: list[str]
) -> Iterator[DrawnSegment]:
    for item in regions:
        region = as_object(item, f"{where}: a region")
        kind = region.get("type")
        if kind != KIND:
            others.append(str(kind))
            continue
        value = as_object(member(region, "value", f"{where}: a region"), f"{where}: its 'value'")
        labels = as_list(member(value, KIND, f"{where}: a region"), f"{where}: {KIND!r}")
        if not labels:
            raise InputError(f"{where} has a region without a label: give it one, or delete it.")
        for one in as_list(member(value, "ranges", f"{where}: a region"), f"{where}: 'ranges'"):
            start, end = _range(as_object(one, f"{where}: a range"), where)
            for label in labels:
                yield DrawnSegment(
                    label=as_text(label, f"{where}: a label"),
                    start_seconds=max(start - 1, 0) / rate,
                    end_seconds=end / rate,
                )


def _range(found: dict[str, Any], where: str) -> tuple[float, float]:
    """First and last frame, counted from 1."""
    start, end = (
        as_number(member(found, key, f"{where}: a range"), f"{where}: {key!r} of a range")
        for key in ("start", "end")
    )
    if not (start.is_integer() and end.is_integer() and 0 <= start <= end):
        raise InputError(
            f"{where} has a range from frame {start:g} to {end:g}, where whole numbers that do not "
            "run backwards are needed: mend or delete it."
        )
    return start, end


def _name(data: dict[str, Any], where: str) -> str:
    """What the export called it, else the name of its file."""
    if data.get(NAME) is not None:
        return as_text(data[NAME], f"{where}: {NAME!r}")
    texts = [text for text in (data.get(OBJECT), *data.values()) if isinstance(text, str) and text]
    names = [_file_name(text) for text in texts]
    # What has no ending may be one too, where it stands as the video.
    found = next(filter(is_video_name, names), names[0] if data.get(OBJECT) and names else "")
    if not without_video_suffix(found):
        raise InputError(
            f"{where} names no file of a video: its data need a '{OBJECT}' with its address."
        )
    return without_video_suffix(found)


def _file_name(address: str) -> str:
    """The name of the file behind an address, as it was before it was uploaded."""
    try:
        parts = urllib.parse.urlsplit(address)
    except ValueError:
        return ""
    # Files of Label Studio's own machine stand behind ?d=
    asked = urllib.parse.parse_qs(parts.query).get("d")
    path = asked[0] if asked else urllib.parse.unquote(parts.path)
    name = media_name(path)
    return _UPLOADED.sub("", name, count=1) if "/upload/" in path else name
