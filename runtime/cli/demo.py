"""`wsgn-run --demo`: the packaged engine on the packaged sample, beside the truth."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from wsgn.engines.open import open_engine
from wsgn.localization.segments import Segment
from wsgn.support.signals import KeptSignal
from wsgn.support.tables import columns

from ..demo import load_demo
from ..events import ProgressEvent
from ..pipeline import Detection
from ..report.document import VideoReport, render_report
from ..report.pages import write_page
from ..report.video import shown_video
from ..writers import ResultCollector
from .console import Console, print_result
from .options import RunOptions, with_labels
from .outputs import frame_scores
from .progress import done_and_total
from .signals import stop_on_signals
from .tables import clock

_PAGE = "demo.html"
# From this overlap on, a found segment counts as the true one.
MINIMUM_TIOU = 0.5


def run_demo(options: RunOptions, hang_up: KeptSignal) -> int:
    """Run the demo and print what was found and what is true; the exit code."""
    assets = load_demo()
    console = Console(quiet=options.quiet, verbose=options.verbose, progress=options.progress)
    with (
        open_engine(
            assets.engine, device=options.device, num_threads=options.num_threads
        ) as engine,
        stop_on_signals(hang_up) as stop,
    ):
        options = with_labels(options, engine.manifest.classes)
        detection = Detection(assets.video, engine, options.detect, stop=stop)
        collector = ResultCollector(assets.video.name)
        console.start_progress(assets.video.name)
        for event in detection.events():
            collector.push(event)
            if isinstance(event, ProgressEvent):
                console.progress(*done_and_total(event, options.detect))
        console.end_progress()
        if stop.signal_number is not None:
            return 128 + stop.signal_number
    result = collector.result()
    console.say(f"ran {assets.engine} on {assets.video}")
    print_result(comparison_table(result.segments, assets.truth))
    if options.output is None:
        console.say("wsgn-run --demo -o DIR also writes a page with the video and its scores.")
        return 0
    page = options.output.directory / _PAGE
    report = VideoReport(
        result=result,
        video=shown_video(assets.video, page, embed=True),
        scores=frame_scores(detection),
        truth=assets.truth,
        facts=(("engine", engine.name),),
    )
    write_page(page, render_report(report))
    print_result(f"  to look at in a browser: {page}\n")
    return 0


@dataclass(frozen=True, kw_only=True)
class Pair:
    """A true segment and the found one that was matched to it; either may be missing."""

    truth: Segment | None
    found: Segment | None
    tiou: float


def tiou(first: Segment, second: Segment) -> float:
    """Temporal intersection over union."""
    begin = max(first.start_seconds, second.start_seconds)
    end = min(first.end_seconds, second.end_seconds)
    shared = max(0.0, end - begin)
    lengths = [segment.end_seconds - segment.start_seconds for segment in (first, second)]
    union = sum(lengths) - shared
    return shared / union if union > 0 else 0.0


def match_segments(found: Sequence[Segment], truth: Sequence[Segment]) -> list[Pair]:
    """Pairs of one label, those that overlap most first, each segment once; by time."""
    candidates = sorted(
        (
            (tiou(found_one, true_one), -index, -true_index)
            for index, found_one in enumerate(found)
            for true_index, true_one in enumerate(truth)
            if found_one.label == true_one.label
        ),
        reverse=True,
    )
    matched_found: set[int] = set()
    matched_truth: set[int] = set()
    pairs = []
    for overlap, negative_index, negative_true_index in candidates:
        index, true_index = -negative_index, -negative_true_index
        if overlap > 0 and index not in matched_found and true_index not in matched_truth:
            matched_found.add(index)
            matched_truth.add(true_index)
            pairs.append(Pair(truth=truth[true_index], found=found[index], tiou=overlap))
    pairs += [
        Pair(truth=segment, found=None, tiou=0.0)
        for index, segment in enumerate(truth)
        if index not in matched_truth
    ]
    pairs += [
        Pair(truth=None, found=segment, tiou=0.0)
        for index, segment in enumerate(found)
        if index not in matched_found
    ]
    return sorted(pairs, key=_start_seconds)


def comparison_table(found: Sequence[Segment], truth: Sequence[Segment]) -> str:
    """True and found segments beside each other, and how many were found."""
    pairs = match_segments(found, truth)
    rows = []
    for pair in pairs:
        either = pair.truth or pair.found
        assert either is not None
        label = either.label
        score = "-" if pair.found is None else f"{pair.found.score:.3f}"
        rows.append([label, _span(pair.truth), _span(pair.found), score, f"{pair.tiou:.2f}"])
    num_hits = sum(pair.tiou >= MINIMUM_TIOU for pair in pairs)
    table = columns([["label", "true", "found", "score", "tIoU"], *rows])
    return (
        f"{table}\n  {num_hits} of {len(truth)} true segments found with a tIoU of at least "
        f"{MINIMUM_TIOU}, {len(found) - num_hits} found that are not there\n"
    )


def _span(segment: Segment | None) -> str:
    if segment is None:
        return "-"
    return f"{clock(segment.start_seconds)} - {clock(segment.end_seconds)}"


def _start_seconds(pair: Pair) -> float:
    starts = [segment.start_seconds for segment in (pair.truth, pair.found) if segment is not None]
    return min(starts)
