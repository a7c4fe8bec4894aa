"""The index of pages: a table of all videos of a run or a report."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsgn.page.shell import asset, render_page, text
from wsgn.support.mirrors import at_hand

from .document import clock, page_address, read_summary
from .names import INDEX_NAME
from .pages import write_page

# Labels of a video that a row names.
_MOST_LABELS = 4
# Bars that all rows together draw; more would make a page of megabytes.
_MOST_BARS = 40_000
# Pixels of a strip, as finely as bars are told apart.
_STRIP = 300


@dataclass(frozen=True, kw_only=True)
class IndexEntry:
    """One video of the index."""

    # Of the page, relative to the index.
    page: str
    # `summary` of the page's data.
    summary: dict[str, Any]


def render_index(title: str, entries: Sequence[IndexEntry]) -> str:
    """The index, in the order of the entries."""
    num_bars = _MOST_BARS // max(1, len(entries))
    has_truth = any(entry.summary.get("true") is not None for entry in entries)
    columns = ["Video", "Length", "Found", *(["True"] if has_truth else []), "Classes", "Where"]
    head = "".join(
        f'<th scope="col"{" class=number" if name in ("Length", "Found", "True") else ""}>'
        f"{name if name == 'Where' else f'<button>{name}</button>'}</th>"
        for name in columns
    )
    rows = "".join(_row(entry, num_bars, has_truth=has_truth) for entry in entries)
    total = sum(len(entry.summary.get("spans", ())) for entry in entries)
    seconds = sum(_length(entry.summary) for entry in entries)
    body = (
        f"<header><h1>{text(title)}</h1><dl>"
        f"<div><dt>length</dt><dd>{clock(seconds)}</dd></div>"
        f"<div><dt>segments found</dt><dd>{total}</dd></div></dl></header>"
        '<section class="index"><div class="tools"><label>Find <input type="search" id="find" '
        'aria-label="names and classes"></label><span id="shown" role="status"></span></div>'
        f'<div class="table"><table><thead><tr>{head}</tr></thead><tbody>{rows}</tbody></table>'
        "</div></section>"
    )
    return render_page(
        title,
        body,
        {"videos": len(entries)},
        [asset("index.js", __package__)],
        styles=[asset("report.css", __package__)],
    )


def write_index(path: Path, pages: Sequence[Path]) -> None:
    """Write the index of pages in its folder, out of what they say. Raises `OutputError`."""
    entries = []
    for page in pages:
        with at_hand(page) as file:
            summary = read_summary(file)
        if summary is not None:
            name = page.relative_to(path.parent).as_posix()
            entries.append(IndexEntry(page=name, summary=summary))
    write_page(path, render_index(f"{len(entries)} videos", entries))


def _length(summary: dict[str, Any]) -> float:
    return float(summary.get("duration", 0.0)) - float(summary.get("begin", 0.0))


def _row(entry: IndexEntry, num_bars: int, *, has_truth: bool) -> str:
    summary = entry.summary
    spans, labels = summary.get("spans", []), summary.get("labels", [])
    words = "".join(
        f"<span>{text(label)} <small>{count}</small></span>"
        for label, count in labels[:_MOST_LABELS]
    )
    if len(labels) > _MOST_LABELS:
        words += f"<span><small>and {len(labels) - _MOST_LABELS} more</small></span>"
    true = summary.get("true")
    name = text(summary.get("name", entry.page))
    cells = [
        f'<td><a href="{text(page_address(entry.page, INDEX_NAME))}">{name}</a></td>',
        f'<td class=number data-sort="{_length(summary)}">{clock(_length(summary))}</td>',
        f'<td class="number count" data-sort="{len(spans)}">{len(spans)}</td>',
        *(
            [f'<td class="number true">{"" if true is None else int(true)}</td>']
            if has_truth
            else []
        ),
        f'<td class="what"><div class="labels">{words}</div></td>',
        f'<td class="strip">{_strip(summary, num_bars)}</td>',
    ]
    return f"<tr>{''.join(cells)}</tr>"


def _strip(summary: dict[str, Any], num_bars: int) -> str:
    """Where in the video something was found, as bars that grow with the page."""
    begin, length = float(summary.get("begin", 0.0)), max(_length(summary), 1e-3)
    bars: list[list[float]] = []
    for start, end in sorted(map(tuple, summary.get("spans", []))):
        left = max(0.0, (start - begin) / length * _STRIP)
        right = max(left + 1.0, (end - begin) / length * _STRIP)
        if bars and left <= bars[-1][1]:
            bars[-1][1] = max(bars[-1][1], right)
        else:
            bars.append([left, right])
    if len(bars) > num_bars:
        return ""
    shapes = "".join(
        f'<rect x="{left:.1f}" y="3" width="{right - left:.1f}" height="8"/>'
        for left, right in bars
    )
    return (
        f'<svg viewBox="0 0 {_STRIP} 14" preserveAspectRatio="none" role="img" '
        f'aria-label="where segments are">{shapes}</svg>'
    )
