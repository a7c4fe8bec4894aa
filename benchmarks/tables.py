"""Markdown tables that can also be read as they stand."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

# A cell that holds nothing; a column of these alone is left out.
NOTHING = "-"


def table(heading: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """A Markdown table with aligned columns: the first to the left, the others to the right."""
    cells = [list(heading), *([str(cell) for cell in row] for row in rows)]
    shown = [column for column in zip(*cells, strict=True) if not _is_empty(column)]
    widths = [max(map(len, column)) for column in shown]
    padded = [
        [cell.rjust(width) if index else cell.ljust(width) for cell in column]
        for index, (column, width) in enumerate(zip(shown, widths, strict=True))
    ]
    head, *body = ("| " + " | ".join(line) + " |" for line in zip(*padded, strict=True))
    rule = "|" + "|".join("-" * (width + 2) for width in widths) + "|"
    return "\n".join([head, rule, *body])


def _is_empty(column: Sequence[str]) -> bool:
    return len(column) > 1 and all(cell == NOTHING for cell in column[1:])
