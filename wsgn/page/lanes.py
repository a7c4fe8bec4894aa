"""Lanes: a row for each class, with its scores over time, what was found, and what is true."""

from __future__ import annotations

import base64
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from wsgn.page.shell import island, text
from wsgn.support.arrays import FloatArray

# How far a score's time may be from an even grid and still count as on it, in seconds.
_EVEN_SECONDS = 0.002
# Decimals of times: milliseconds.
_DECIMALS = 3
# For a page with parts of `video_part`.
VIDEO_STYLE = """
.video + .video { margin-top: 24px; }
h3 { font-size: 15px; margin: 0 0 6px; }
h3 small { font-weight: 400; }
"""


@dataclass(frozen=True, kw_only=True)
class LaneSegment:
    """A bar on a lane; times in seconds of the video as a player counts."""

    start_seconds: float
    end_seconds: float
    # None of true segments.
    score: float | None = None
    # It overlaps one of its class that scores more: a candidate, shown only where asked for.
    overlapped: bool = False


@dataclass(frozen=True, kw_only=True)
class Lane:
    """One class."""

    label: str
    # (T,) from 0 to 1, at the times of the lanes; None where scores were not kept.
    scores: FloatArray | None = None
    found: Sequence[LaneSegment] = ()
    true: Sequence[LaneSegment] = ()


@dataclass(frozen=True, kw_only=True)
class Lanes:
    """The lanes of a video."""

    # When the lanes end.
    duration_seconds: float
    lanes: Sequence[Lane]
    # When they begin.
    begin_seconds: float = 0.0
    # (T,) middle of what each score is of, in seconds; rising.
    times: FloatArray | None = None
    # Whether truth is known, also where it says that nothing happens.
    has_truth: bool = False
    # From and to, seconds, of what had no pictures.
    gaps: Sequence[tuple[float, float]] = ()
    # Wall clock at time 0, seconds since 1970: times are shown as those of the clock.
    start_unix_seconds: float | None = None


def lanes_part(lanes: Lanes, *, name: str = "") -> str:
    """The lanes as a part of a page, drawn by `lanes.js`; `name` is what they are lanes of."""
    label = f"scores and segments over time{f' of {name}' if name else ''}"
    return f'<div class="lanes" aria-label="{text(label)}">{island(lanes_data(lanes))}</div>'


def video_part(lanes: Lanes, *, name: str, note: str) -> str:
    """The lanes of one of several videos, under its name and a note."""
    return (
        f'<div class="video"><h3>{text(name)} <small class="note">{text(note)}</small></h3>'
        f"{lanes_part(lanes, name=name)}</div>"
    )


def lanes_key(*kinds: str) -> str:
    """What the colours on lanes mean, of `scores`, `found` and `true`."""
    words = {"scores": "score", "found": "found", "true": "true"}
    marks = "".join(f'<span class="key {kind}">{words[kind]}</span>' for kind in kinds)
    return f'<div class="tools">{marks}</div>'


def lanes_data(lanes: Lanes) -> dict[str, Any]:
    """JSON of the lanes; scores become one byte each (1/255), times runs of an even grid."""
    times = np.empty(0) if lanes.times is None else np.asarray(lanes.times, dtype=np.float64)
    return {
        "begin": round(float(lanes.begin_seconds), _DECIMALS),
        "end": round(float(lanes.duration_seconds), _DECIMALS),
        "runs": even_runs(times),
        "truth": lanes.has_truth,
        "gaps": [[round(float(seconds), _DECIMALS) for seconds in gap] for gap in lanes.gaps],
        "clock": lanes.start_unix_seconds,
        "lanes": [
            {
                "label": lane.label,
                "scores": None if lane.scores is None else _score_bytes(lane.scores),
                "found": [_bar(segment) for segment in lane.found],
                "true": [_bar(segment) for segment in lane.true],
            }
            for lane in lanes.lanes
        ],
    }


def even_runs(times: FloatArray) -> list[tuple[float, float, int]]:
    """Times as runs of (first, step, count) that lie on a grid to two milliseconds."""
    runs = []
    begin, total = 0, len(times)
    while begin < total:
        if begin + 1 == total:
            runs.append((float(times[begin]), 1.0, 1))
            break
        end = _run_end(times, begin)
        step = max(float(times[end - 1] - times[begin]) / (end - 1 - begin), _EVEN_SECONDS)
        runs.append((round(float(times[begin]), _DECIMALS), step, end - begin))
        begin = end
    return runs


def _run_end(times: FloatArray, begin: int) -> int:
    """Where the longest even run from `begin` ends: found by doubling, then halving."""
    low, high, total = begin + 2, begin + 4, len(times)
    while high < total and _is_even(times[begin:high]):
        low, high = high, begin + 2 * (high - begin)
    high = min(high, total)
    if _is_even(times[begin:high]):
        return high
    while low + 1 < high:
        middle = (low + high) // 2
        low, high = (middle, high) if _is_even(times[begin:middle]) else (low, middle)
    return low


def _is_even(times: FloatArray) -> bool:
    grid = np.linspace(times[0], times[-1], len(times))
    return bool(np.abs(grid - times).max() <= _EVEN_SECONDS)


def _score_bytes(scores: FloatArray) -> str:
    finite = np.nan_to_num(np.asarray(scores, dtype=np.float64), nan=0.0, posinf=1.0, neginf=0.0)
    quantised = np.rint(finite.clip(0, 1) * 255).astype(np.uint8)
    return base64.b64encode(quantised.tobytes()).decode()


def _bar(segment: LaneSegment) -> list[float | None]:
    """[start, end], then the score where there is one, then 1 where it is overlapped."""
    times = (segment.start_seconds, segment.end_seconds)
    bar: list[float | None] = [round(float(seconds), _DECIMALS) for seconds in times]
    if segment.score is not None or segment.overlapped:
        bar.append(None if segment.score is None else round(float(segment.score), _DECIMALS))
    return [*bar, 1] if segment.overlapped else bar
