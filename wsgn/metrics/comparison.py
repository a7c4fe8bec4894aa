"""Several results side by side: a row for each, mean and deviation over those of a group."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wsgn.data.charades import CLASSES as CHARADES_CLASSES
from wsgn.metrics.charades import CharadesResult
from wsgn.metrics.detection import DetectionResult
from wsgn.support.arrays import FloatArray
from wsgn.support.mirrors import with_places
from wsgn.support.table_formats import Cell, spread


@dataclass(frozen=True, kw_only=True, eq=False)
class Figures:
    """What a result file is worth, as a row of numbers in percent."""

    # What a table of one file calls the figures' names, and all classes together.
    corner: str
    all_classes: str
    # (K,) names of the figures.
    heading: tuple[str, ...]
    # (K,)
    overall: FloatArray
    # (K,) of each class; NaN where a class has none.
    per_class: Mapping[str, FloatArray]


@dataclass(frozen=True, kw_only=True, eq=False)
class Row:
    """A result file, or a group of them such as the seeds of a setting."""

    name: str
    files: Sequence[Path]
    figures: Sequence[Figures]


def detection_figures(result: DetectionResult) -> Figures:
    """mAP at each threshold, then their average."""
    average_precision = result.average_precision_percent
    return Figures(
        corner="tIoU",
        all_classes="mAP (%)",
        heading=(*(f"{threshold:g}" for threshold in result.tiou), "average"),
        overall=np.append(result.map_percent, result.average_map_percent),
        per_class={
            label: np.append(row, row.mean())
            for label, row in zip(result.classes, average_precision, strict=True)
        },
    )


def charades_figures(result: CharadesResult) -> Figures:
    """mAP and weighted AP; a class has the first alone."""
    per_class = zip(CHARADES_CLASSES, result.average_precision_percent.tolist(), strict=True)
    return Figures(
        corner="%",
        all_classes="all",
        heading=("mAP", "weighted AP"),
        overall=np.array([result.map_percent, result.weighted_ap_percent]),
        per_class={label: np.array([value, np.nan]) for label, value in per_class},
    )


def single_table(figures: Figures, *, per_class: bool) -> tuple[list[str], list[list[Cell]]]:
    """Heading and rows for one result file: all classes together, then each."""
    rows: list[list[Cell]] = [[figures.all_classes, *figures.overall.tolist()]]
    if per_class:
        rows += [[label, *values.tolist()] for label, values in figures.per_class.items()]
    return [figures.corner, *figures.heading], rows


def compared_table(rows: Sequence[Row], *, per_class: bool) -> tuple[list[str], list[list[Cell]]]:
    """Heading and rows for several: with `per_class` each has a row for each class as well."""
    heading = ["results", *(["class"] if per_class else []), "files", *rows[0].figures[0].heading]
    cells: list[list[Cell]] = []
    for row in rows:
        files = str(len(row.files))
        overall = _spreads([one.overall for one in row.figures])
        cells.append([row.name, *(["all"] if per_class else []), files, *overall])
        if per_class:
            for label in row.figures[0].per_class:
                of_class = _spreads([one.per_class[label] for one in row.figures])
                cells.append([row.name, label, files, *of_class])
    return heading, cells


def compared_document(rows: Sequence[Row]) -> list[dict[str, Any]]:
    """For `--json`: of each row the means, and the deviations where it has several files."""
    documents = []
    for row in rows:
        values = np.stack([one.overall for one in row.figures])  # (files, K)
        document: dict[str, Any] = {
            "name": row.name,
            "files": [with_places(str(path)) for path in row.files],
            "percent": dict(zip(row.figures[0].heading, values.mean(axis=0).tolist(), strict=True)),
        }
        if len(row.files) > 1:
            deviations = values.std(axis=0, ddof=1).tolist()
            document["deviation"] = dict(zip(row.figures[0].heading, deviations, strict=True))
        documents.append(document)
    return documents


def names_of(paths: Sequence[Path]) -> list[str]:
    """Names for rows: the parts of the paths that tell them apart; whole paths where none do."""
    known = [with_places(str(path)) for path in paths]
    parts = [Path(path).parts for path in known]
    shortest = min(map(len, parts), default=0)
    front = _num_common(parts, shortest)
    back = _num_common([one[::-1] for one in parts], shortest)
    names = ["/".join(one[front : len(one) - back]) for one in parts]
    if len(set(names)) < len(names) or not all(names):
        return known
    return names


def _num_common(lists: Sequence[tuple[str, ...]], most: int) -> int:
    """How many entries all begin with, and never all of one."""
    number = 0
    while number < most - 1 and len({one[number] for one in lists}) == 1:
        number += 1
    return number


def _spreads(values: Sequence[FloatArray]) -> list[Cell]:
    return [spread(column) for column in np.stack(values).T]
