"""The results of all sources of a run in one document, beside those of each."""

from __future__ import annotations

import csv
import json
import math
import os
from collections.abc import Callable, Sequence
from dataclasses import replace
from pathlib import Path

from wsgn.errors import InputError, OutputError
from wsgn.localization.segments import Segment
from wsgn.support.json_input import read_object
from wsgn.support.mirrors import at_hand

from ..events import RunEvent
from ..writers import ResultFile, SourceResult, render_csv, render_json

# What these documents are called, without their endings.
JOINED_NAME = "detections"
# Formats that have one.
JOINED_FORMATS: dict[str, Callable[[Sequence[SourceResult]], str]] = {
    "json": render_json,
    "csv": render_csv,
}

# Of a first line: options have no more.
_MOST_LETTERS = 1 << 20


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
        found = _read(path, kind)
        if kind == "json":
            (only,) = found.values()
        else:
            # A source without segments has no rows.
            (only,) = found.values() or (SourceResult(name=name, segments=()),)
    except _UNREADABLE as error:
        raise _unreadable(path) from error
    return replace(only, name=name)


def _unreadable(path: Path) -> OutputError:
    return OutputError(
        f"the earlier result '{os.fspath(path)}' cannot be read: remove it, or add --overwrite."
    )


def difference_of_run(path: Path, run: RunEvent) -> str:
    """In what the run that wrote a source's .jsonl was another one than this; empty if in nothing.

    Raises `OutputError` where that cannot be read.
    """
    try:
        with at_hand(path) as file, file.open(encoding="utf-8") as lines:
            first = json.loads(lines.readline(_MOST_LETTERS))
        if first["engine_sha256"] != run.engine_sha256:
            return "another engine"
        same = first["parameters"] == json.loads(json.dumps(run.parameters))
    except _UNREADABLE as error:
        raise _unreadable(path) from error
    return "" if same else "other options of detection"


def read_joined(path: Path, kind: str) -> dict[str, SourceResult]:
    """By name, the results in a document of several sources; a CSV has those with segments.

    Raises `InputError`.
    """
    try:
        return _read(path, kind)
    except _UNREADABLE as error:
        raise InputError(
            f"'{os.fspath(path)}' cannot be read ({error}): run its shard once more."
        ) from error


_UNREADABLE = (InputError, OSError, ValueError, KeyError, TypeError, csv.Error)


def _read(path: Path, kind: str) -> dict[str, SourceResult]:
    with at_hand(path) as file:
        return _read_json(file) if kind == "json" else _read_csv(file)


def _read_json(path: Path) -> dict[str, SourceResult]:
    document = read_object(path)
    offsets = dict(document["external_data"]["start_offset_seconds"])
    results = {}
    for name, found in dict(document["results"]).items():
        segments = []
        for one in found:
            start, end = one["segment"]
            segments.append(_segment(one["label"], start, end, one["score"]))
        results[name] = SourceResult(
            name=name, segments=tuple(segments), start_offset_seconds=float(offsets[name])
        )
    return results


def _read_csv(path: Path) -> dict[str, SourceResult]:
    """Segments by name; a CSV does not say where a source begins."""
    with path.open(encoding="utf-8", newline="") as text:
        rows = list(csv.DictReader(text, strict=True))
    segments: dict[str, list[Segment]] = {}
    for row in rows:
        segments.setdefault(row["video"], []).append(
            _segment(row["label"], row["start_seconds"], row["end_seconds"], row["score"])
        )
    return {name: SourceResult(name=name, segments=tuple(s)) for name, s in segments.items()}


def _segment(label: str, start: object, end: object, score: object) -> Segment:
    if not isinstance(label, str):
        raise TypeError(label)
    numbers = [float(str(value)) for value in (start, end, score)]
    if not all(map(math.isfinite, numbers)):
        raise ValueError(numbers)
    return Segment(label=label, start_seconds=numbers[0], end_seconds=numbers[1], score=numbers[2])
