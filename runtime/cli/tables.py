"""Segments as text for people."""

from __future__ import annotations

from wsgn.localization.segments import Segment
from wsgn.support.tables import columns
from wsgn.support.terminal import printable

from ..writers import SourceResult

_LANE_WIDTH = 32


def clock(seconds: float) -> str:
    """`M:SS.d`, or `H:MM:SS.d` from one hour on."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, tenths = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    rest = f"{tenths // 10:02d}.{tenths % 10}"
    return f"{hours}:{minutes:02d}:{rest}" if hours else f"{minutes}:{rest}"


def result_table(source: str, result: SourceResult, *, unicode: bool = True) -> str:
    """The segments of a source, each with its place in the source as a bar."""
    title = printable(source)
    if result.duration_seconds is not None:
        title += f"  ({clock(result.duration_seconds)})"
    if not result.segments:
        return f"{title}\n  no segments\n\n"
    shown = result.clearest().segments
    ends = [segment.end_seconds for segment in result.segments]
    duration = max(result.duration_seconds or 0.0, *ends)
    rows = [
        [
            segment.label,
            clock(segment.start_seconds),
            clock(segment.end_seconds),
            f"{segment.end_seconds - segment.start_seconds:.1f} s",
            f"{segment.score:.3f}",
            lane(segment, duration, unicode=unicode),
        ]
        for segment in shown
    ]
    header = ["label", "start", "end", "length", "score", ""]
    return f"{title}\n{columns([header, *rows])}{_hidden(len(result.segments) - len(shown))}\n"


def _hidden(count: int) -> str:
    if not count:
        return ""
    return (
        f"  ({count} more overlap one of their label that scores more; -f json, csv and jsonl have "
        "them)\n"
    )


def lane(segment: Segment, duration_seconds: float, *, unicode: bool = True) -> str:
    """The source as a line with the segment drawn on it; even a short one shows."""
    full, empty = ("█", "─") if unicode else ("#", "-")
    scale = _LANE_WIDTH / duration_seconds if duration_seconds > 0 else 0.0
    first = min(_LANE_WIDTH - 1, int(segment.start_seconds * scale))
    behind = max(first + 1, min(_LANE_WIDTH, round(segment.end_seconds * scale)))
    return empty * first + full * (behind - first) + empty * (_LANE_WIDTH - behind)
