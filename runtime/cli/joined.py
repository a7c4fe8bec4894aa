"""The results of all sources of a run in one document, beside those of each."""

from __future__ import annotations

import csv
import math
import os
from collections.abc import Callable, Sequence
from pathlib import Path

from wsgn.errors import InputError, OutputError
from wsgn.localization.segments import Segment
from wsgn.support.json_input import read_object

from ..writers import ResultFile, SourceResult, render_csv, render_json

# What these documents are called, without their endings.
JOINED_NAME = "detections"
# Formats that have one.
JOINED_FORMATS: dict[str, Callable[[Sequence[SourceResult]], str]] = {
    "json": render_json,
    "csv": render_csv,
}


def write_joined(path: Path, kind: str, results: Sequence[SourceResult]) -> None:
    """Write the results of several sources, in their order. Raises `OutputError`."""
    file = ResultFile(path)
    try:
        file.write(JOINED_FORMATS[kind](results))
        file.commit()
    finally:
        file.discard()


def earlier_result(path: Path, kind: str, name: str) -> SourceResult:
    """What an earlier run wrote of one source, whatever that was called then.

    Raises `OutputError` where it cannot be read.
    """
    try:
        read = _read_json if kind == "json" else _read_csv
        segments, offset = read(path)
    except (InputError, OSError, ValueError, KeyError, TypeError, csv.Error) as error:
        raise OutputError(
            f"the earlier result '{os.fspath(path)}' cannot be read: remove it, or add --overwrite."
        ) from error
    return SourceResult(name=name, segments=segments, start_offset_seconds=offset)


def _read_json(path: Path) -> tuple[tuple[Segment, ...], float]:
    document = read_object(path)
    (found,) = dict(document["results"]).values()
    (offset,) = dict(document["external_data"]["start_offset_seconds"]).values()
    segments = []
    for one in found:
        start, end = one["segment"]
        segments.append(_segment(one["label"], start, end, one["score"]))
    return tuple(segments), float(offset)


def _read_csv(path: Path) -> tuple[tuple[Segment, ...], float]:
    """Segments; a CSV does not say where the source begins."""
    with path.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text, strict=True))
    segments = [
        _segment(row["label"], row["start_seconds"], row["end_seconds"], row["score"])
        for row in rows
    ]
    return tuple(segments), 0.0


def _segment(label: str, start: object, end: object, score: object) -> Segment:
    if not isinstance(label, str):
        raise TypeError(label)
    numbers = [float(str(value)) for value in (start, end, score)]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(numbers)
    return Segment(label=label, start_seconds=numbers[0], end_seconds=numbers[1], score=numbers[2])
