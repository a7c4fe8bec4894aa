"""Markdown tables that can also be read as they stand, and what they hold as CSV and LaTeX."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence

from wsgn.support.table_formats import Cell, Spread, format_table, markdown_lines

# A cell that holds nothing; a column of these alone is left out.
NOTHING = "-"
_RULE = re.compile(r"\|(-+\|)+")
_NUMBER = r"[+-]?(?:\d{1,3}(?:,\d{3})+|\d+)(?:\.\d+)?(?:e[+-]?\d+)?"
_ONE = re.compile(_NUMBER)
_SPREAD = re.compile(rf"({_NUMBER}) ± ({_NUMBER})")


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table with aligned columns: the first to the left, the others to the right."""
    cells = [list(heading), *([str(cell) for cell in row] for row in rows)]
    shown = [column for column in zip(*cells, strict=True) if not _is_empty(column)]
    head, *body = zip(*shown, strict=True)
    return markdown_lines(head, body)


def other_formats(text: str) -> Iterator[dict[str, str]]:
    """Each table in a text, as CSV (numbers alone, deviations apart) and LaTeX, by file ending.

    The numbers are those that the table shows.
    """
    for heading, *rows in _tables(text):
        numbers = [[_number(cell) for cell in row] for row in rows]
        yield {
            "csv": f"{format_table(heading, numbers, 'csv')}\n",
            "tex": f"{format_table(heading, rows, 'latex')}\n",
        }


def _tables(text: str) -> Iterator[list[list[str]]]:
    """The cells of each table in a text, the heading first."""
    lines = text.splitlines()
    for place in range(1, len(lines)):
        if _RULE.fullmatch(lines[place]):
            end = place + 1
            while end < len(lines) and lines[end].startswith("|"):
                end += 1
            yield [_cells(line) for line in (lines[place - 1], *lines[place + 1 : end])]


def _cells(line: str) -> list[str]:
    """The cells of a line; a bar behind a backslash belongs to its cell."""
    cells = re.split(r"(?<!\\)\|", line.strip())[1:-1]
    return [re.sub(r"\\([^\w\s])", r"\1", cell.strip()) for cell in cells]


def _number(cell: str) -> Cell:
    if cell == NOTHING:
        return None
    if found := _SPREAD.fullmatch(cell):
        mean, deviation = (float(part.replace(",", "")) for part in found.groups())
        return Spread(mean=mean, deviation=deviation)
    return cell.replace(",", "") if _ONE.fullmatch(cell) else cell


def _is_empty(column: Sequence[str]) -> bool:
    return len(column) > 1 and all(cell == NOTHING for cell in column[1:])
