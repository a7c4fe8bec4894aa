"""Markdown tables that can also be read as they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from wsgn.support.table_formats import markdown_lines

# A cell that holds nothing; a column of these alone is left out.
NOTHING = "-"


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table with aligned columns: the first to the left, the others to the right."""
    cells = [list(heading), *([str(cell) for cell in row] for row in rows)]
    shown = [column for column in zip(*cells, strict=True) if not _is_empty(column)]
    head, *body = zip(*shown, strict=True)
    return markdown_lines(head, body)


def _is_empty(column: Sequence[str]) -> bool:
    return len(column) > 1 and all(cell == NOTHING for cell in column[1:])
