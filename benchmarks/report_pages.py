"""Pages of results: how large they are, and what a browser computes to draw them.

    python -m benchmarks.report_pages -o runs/report_pages

Made-up scores and segments of videos of three lengths, opened from disk in Chromium. Times are
processor time of the page's main thread, which does not depend on what else a machine does.
"""

from __future__ import annotations

import argparse
import statistics
import sys
import tempfile
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path

import numpy as np

from benchmarks.chromium import Browser
from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.localization.segments import Segment
from wsgn.runtime.report.document import FrameScores, VideoReport, render_report
from wsgn.runtime.report.video import ShownVideo
from wsgn.runtime.writers import SourceResult
from wsgn.support.command import run_command

# From one score to the next.
_STEP_SECONDS = 0.8
_ZOOMS = 40
_ZOOM = """new Promise(done => { const canvas = document.querySelector(".lane canvas");
const box = canvas.getBoundingClientRect(); let n = 0;
(function step() { if (n++ === %d) return done();
canvas.dispatchEvent(new WheelEvent("wheel", { deltaY: n %% 20 < 10 ? -100 : 100, ctrlKey: true,
bubbles: true, cancelable: true, clientX: box.left + 300, clientY: box.top + 5 }));
requestAnimationFrame(step); })(); })"""


@dataclass(frozen=True, kw_only=True)
class Length:
    """A video that is made up."""

    name: str
    seconds: float
    classes: int
    segments: int


LENGTHS = (
    Length(name="30 s", seconds=30, classes=7, segments=8),
    Length(name="1 h", seconds=3600, classes=20, segments=300),
    Length(name="10 h", seconds=36_000, classes=20, segments=3000),
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """A page, by the medians of its visits."""

    video: str
    classes: int
    segments: int
    kilobytes: float
    # Until everything is drawn, and for each picture while one zooms.
    open_ms: float
    zoom_ms: float


def main(argv: Sequence[str] | None = None) -> int:
    """Make the pages, visit them, print and write a table."""

    def work() -> int:
        parser = argparse.ArgumentParser(description=(__doc__ or "").splitlines()[0])
        parser.add_argument("--visits", type=int, default=5, metavar="N")
        add_output(parser)
        words = parser.parse_args(argv)
        machine = describe_machine()
        with tempfile.TemporaryDirectory() as folder:
            rows = measure(Path(folder), words.visits)
        heading = ("video", "classes", "segments", "kB", "ms to open", "ms a picture, zooming")
        cells = [
            (
                row.video,
                str(row.classes),
                str(row.segments),
                f"{row.kilobytes:.0f}",
                f"{row.open_ms:.0f}",
                f"{row.zoom_ms:.1f}",
            )
            for row in rows
        ]
        publish(
            words.output,
            {"results": [asdict(row) for row in rows]},
            table(heading, cells),
            machine=machine,
        )
        return 0

    return run_command("benchmarks.report_pages", work)


def measure(folder: Path, visits: int) -> list[Row]:
    """A row for each length."""
    rows = []
    browser = Browser(folder / "profile")
    try:
        browser.size(1280, 900)
        browser.call("Performance.enable", timeDomain="threadTicks")
        for length in LENGTHS:
            page = folder / f"{length.seconds:.0f}.html"
            page.write_text(render_report(made_up(length)), encoding="utf-8")
            opened, zoomed = [], []
            for _ in range(visits):
                browser.open("about:blank")
                before = task_ms(browser)
                browser.open(page.as_uri())
                wait = "new Promise(done => requestAnimationFrame(() => setTimeout(done)))"
                browser.run(wait)
                between = task_ms(browser)
                browser.run(_ZOOM % _ZOOMS)
                opened.append(between - before)
                zoomed.append((task_ms(browser) - between) / _ZOOMS)
            rows.append(
                Row(
                    video=length.name,
                    classes=length.classes,
                    segments=length.segments,
                    kilobytes=page.stat().st_size / 1000,
                    open_ms=statistics.median(opened),
                    zoom_ms=statistics.median(zoomed),
                )
            )
    finally:
        browser.close()
    return rows


def task_ms(browser: Browser) -> float:
    """Processor time of the page's main thread so far."""
    metrics = browser.call("Performance.getMetrics")["metrics"]
    return 1000 * next(float(one["value"]) for one in metrics if one["name"] == "TaskDuration")


def made_up(length: Length) -> VideoReport:
    """Scores that wander, and segments anywhere."""
    random = np.random.default_rng(0)
    times = np.arange(0, length.seconds, _STEP_SECONDS) + _STEP_SECONDS / 2
    steps = random.normal(0, 0.05, (len(times), length.classes))
    labels = tuple(f"class {number}" for number in range(length.classes))
    starts = np.sort(random.uniform(0, length.seconds - 5, length.segments))
    segments = tuple(
        Segment(
            label=labels[random.integers(length.classes)],
            start_seconds=float(start),
            end_seconds=float(start + random.uniform(1, 5)),
            score=float(random.random()),
        )
        for start in starts
    )
    result = SourceResult(
        name=length.name,
        segments=segments,
        duration_seconds=length.seconds,
        complete=True,
    )
    scores = np.clip(np.cumsum(steps, axis=0) % 2 - 0.5, 0, 1)
    return VideoReport(
        result=result,
        video=ShownVideo(),
        scores=FrameScores(classes=labels, scores=scores, centre_seconds=times),
        truth=segments[::2],
    )


if __name__ == "__main__":
    sys.exit(main())
