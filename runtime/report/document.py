"""What a page shows of one video, and the page."""

from __future__ import annotations

import datetime
import html
import json
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np

from wsgn import __version__
from wsgn.localization.segments import Segment
from wsgn.page.lanes import Lane, Lanes, LaneSegment, lanes_part
from wsgn.page.parts import navigation
from wsgn.page.shell import asset, render_page, text
from wsgn.support.arrays import FloatArray

from ..writers.result import SourceResult
from .names import INDEX_NAME
from .video import ShownVideo, relative_address

# Of live sources, whose lines begin anywhere: what is shown before the first segment, seconds.
_MARGIN_SECONDS = 5.0
_DATA = re.compile(r'<script type="application/json" id=page-data>(.*?)</script>', re.DOTALL)


@dataclass(frozen=True, kw_only=True, eq=False)
class FrameScores:
    """Scores over time, as `--save-scores` keeps them."""

    classes: tuple[str, ...]
    # (T, C) from 0 to 1.
    scores: FloatArray
    # (T,) middle of the snippets, in seconds.
    centre_seconds: FloatArray


@dataclass(frozen=True, kw_only=True)
class Links:
    """Addresses of other pages, relative to one."""

    index: str | None = None
    before: str | None = None
    behind: str | None = None


@dataclass(frozen=True, kw_only=True)
class VideoReport:
    """What is known of one video."""

    result: SourceResult
    video: ShownVideo
    scores: FrameScores | None = None
    # None where nobody has said what is true.
    truth: tuple[Segment, ...] | None = None
    # What made the result, and other facts, as pairs of name and value.
    facts: tuple[tuple[str, str], ...] = ()
    links: Links = Links()


def render_report(report: VideoReport) -> str:
    """The page: video, lanes and list."""
    result = report.result
    lanes = report_lanes(report)
    data = {
        "name": result.name,
        "video": report.video.address,
        "offset": round(report.video.offset_seconds, 6),
        "frame": 1 / (report.video.frame_rate or 25.0),
        "summary": report_summary(report),
    }
    note = f'<p class="note" id="note">{text(report.video.note)}</p>'
    video, blind = "", " blind"
    if report.video.address:
        video = '<video id="video" controls playsinline muted preload="metadata"></video>'
        blind = ""
    body = (
        f"{_navigation(report)}<header><h1>{text(result.name)}</h1>{_facts(report, lanes)}</header>"
        f'<div class="watch{blind}"><div class="card screen">{video}{note}</div>'
        f"{_list_part(lanes)}"
        f'<section class="time">{_tools_part(lanes, has_scores=report.scores is not None)}'
        f"{lanes_part(lanes, name=result.name)}</section></div>{_HELP}"
        "<noscript><p>This page needs JavaScript to draw.</p></noscript>"
    )
    scripts = [asset("lanes.js"), asset("report.js", __package__)]
    styles = [asset("report.css", __package__)]
    return render_page(f"{result.name} - wsgn", body, data, scripts, styles=styles)


def report_lanes(report: VideoReport) -> Lanes:
    """A lane for each class: of the engine where scores were kept, else of what was found or is
    true.
    """
    result, scores, truth = report.result, report.scores, report.truth or ()
    clearest = set(map(id, result.clearest().segments))
    labels = list(scores.classes) if scores is not None else []
    labels += sorted({one.label for one in (*result.segments, *truth)} - set(labels))
    columns = {} if scores is None else dict(zip(scores.classes, scores.scores.T, strict=True))
    lanes = [
        Lane(
            label=label,
            scores=columns.get(label),
            found=[
                LaneSegment(
                    start_seconds=one.start_seconds,
                    end_seconds=one.end_seconds,
                    score=one.score,
                    overlapped=id(one) not in clearest,
                )
                for one in result.segments
                if one.label == label
            ],
            true=[
                LaneSegment(start_seconds=one.start_seconds, end_seconds=one.end_seconds)
                for one in truth
                if one.label == label
            ],
        )
        for label in labels
    ]
    begin, end = _span(report)
    return Lanes(
        begin_seconds=begin,
        duration_seconds=end,
        lanes=lanes,
        times=None if scores is None else scores.centre_seconds,
        has_truth=report.truth is not None,
        gaps=result.gaps,
        start_unix_seconds=result.start_unix_seconds,
    )


def _span(report: VideoReport) -> tuple[float, float]:
    """From when to when the lanes go."""
    segments = (*report.result.segments, *(report.truth or ()))
    spans = [(one.start_seconds, one.end_seconds) for one in segments]
    spans += report.result.gaps
    times = [end for _, end in spans]
    if report.scores is not None and len(report.scores.centre_seconds):
        times.append(float(report.scores.centre_seconds[-1]))
    declared = report.result.duration_seconds or report.video.duration_seconds
    if declared is not None:
        return 0.0, max([declared, *times])
    begin = min((start for start, _ in spans), default=0.0) - _MARGIN_SECONDS
    # What has no end may begin days after its first picture; what is short is shown whole.
    end = max(times, default=1.0)
    return (begin if begin > end / 2 else 0.0), end


def report_summary(report: VideoReport) -> dict[str, Any]:
    """What the index shows of the page."""
    begin, end = _span(report)
    clearest = report.result.clearest().segments
    counts: dict[str, int] = {}
    for one in clearest:
        counts[one.label] = counts.get(one.label, 0) + 1
    return {
        "name": report.result.name,
        "begin": round(begin, 3),
        "duration": round(end, 3),
        "complete": report.result.complete,
        "labels": sorted(counts.items(), key=lambda pair: (-pair[1], pair[0])),
        "spans": [[round(one.start_seconds, 2), round(one.end_seconds, 2)] for one in clearest],
        "true": None if report.truth is None else len(report.truth),
    }


def read_summary(page: Path) -> dict[str, Any] | None:
    """The summary in a page that an earlier run wrote; None where it holds none."""
    try:
        found = _DATA.search(page.read_text("utf-8"))
        summary = json.loads(found[1])["summary"] if found else None
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return summary if isinstance(summary, dict) else None


def _navigation(report: VideoReport) -> str:
    links = (
        (report.links.index, "All videos"),
        (report.links.before, "\u2190 Previous"),
        (report.links.behind, "Next \u2192"),
    )
    return navigation([(address, words) for address, words in links if address is not None])


def _facts(report: VideoReport, lanes: Lanes) -> str:
    num_found = len(report.result.clearest().segments)
    facts = [("length", clock(lanes.duration_seconds - lanes.begin_seconds)), ("found", num_found)]
    if report.truth is not None:
        facts.append(("true", len(report.truth)))
    if not report.result.complete:
        facts.append(("read", "not to its end"))
    if report.result.gaps:
        lost = sum(end - start for start, end in report.result.gaps)
        facts.append(("without pictures", clock(lost)))
    pairs = [*facts, *report.facts, ("wsgn", __version__)]
    shown = "".join(f"<div><dt>{text(name)}</dt><dd>{text(v)}</dd></div>" for name, v in pairs)
    if (began := report.result.start_unix_seconds) is not None:
        words = datetime.datetime.fromtimestamp(began, datetime.UTC).isoformat(" ", "seconds")
        shown = f'<div><dt>first picture</dt><dd id="began">{words}</dd></div>{shown}'
    return f"<dl>{shown}</dl>"


def _list_part(lanes: Lanes) -> str:
    """The list, which `report.js` fills from the lanes."""
    labels = [lane.label for lane in lanes.lanes if lane.found]
    options = "".join(f"<option>{text(label)}</option>" for label in labels)
    chosen = (
        f'<label>Class <select id="class"><option value="">all</option>{options}</select></label>'
        if len(labels) > 1
        else ""
    )
    return (
        '<section class="list"><div class="tools"><h2>Segments <small id="count"></small></h2>'
        f'{chosen}</div><div class="table" id="list" tabindex="-1"><table><thead><tr>'
        "<th>Class</th><th class=number>From</th><th class=number>To</th><th class=number>Score"
        "</th></tr></thead><tbody></tbody></table></div></section>"
    )


def _tools_part(lanes: Lanes, *, has_scores: bool) -> str:
    keys = [("scores", "score")] if has_scores else []
    keys += [("found", "found"), *([("true", "true")] if lanes.has_truth else [])]
    keys += [("gap", "no pictures")] if lanes.gaps else []
    marks = "".join(f'<span class="key {kind}">{words}</span>' for kind, words in keys)
    return (
        f'<div class="tools">{marks}'
        '<label>score at least <input type="range" id="least" min="0" max="1" step="0.01" '
        'value="0"><output id="least-said">0.00</output></label>'
        '<label id="all-label"><input type="checkbox" id="all">overlapping candidates</label>'
        '<label id="empty-label"><input type="checkbox" id="empty">classes without segments</label>'
        '<span class="push"><button id="out" aria-label="zoom out">\u2212</button>'
        '<button id="whole">whole</button><button id="in" aria-label="zoom in">+</button></span>'
        "</div>"
    )


_KEYS = (
    ("Space", "play, pause"),
    ("\u2190 \u2192", "1 s; with Shift 10 s"),
    (", .", "one frame"),
    ("P N", "previous, next segment"),
    ("+ \u2212 0", "zoom in, out, whole; also Ctrl and wheel, or two fingers"),
    ("Home End", "begin, end"),
)
_HELP = (
    "<details><summary>Keys</summary><dl class=keys>"
    + "".join(
        f"<div><dt>{' '.join(f'<kbd>{html.escape(key)}</kbd>' for key in keys.split())}</dt>"
        f"<dd>{words}</dd></div>"
        for keys, words in _KEYS
    )
    + "</dl></details>"
)


def clock(seconds: float) -> str:
    """`M:SS`, or `H:MM:SS` from one hour on; tenths below ten minutes."""
    tenths = round(max(0.0, seconds) * 10)
    minutes, rest = divmod(tenths, 600)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours}:{minutes:02d}:{rest // 10:02d}"
    return f"{minutes}:{rest // 10:02d}" + (f".{rest % 10}" if minutes < 10 else "")


def links_of(names: Sequence[str], place: int) -> Links:
    """What the page at `place` of pages links to."""
    name = names[place]
    return Links(
        index=page_address(INDEX_NAME, name) if len(names) > 1 else None,
        before=page_address(names[place - 1], name) if place else None,
        behind=page_address(names[place + 1], name) if place + 1 < len(names) else None,
    )


def page_address(target: str, page: str) -> str:
    """The address of a page as a link in another; both are paths from the same folder."""
    return relative_address(Path("/", target), Path("/", page))


def centre_seconds(start_seconds: FloatArray, snippet_seconds: float | None) -> FloatArray:
    """Middle of snippets; where their length is not known, they are taken to touch."""
    start_seconds = np.asarray(start_seconds, dtype=np.float64)
    if snippet_seconds is None:
        steps = np.diff(start_seconds)
        snippet_seconds = float(np.median(steps)) if len(steps) else 1.0
    return start_seconds + snippet_seconds / 2
