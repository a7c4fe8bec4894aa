"""Annotations of Charades: its CSV files as a dataset."""

from __future__ import annotations

import csv
import math
import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path

from wsgn.data.annotations import Annotations, VideoAnnotation, checked_annotations
from wsgn.errors import InputError
from wsgn.support.files import require_file

NUM_CLASSES = 157
CLASSES = tuple(f"c{index:03d}" for index in range(NUM_CLASSES))

_COLUMNS = ("id", "actions", "length")
_ACTION = re.compile(r"(c\d{3})\s+(\S+)\s+(\S+)")


@dataclass(frozen=True, kw_only=True)
class CharadesRow:
    """One video of a Charades CSV."""

    video: str
    # As the file has it; 0 in some.
    length_seconds: float
    # (class, start_seconds, end_seconds) in the order of the file; some run backwards.
    actions: tuple[tuple[str, float, float], ...]


def is_charades(path: Path) -> bool:
    """Whether the first row of a CSV has the columns of Charades."""
    try:
        with path.open(encoding="utf-8-sig", newline="") as file:
            heading = next(csv.reader(file), [])
    except (OSError, csv.Error, UnicodeDecodeError):
        return False
    return {"id", "actions"} <= set(heading)


def charades_rows(path: Path) -> Iterator[CharadesRow]:
    """The rows of a CSV with the columns id, actions and length (others are not looked at)."""
    try:
        require_file(path, path)
        with path.open(encoding="utf-8-sig", newline="") as file:
            reader = csv.DictReader(file, restval="")
            columns = list(reader.fieldnames or ())
            missing = [name for name in _COLUMNS if name not in columns]
            if missing:
                raise InputError(f"{path} is not a Charades CSV: no column {', '.join(missing)}.")
            twice = [name for name in _COLUMNS if columns.count(name) > 1]
            if twice:
                raise InputError(f"{path} has the column {twice[0]} twice.")
            for row in reader:
                yield _row(row, f"{path} line {reader.line_num}")
    except OSError as error:
        raise InputError(f"{path} cannot be read: {error.strerror}.") from error
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a CSV file: {error}.") from error


def read_charades_annotations(
    paths: Mapping[str, Path], *, labels_from_segments: bool = False
) -> Annotations:
    """The videos of one CSV per subset, with the classes c000 to c156.

    The labels of a video are its actions. An action that ends before it starts is kept as a label
    and left out of the segments.
    """
    videos = [
        VideoAnnotation(
            name=row.video,
            subset=subset,
            duration_seconds=row.length_seconds,
            labels=tuple(sorted({label for label, _, _ in row.actions})),
            segments=tuple(action for action in row.actions if action[1] <= action[2]),
        )
        for subset, path in paths.items()
        for row in charades_rows(path)
    ]
    where = " and ".join(str(path) for path in paths.values())
    return checked_annotations(where, CLASSES, videos, labels_from_segments=labels_from_segments)


def _row(row: dict[str, str], where: str) -> CharadesRow:
    if not row["id"]:
        raise InputError(f"{where} has no video id.")
    length = finite_number(row["length"], f"{where}: length")
    parts = filter(None, (part.strip() for part in row["actions"].split(";")))
    return CharadesRow(
        video=row["id"],
        length_seconds=length,
        actions=tuple(_action(part, where) for part in parts),
    )


def _action(text: str, where: str) -> tuple[str, float, float]:
    match = _ACTION.fullmatch(text)
    if match is None or match[1] not in CLASSES:
        raise InputError(f"{where}: {text!r} is not an action like 'c092 11.90 21.20'.")
    start, end = (finite_number(number, f"{where}: {text!r}") for number in match.groups()[1:])
    return match[1], start, end


def finite_number(text: str, where: str) -> float:
    """The number that a text is, which must be finite; `where` names it in the error."""
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        raise InputError(f"{where}: {text!r} is not a number.")
    return number
