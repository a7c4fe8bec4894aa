"""Parts of pages: HTML that escapes what it is given, and finds its data inside itself."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

from wsgn.page.shell import island, text


class Figure(str):
    """A cell that is a number as it is to be shown, such as "+1.5" or "17.3 %"."""

    __slots__ = ()


@dataclass(frozen=True, kw_only=True)
class Line:
    """A line of a chart; points that are not finite are left out."""

    name: str
    x: Sequence[float]
    y: Sequence[float]
    # Marks instead of a line: for few points, or those that lie far apart.
    dots: bool = False


def header(
    title: str,
    facts: Sequence[tuple[str, object]] = (),
    links: Sequence[tuple[str, str]] = (),
) -> str:
    """The top of a page: its heading, and what one has to know in pairs of name and value.

    `links` are addresses of other pages and what they are called.
    """
    pairs = "".join(f"<div><dt>{text(name)}</dt><dd>{text(v)}</dd></div>" for name, v in facts)
    shown = f"<dl>{pairs}</dl>" if facts else ""
    return f"{navigation(links)}<header><h1>{text(title)}</h1>{shown}</header>"


def navigation(links: Sequence[tuple[str, str]]) -> str:
    """Links to other pages: addresses, and what they are called; nothing without any."""
    shown = "".join(f'<a href="{text(address)}">{text(words)}</a>' for address, words in links)
    return f"<nav>{shown}</nav>" if shown else ""


def section(title: str, *content: str, note: str = "") -> str:
    """A part of a page under a heading of its own; `content` is HTML."""
    words = f"<p class=note>{text(note)}</p>" if note else ""
    return f"<section><h2>{text(title)}</h2>{words}{''.join(content)}</section>"


def table(
    heading: Sequence[str],
    rows: Sequence[Sequence[object]],
    *,
    caption: str = "",
    links: Sequence[str] = (),
) -> str:
    """A table; columns of numbers stand to the right. `links` are addresses for the first cells.

    None is an empty cell, a float is shown as `number` does it.
    """
    numbers = (int, float, Figure, type(None))
    numeric = [
        bool(rows) and all(isinstance(row[i], numbers) for row in rows) for i in range(len(heading))
    ]

    def cell(kind: str, value: object, column: int, scope: str = "") -> str:
        inner = text("" if value is None else number(value))
        return f"<{kind}{scope}{' class=number' if numeric[column] else ''}>{inner}</{kind}>"

    head = "".join(cell("th", name, i, ' scope="col"') for i, name in enumerate(heading))
    lines = []
    for place, row in enumerate(rows):
        cells = [cell("td", value, i) for i, value in enumerate(row)]
        if place < len(links):
            cells[0] = f'<td><a href="{text(links[place])}">{text(row[0])}</a></td>'
        lines.append(f"<tr>{''.join(cells)}</tr>")
    named = f"<caption><span>{text(caption)}</span></caption>" if caption else ""
    return (
        f'<div class="table" tabindex="0" role="region" aria-label="{text(caption or "table")}">'
        f"<table>{named}"
        f"<thead><tr>{head}</tr></thead><tbody>{''.join(lines)}</tbody></table></div>"
    )


def number(value: object) -> str:
    """A cell: floats to three places, or four digits where they are small; the rest as it is."""
    if not isinstance(value, float):
        return str(value)
    if not math.isfinite(value):
        return "-"
    return f"{value:.3f}" if abs(value) >= 0.01 or value == 0 else f"{value:.3g}"


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x: str,
    y: str,
    log: bool = False,
    limits: tuple[float, float] | None = None,
) -> str:
    """A chart that `line_chart.js` draws as wide as there is room; `x`, `y` name the axes.

    With `log` the y axis is logarithmic, and points not above 0 are left out. `limits` are of a
    plain y axis; by default it spans the lines.
    """
    drawn = []
    for line in lines:
        points = [
            (float(a), float(b))
            for a, b in zip(line.x, line.y, strict=True)
            if math.isfinite(a) and math.isfinite(b) and (b > 0 or not log)
        ]
        drawn.append(
            {
                "name": line.name,
                "x": [a for a, _ in points],
                "y": [b for _, b in points],
                "dots": line.dots,
            }
        )
    data = {"title": title, "lines": drawn, "x": x, "y": y, "log": log, "limits": limits}
    return f'<figure class="chart"><figcaption>{text(title)}</figcaption>{island(data)}</figure>'
