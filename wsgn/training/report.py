"""`report.html` of a training: its curves, and what it makes of the videos that are held out."""

from __future__ import annotations

import csv
import math
from collections.abc import Mapping, Sequence
from contextlib import suppress
from pathlib import Path

import numpy as np

from wsgn.page.lanes import (
    VIDEO_STYLE,
    Lane,
    Lanes,
    LaneSegment,
    lanes_key,
    video_part,
)
from wsgn.page.parts import Figure, Line, header, line_chart, section, table
from wsgn.page.shell import asset, render_page
from wsgn.support.arrays import FloatArray
from wsgn.support.files import write_whole_file
from wsgn.support.mirrors import place_name
from wsgn.training.validation import Looked, LookedVideo

NAME = "report.html"
# A curve has so many points at most; each is the mean of as many steps as that takes.
_MOST_POINTS = 2000
# How often a browser reads the page of a training that goes on.
_REFRESH_SECONDS = 30

_STYLE = """
.chart { margin: 0 0 20px; }
"""


def write_training_report(
    folder: Path,
    looked: Looked | None,
    *,
    num_steps: int,
    ended: bool,
    links: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the page from the logs in the folder and the last look at held-out videos.

    `links` are addresses of other pages and what they are called. Raises `OutputError`.
    """
    losses = _columns(folder / "losses.csv")
    validation = _columns(folder / "validation.csv")
    step = int(losses["step"][-1]) if len(losses.get("step", ())) else 0
    facts: list[tuple[str, object]] = [("steps", f"{step} of {num_steps}")]
    if len(losses.get("loss", ())):
        facts.append(("loss", f"{losses['loss'][-1]:.4f}"))
    if looked is not None:
        facts += [
            ("video mAP of held-out videos", f"{looked.video_map_percent:.1f} %"),
            ("chance", f"{looked.chance_percent:.1f} %"),
        ]
    title = f"Training {place_name(folder)}"
    body = header(title, facts, links) + _curves(losses, validation)
    if looked is not None:
        body += _classes(looked) + _videos(looked.worst)
    page = render_page(
        f"{title} - wsgn",
        body,
        None,
        [asset("line_chart.js"), asset("lanes.js")],
        styles=[VIDEO_STYLE, _STYLE],
        refresh_seconds=None if ended else _REFRESH_SECONDS,
    )
    write_whole_file(folder / NAME, page.encode(), what="the report")


def _columns(path: Path) -> Mapping[str, FloatArray]:
    """A log's columns by name; none where there is no such log, or no line."""
    if not path.is_file():
        return {}
    lines = csv.reader(path.read_text("utf-8", errors="replace").splitlines())
    heading = next(lines, [])
    whole = []
    for line in lines:
        # What a crash has left of a line is no reason to lose a training.
        with suppress(ValueError):
            numbers = [float(cell) for cell in line]
            if len(numbers) == len(heading):
                whole.append(numbers)
    return dict(zip(heading, np.array(whole).reshape(-1, len(heading)).T, strict=True))


def _curves(losses: Mapping[str, FloatArray], validation: Mapping[str, FloatArray]) -> str:
    charts = []
    steps = _thinned(losses.get("step", np.empty(0)))
    for name, log in (("loss", False), ("learning_rate", False), ("gradient_norm", True)):
        words = name.replace("_", " ")
        values = _thinned(losses.get(name, np.empty(0)))
        line = Line(name=words, x=steps, y=values)
        charts.append(line_chart(words.capitalize(), [line], x="step", y=words, log=log))
    if len(validation.get("step", ())):
        steps = validation["step"].tolist()
        lines = [
            Line(name="video mAP", x=steps, y=validation["video_map_percent"].tolist()),
            Line(name="chance", x=steps, y=validation["chance_percent"].tolist()),
        ]
        charts.append(
            line_chart("Held-out videos", lines, x="step", y="video mAP, %", limits=(0, 100))
        )
    return section("Curves", f'<div class="columns">{"".join(charts)}</div>')


def _thinned(values: FloatArray) -> list[float]:
    """Means of as many neighbours as leave few enough."""
    width = max(1, math.ceil(len(values) / _MOST_POINTS))
    return [float(values[at : at + width].mean()) for at in range(0, len(values), width)]


def _classes(looked: Looked) -> str:
    order = np.argsort(-np.nan_to_num(looked.class_percent, nan=-1.0), kind="stable")
    rows: list[Sequence[object]] = [
        [
            looked.classes[at],
            int(looked.num_positives[at]),
            Figure("-" if math.isnan(ap := looked.class_percent[at]) else f"{ap:.1f}"),
        ]
        for at in order.tolist()
    ]
    return section(
        "Held-out videos by class",
        table(["class", "videos", "video AP, %"], rows, caption="how videos are told apart"),
    )


def _videos(worst: Sequence[LookedVideo]) -> str:
    parts = []
    for video in worst:
        words = f"true: {', '.join(video.true) or 'nothing'}; highest: {video.highest}"
        parts.append(video_part(_lanes(video), name=video.name, note=words))
    return section(
        "Worst held-out videos",
        lanes_key("scores", *(["true"] if any(video.segments for video in worst) else [])),
        *parts,
        note="Those in which a class that is not there scores most above one that is: scores over "
        "time, and what is true where its times are known.",
    )


def _lanes(video: LookedVideo) -> Lanes:
    ends = [end for _, _, end in video.segments]
    return Lanes(
        duration_seconds=max([*ends, float(video.end_seconds)]),
        times=video.times,
        has_truth=bool(video.segments),
        lanes=[
            Lane(
                label=label,
                scores=video.scores[:, at],
                true=[
                    LaneSegment(start_seconds=start, end_seconds=end)
                    for name, start, end in video.segments
                    if name == label
                ],
            )
            for at, label in enumerate(video.labels)
        ],
    )
