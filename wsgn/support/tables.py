"""Tables of text for people."""

from __future__ import annotations

from collections.abc import Sequence

from wsgn.support.terminal import printable


def columns(
    rows: Sequence[Sequence[str]],
    *,
    indent: str = "  ",
    gap: str = "  ",
    num_left: int = 1,
    least_first: int = 0,
    least: int = 0,
) -> str:
    """Rows of as many cells each as lines of aligned columns, each as wide as its widest cell.

    The first `num_left` columns stand to the left, the others to the right. The first column has at
    least `least_first` characters, the others `least`.
    """
    rows = [[printable(cell) for cell in row] for row in rows]
    widths = [
        max(least if number else least_first, *map(len, column))
        for number, column in enumerate(zip(*rows, strict=True))
    ]
    lines = []
    for row in rows:
        cells = [
            cell.ljust(width) if number < num_left else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append((indent + gap.join(cells)).rstrip() + "\n")
    return "".join(lines)
