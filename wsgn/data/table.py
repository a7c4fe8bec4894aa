"""Annotations in a table: one row a video, or a row for each action in it."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

from wsgn.data.annotations import Annotations, VideoAnnotation, checked_annotations
from wsgn.data.names import is_background
from wsgn.errors import InputError
from wsgn.support.files import input_errors, require_file
from wsgn.support.terminal import quoted

# What spreadsheets and tools call the columns.
_COLUMNS = {
    "video": ("video", "file", "filename", "file_name", "path", "name", "video_id", "clip"),
    "label": ("label", "class", "action", "labels", "category"),
    "start": ("start", "start_seconds", "begin", "from", "start_time", "t_start"),
    "end": ("end", "end_seconds", "stop", "to", "end_time", "t_end"),
    "subset": ("subset", "split", "partition"),
    "group": ("group", "recording", "person", "subject", "camera", "session"),
    "duration": ("duration", "duration_seconds", "length"),
}
_DELIMITERS = ",;\t"
# Hours and minutes before the seconds may be left out.
_CLOCK = re.compile(r"(?:(?:(\d+):)?(\d{1,3}):)?(\d+(?:\.\d+)?)")
DEFAULT_SUBSET = "train"
_EXAMPLE = "video,label or video,label,start,end,subset"


@dataclass(kw_only=True)
class _Video:
    """What the rows of one video say."""

    line: int
    labels: list[str] = field(default_factory=list)
    segments: list[tuple[str, float, float]] = field(default_factory=list)
    # Each once: the value of a column that must be one for all rows.
    once: dict[str, str] = field(default_factory=dict)


def is_table(path: Path) -> bool:
    """Whether a file's name says that it holds a table."""
    return path.suffix.lower() in (".csv", ".tsv")


def read_table(path: Path, *, labels_from_segments: bool = False) -> Annotations:
    """Read a CSV (or with tabs or semicolons) whose first row names its columns.

    `video` and `label` are needed; `start` and `end` (seconds, or 1:02.5), `subset`, `group` and
    `duration` are looked at where they are there. A video has as many rows as actions; a label that
    is empty, or `background`, says that nothing of interest happens. Several labels in a cell are
    divided by `|`.

    Raises:
        InputError: the file cannot be read, or a row is wrong; it says which.
    """
    videos: dict[str, _Video] = {}
    for line, row in _rows(path):
        where = f"{path} line {line}"
        name = row.get("video", "")
        if not name:
            raise InputError(f"{where} names no video.")
        _add(videos.setdefault(name, _Video(line=line)), row, where)
    annotated = [_annotation(path, name, video) for name, video in videos.items()]
    return checked_annotations(str(path), (), annotated, labels_from_segments=labels_from_segments)


def _rows(path: Path) -> Iterator[tuple[int, dict[str, str]]]:
    """Line numbers and cells by column; empty rows are left out."""
    try:
        with input_errors(str(path)):
            require_file(path, path)
            # A byte order mark is what spreadsheets begin with.
            with path.open(encoding="utf-8-sig", newline="") as file:
                first = file.readline()
                file.seek(0)
                reader = csv.reader(file, delimiter=_delimiter(first), strict=True)
                columns = _columns(path, next(reader, []))
                for cells in reader:
                    if any(cell.strip() for cell in cells):
                        yield reader.line_num, _row(path, reader.line_num, columns, cells)
    except (csv.Error, UnicodeDecodeError) as error:
        raise InputError(f"{path} is not a table of text: {error}.") from error


def _delimiter(first: str) -> str:
    return max(_DELIMITERS, key=first.count)


def _columns(path: Path, heading: Sequence[str]) -> list[str | None]:
    """The meaning of each column; None for those that have none here."""
    meanings = {word: column for column, words in _COLUMNS.items() for word in words}
    found = [meanings.get(cell.strip().lower().replace(" ", "_")) for cell in heading]
    for column in _COLUMNS:
        if found.count(column) > 1:
            raise InputError(f"{path} has two columns for the {column}: leave one.")
    if "video" not in found or "label" not in found:
        raise InputError(
            f"the first row of {path} is {quoted(list(heading))}: it must name the columns, at "
            f"least video and label ({_EXAMPLE})."
        )
    if ("start" in found) != ("end" in found):
        raise InputError(f"{path} has only one of the columns start and end: add the other.")
    return found


def _row(
    path: Path, line: int, columns: Sequence[str | None], cells: Sequence[str]
) -> dict[str, str]:
    if len(cells) > len(columns):
        raise InputError(
            f"{path} line {line} has {len(cells)} cells for {len(columns)} columns: put a name "
            'that holds the delimiter into quotes (").'
        )
    pairs = zip(columns, cells, strict=False)
    return {column: cell.strip() for column, cell in pairs if column is not None}


def _add(video: _Video, row: dict[str, str], where: str) -> None:
    for column in ("subset", "group", "duration"):
        value = row.get(column, "")
        if value and video.once.setdefault(column, value) != value:
            raise InputError(
                f"{where}: the {column} is {value!r}, and was {video.once[column]!r} in an earlier "
                "row of the same video."
            )
    labels = [part.strip() for part in row.get("label", "").split("|")]
    labels = [label for label in labels if not is_background(label)]
    video.labels += labels
    times = [_seconds(row.get(column, ""), f"{where}: the {column}") for column in ("start", "end")]
    start, end = times
    if (start is None) != (end is None):
        raise InputError(f"{where} has only one of start and end: give both, or none.")
    if start is not None and end is not None:
        video.segments += [(label, start, end) for label in labels]


def _seconds(text: str, where: str) -> float | None:
    if not text:
        return None
    found = _CLOCK.fullmatch(text.replace(",", "."))
    if found is None:
        raise InputError(
            f"{where} is {text!r} where seconds, or hours:minutes:seconds, are needed."
        )
    hours, minutes, seconds = found.groups()
    return 3600 * int(hours or 0) + 60 * int(minutes or 0) + float(seconds)


def _annotation(path: Path, name: str, video: _Video) -> VideoAnnotation:
    located = {label for label, _, _ in video.segments}
    if located and (bare := sorted(set(video.labels) - located)):
        raise InputError(
            f"{path} line {video.line}: video {name!r} has times for some labels and none for "
            f"{quoted(bare)}: give all of them times, or none."
        )
    return VideoAnnotation(
        name=name,
        subset=video.once.get("subset", DEFAULT_SUBSET),
        duration_seconds=_seconds(video.once.get("duration", ""), f"{path}: the duration"),
        labels=tuple(sorted(set(video.labels))),
        segments=tuple(video.segments),
        group=video.once.get("group", ""),
    )
