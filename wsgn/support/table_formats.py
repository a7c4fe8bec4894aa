"""One table as text for people, Markdown, CSV or LaTeX."""

from __future__ import annotations

import csv
import io
import math
import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType

import numpy as np

from wsgn.support.arrays import FloatArray
from wsgn.support.tables import columns
from wsgn.support.terminal import printable

# Stands where there is no value; CSV leaves the cell empty.
_NOTHING = "-"
# What Markdown would take for markup of its own or for HTML.
_MARKDOWN = re.compile(r"([\\`*_{}\[\]<>#|~&$])")
_LATEX = {
    "\\": r"\textbackslash{}",
    "~": r"\textasciitilde{}",
    "^": r"\textasciicircum{}",
    "<": r"\textless{}",
    ">": r"\textgreater{}",
    "|": r"\textbar{}",
    **{letter: f"\\{letter}" for letter in "&%$#_{}"},
}


@dataclass(frozen=True, kw_only=True)
class Spread:
    """A mean over several runs, and their sample standard deviation."""

    mean: float
    deviation: float


# None is a cell without a value.
Cell = str | float | Spread | None


def spread(values: Sequence[float] | FloatArray) -> float | Spread:
    """The mean and the sample standard deviation (n - 1) of several values; one stays as it is."""
    if len(values) == 1:
        return float(values[0])
    return Spread(mean=float(np.mean(values)), deviation=float(np.std(values, ddof=1)))


def format_table(
    heading: Sequence[str],
    rows: Sequence[Sequence[Cell]],
    style: str,
    *,
    decimals: int = 2,
    note: str = "",
) -> str:
    """The table in a style out of `TABLE_FORMATS`, with no line end behind the last line.

    Args:
        heading: a name for each column.
        rows: as many cells each; numbers are shown to `decimals` places, in CSV to all of theirs.
        style: a key of `TABLE_FORMATS`.
        decimals: places behind the point.
        note: a sentence over the table; CSV has no place for it.
    """
    return TABLE_FORMATS[style](heading, rows, decimals, note).removesuffix("\n")


def markdown_lines(heading: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Aligned Markdown of cells that are Markdown: the first column to the left, others right."""
    widths = [max(map(len, column)) for column in zip(heading, *rows, strict=True)]

    def line(cells: Sequence[str]) -> str:
        padded = [
            cell.rjust(width) if index else cell.ljust(width)
            for index, (cell, width) in enumerate(zip(cells, widths, strict=True))
        ]
        return f"| {' | '.join(padded)} |"

    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([line(heading), rule, *map(line, rows)])


def _number(value: float, decimals: int) -> str:
    return f"{value:.{decimals}f}" if math.isfinite(value) else _NOTHING


def _shown(cell: Cell, decimals: int, between: str) -> str:
    if cell is None:
        return _NOTHING
    if isinstance(cell, str):
        return cell
    if isinstance(cell, Spread):
        return f"{_number(cell.mean, decimals)}{between}{_number(cell.deviation, decimals)}"
    return _number(cell, decimals)


def _as_text(
    heading: Sequence[str], rows: Sequence[Sequence[Cell]], decimals: int, note: str
) -> str:
    cells = [list(heading), *([_shown(cell, decimals, " ± ") for cell in row] for row in rows)]
    return (f"{note}\n" if note else "") + columns(cells, indent="", gap=" ", least=7)


def _as_markdown(
    heading: Sequence[str], rows: Sequence[Sequence[Cell]], decimals: int, note: str
) -> str:
    def escaped(cell: Cell) -> str:
        shown = printable(_shown(cell, decimals, " ± "))
        return _MARKDOWN.sub(r"\\\1", shown) if isinstance(cell, str) else shown

    lines = markdown_lines([*map(escaped, heading)], [[*map(escaped, row)] for row in rows])
    return (f"{escaped(note)}\n\n" if note else "") + lines


def _as_csv(
    heading: Sequence[str], rows: Sequence[Sequence[Cell]], decimals: int, note: str
) -> str:
    """RFC 4180 with plain line ends; a deviation is a column of its own behind its mean."""
    del decimals, note
    spreads = [any(isinstance(row[index], Spread) for row in rows) for index in range(len(heading))]
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(
        name
        for column, is_spread in zip(heading, spreads, strict=True)
        for name in ([column, f"{column} deviation".lstrip()] if is_spread else [column])
    )
    for row in rows:
        cells: list[object] = []
        for cell, is_spread in zip(row, spreads, strict=True):
            value = cell.mean if isinstance(cell, Spread) else cell
            cells.append(_exact(value))
            if is_spread:
                cells.append(_exact(cell.deviation) if isinstance(cell, Spread) else None)
        writer.writerow(cells)
    return text.getvalue()


def _exact(value: str | float | None) -> object:
    return None if isinstance(value, float) and not math.isfinite(value) else value


def _as_latex(
    heading: Sequence[str], rows: Sequence[Sequence[Cell]], decimals: int, note: str
) -> str:
    r"""A tabular with the rules of the package booktabs, to be read by \input."""

    def escaped(cell: Cell) -> str:
        if isinstance(cell, str):
            return "".join(_LATEX.get(letter, letter) for letter in printable(cell))
        shown = _shown(cell, decimals, r" \pm ")
        if isinstance(cell, Spread) or shown != _NOTHING:
            return f"${shown}$"
        return "--"

    def line(cells: Sequence[Cell]) -> str:
        # A row that begins with [ would be an argument of the line end before it.
        return f"{{}}{' & '.join(map(escaped, cells))} \\\\"

    lines = [f"% {printable(note)}"] if note else []
    lines += [rf"\begin{{tabular}}{{l{'r' * (len(heading) - 1)}}}", r"\toprule", line(heading)]
    lines += [r"\midrule", *map(line, rows), r"\bottomrule", r"\end{tabular}"]
    return "\n".join(lines)


TABLE_FORMATS: Mapping[str, Callable[[Sequence[str], Sequence[Sequence[Cell]], int, str], str]] = (
    MappingProxyType(
        {"text": _as_text, "markdown": _as_markdown, "csv": _as_csv, "latex": _as_latex}
    )
)
