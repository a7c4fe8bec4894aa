"""Files of Charades localization: the annotation CSV and the submission text."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsgn.data.charades import CLASSES as CHARADES_CLASSES
from wsgn.data.charades import NUM_CLASSES, CharadesRow, charades_rows, finite_number
from wsgn.errors import InputError, UsageError
from wsgn.support.arrays import BoolArray, FloatArray
from wsgn.support.files import AtomicFile, output_errors, require_file

NUM_POINTS = 25


@dataclass(frozen=True, kw_only=True, eq=False)
class CharadesTruth:
    """What happens at the 25 points of each of V videos."""

    # (V,) in file order, which decides between equal scores.
    video_ids: tuple[str, ...]
    # (V,)
    length_seconds: FloatArray
    # (V, 25, 157) whether the class holds at the point.
    labels: BoolArray


def points_seconds(length_seconds: float) -> FloatArray:
    """The evaluated times t_j = (j - 1) / 25 * length, (25,)."""
    # Dividing first is part of the protocol: the other order moves points across boundaries.
    return np.arange(NUM_POINTS) / NUM_POINTS * length_seconds


def read_charades(path: str | Path) -> CharadesTruth:
    """Read an annotation CSV with the columns id, actions and length (others are not looked at).

    A class holds at a point where start <= t <= end. Raises `InputError` on a wrong file.
    """
    path = Path(path)
    ids: list[str] = []
    lengths: list[float] = []
    labels: list[BoolArray] = []
    for row in charades_rows(path):
        if row.length_seconds <= 0:
            raise InputError(
                f"{str(path)!r}: the length {row.length_seconds:g} of the video {row.video!r} is "
                "not a positive number of seconds."
            )
        ids.append(row.video)
        lengths.append(row.length_seconds)
        labels.append(_labels(row))
    if not ids:
        raise InputError(f"{str(path)!r} holds no videos.")
    if len(set(ids)) < len(ids):
        twice = next(video for video in ids if ids.count(video) > 1)
        raise InputError(f"{str(path)!r} holds the video {twice!r} twice.")
    return CharadesTruth(
        video_ids=tuple(ids), length_seconds=np.array(lengths), labels=np.stack(labels)
    )


def read_submission(path: str | Path, video_ids: Sequence[str]) -> FloatArray:
    """Scores (V, 25, 157) of a submission, -inf where it has no row.

    Each line is `id point s_1 ... s_157`; points are 1 to 25, or 0 to 24 in a file that has a 0.
    Raises `InputError` on a wrong file or a video that is not among `video_ids`.
    """
    path = Path(path)
    index_of = {video: index for index, video in enumerate(video_ids)}
    # One column more than points, so that both ways of counting fit until the file is read.
    scores = np.full((len(video_ids), NUM_POINTS + 1, NUM_CLASSES), -np.inf)
    seen = np.zeros((len(video_ids), NUM_POINTS + 1), dtype=np.bool_)
    for where, fields in _submission_rows(path):
        if fields[0] not in index_of:
            raise InputError(f"{where}: the video {fields[0]!r} is not in the annotations.")
        video, point = index_of[fields[0]], _point(fields[1], where)
        if seen[video, point]:
            raise InputError(f"{where}: point {point} of {fields[0]!r} comes twice.")
        seen[video, point] = True
        scores[video, point] = _scores(fields[2:], where)
    from_zero, to_last = seen[:, 0].any(), seen[:, NUM_POINTS].any()
    if from_zero and to_last:
        raise InputError(
            f"{str(path)!r} has points 0 and 25; count from 1 to 25 (or from 0 to 24)."
        )
    return scores[:, :-1] if from_zero else scores[:, 1:]


def write_submission(path: str | Path, video_ids: Sequence[str], scores: FloatArray) -> None:
    """Write scores (V, 25, 157) as a submission; points that are -inf throughout are left out.

    Numbers are written so that reading returns the same ones. Raises `UsageError` for a wrong shape
    or NaN, `OutputError` where the file cannot be written.
    """
    wanted = (len(video_ids), NUM_POINTS, NUM_CLASSES)
    if scores.shape != wanted:
        raise UsageError(f"The scores have the shape {scores.shape}; a submission needs {wanted}.")
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise UsageError("A score is NaN or infinite; a submission needs numbers (or -inf).")
    if any(len(video.split()) != 1 for video in video_ids):
        raise UsageError("A video id is empty or holds a space; a submission cannot name it.")
    path = Path(path)
    with output_errors(path), AtomicFile(path) as file:
        for video, rows in zip(video_ids, scores, strict=True):
            lines = [
                f"{video} {point} {' '.join(map(repr, row.tolist()))}\n"
                for point, row in enumerate(rows, start=1)
                if not np.isneginf(row).all()
            ]
            file.write("".join(lines).encode())


def _labels(row: CharadesRow) -> BoolArray:
    """(25, 157): whether each class holds at each point, both ends of an action included."""
    times_seconds = points_seconds(row.length_seconds)
    held = np.zeros((NUM_POINTS, NUM_CLASSES), dtype=np.bool_)
    for label, start, end in row.actions:
        column = CHARADES_CLASSES.index(label)
        held[:, column] |= (start <= times_seconds) & (times_seconds <= end)
    return held


def _submission_rows(path: Path) -> Iterator[tuple[str, list[str]]]:
    try:
        require_file(path, repr(str(path)))
        with path.open(encoding="utf-8-sig") as file:
            for number, line in enumerate(file, start=1):
                fields = line.split()
                where = f"{str(path)!r} line {number}"
                if fields and len(fields) != NUM_CLASSES + 2:
                    raise InputError(
                        f"{where} has {len(fields)} fields where an id, a point and "
                        f"{NUM_CLASSES} scores are needed."
                    )
                if fields:
                    yield where, fields
    except OSError as error:
        raise InputError(f"Cannot read {str(path)!r}: {error.strerror}.") from error
    except UnicodeDecodeError as error:
        raise InputError(f"{str(path)!r} is not a text file: {error}.") from error


def _point(text: str, where: str) -> int:
    number = finite_number(text, f"{where}: point")
    if number not in range(NUM_POINTS + 1):
        raise InputError(f"{where}: the point {text!r} is not a whole number from 1 to 25.")
    return int(number)


def _scores(fields: list[str], where: str) -> FloatArray:
    try:
        scores = np.array(list(map(float, fields)))
    except ValueError as error:
        raise InputError(f"{where}: a score is not a number: {error}.") from error
    if np.isnan(scores).any() or np.isposinf(scores).any():
        raise InputError(f"{where}: a score is NaN or infinite.")
    return scores
