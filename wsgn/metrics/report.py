"""A page on what detections are worth: precision by class, errors by kind, the worst videos."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsgn.localization.nms import nms
from wsgn.metrics.annotations import Truth
from wsgn.metrics.detection import Matched, match_detections
from wsgn.metrics.detections import Detections
from wsgn.metrics.diagnosis import (
    BACKGROUND_TIOU,
    KINDS,
    MISSED,
    Diagnosis,
    VideoErrors,
    diagnose,
    precision_recall,
)
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

# Errors are told at the threshold that is next to this one.
_USUAL_TIOU = 0.5
_RECALL = np.linspace(0, 1, 101)
# A chart has so many colours.
_MOST_LINES = 7
_MOST_CURVES = 12
_MOST_VIDEOS = 10
# Detections that a better one of their class overlaps by as much are not drawn.
_SHOWN_TIOU = 0.1

_STYLE = """
.chart { margin: 0 0 20px; }
.table + .chart { margin-top: 24px; }
td:first-child { min-width: 13ch; }
"""

_KINDS_NOTE = (
    "The first that fits: true; double (a better detection has its instance); wrong label (one of "
    "another class overlaps by the threshold); localisation (one of its class overlaps by "
    f"{BACKGROUND_TIOU:g} or more); both (one of another class does); background. A missed "
    "instance has neither a true detection nor a wrong label or bad localisation upon it. After "
    "DETAD and TIDE."
)


@dataclass(frozen=True, kw_only=True, eq=False)
class VideoScores:
    """What a model gave for a video over time."""

    # (T,) seconds.
    times: FloatArray
    # (C,) names, and scores (T, C) between 0 and 1.
    classes: tuple[str, ...]
    scores: FloatArray


def _no_scores(name: str) -> None:
    """Of no video."""


def write_report(
    path: Path,
    truth: Truth,
    detections: Detections,
    protocol: str,
    tiou: Sequence[float] | None = None,
    *,
    title: str = "Detections",
    scores: Callable[[str], VideoScores | None] = _no_scores,
    links: Sequence[tuple[str, str]] = (),
) -> None:
    """Write the page, one file that needs nothing else; `OutputError` where that fails.

    The other arguments and errors are those of `evaluate_detection`; `scores` gives those of a
    video by its name where they are known, and is asked for the few that are drawn; `links` are
    addresses of other pages and what they are called.
    """
    page = report_page(truth, detections, protocol, tiou, title=title, scores=scores, links=links)
    write_whole_file(path, page.encode(), what="the report")


def report_page(
    truth: Truth,
    detections: Detections,
    protocol: str,
    tiou: Sequence[float] | None,
    *,
    title: str,
    scores: Callable[[str], VideoScores | None],
    links: Sequence[tuple[str, str]] = (),
) -> str:
    """The page as HTML."""
    matched = match_detections(truth, detections, protocol, tiou)
    names = [truth.classes[index] for index in matched.classes]
    middle = min(matched.thresholds, key=lambda one: abs(one - _USUAL_TIOU))
    found = diagnose(truth, detections, protocol, middle, min(BACKGROUND_TIOU, middle))
    precision = 100 * matched.average_precision()  # (C, K)
    facts = [
        ("average mAP", f"{precision.mean():.1f} %"),
        (f"mAP at tIoU {middle:g}", f"{found.map_percent:.1f} %"),
        ("protocol", found.protocol),
        ("videos", int(matched.evaluated.sum())),
        ("instances", len(matched.instance_spans)),
        ("detections", len(matched.found)),
    ]
    mean_curves, class_curves = _curves_sections(matched, names, precision, middle)
    body = "".join(
        [
            header(title, facts, links),
            _precision_section(matched, names, precision),
            mean_curves,
            _kinds_section(found),
            _classes_section(found),
            _videos_section(truth, detections, found.videos, scores),
            class_curves,
        ]
    )
    scripts = [asset("line_chart.js"), asset("lanes.js")]
    return render_page(f"{title} - wsgn", body, None, scripts, styles=[VIDEO_STYLE, _STYLE])


def _precision_section(matched: Matched, names: Sequence[str], precision: FloatArray) -> str:
    heading = ["class", "instances", *(f"{one:g}" for one in matched.thresholds), "average"]
    numbers = matched.num_positives.tolist()
    rows = [["all", sum(numbers), *_percents([*precision.mean(axis=0), precision.mean()])]]
    order = np.argsort(-precision.mean(axis=1), kind="stable")
    rows += [
        [names[at], numbers[at], *_percents([*precision[at], precision[at].mean()])] for at in order
    ]
    return section(
        "Average precision by class",
        table(heading, rows, caption="in percent, at each threshold of overlap (tIoU)"),
    )


def _curves_sections(
    matched: Matched, names: Sequence[str], precision: FloatArray, middle: float
) -> tuple[str, str]:
    """The mean over the classes, and each class."""
    curves = np.stack(
        [precision_recall(matched, at, _RECALL) for at in range(len(names))]
    )  # (C, R, K)
    mean = curves.mean(axis=0)  # (R, K)
    thresholds = matched.thresholds
    shown = np.unique(
        np.linspace(0, len(thresholds) - 1, min(_MOST_LINES, len(thresholds))).round()
    ).astype(int)
    lines = [
        Line(name=f"tIoU {thresholds[at]:g}", x=_RECALL.tolist(), y=mean[:, at].tolist())
        for at in shown
    ]
    place = thresholds.index(middle)
    worst = np.argsort(precision[:, place], kind="stable")[:_MOST_CURVES]
    charts = [
        line_chart(
            f"{names[at]}: {precision[at, place]:.1f} %",
            [Line(name=f"tIoU {middle:g}", x=_RECALL.tolist(), y=curves[at, :, place].tolist())],
            x="recall",
            y="precision",
            limits=(0, 1),
        )
        for at in worst
    ]
    note = "" if len(worst) == len(names) else f"The {len(worst)} classes with the lowest."
    mean_chart = line_chart(
        "Mean over the classes", lines, x="recall", y="precision", limits=(0, 1)
    )
    of_classes = f'<div class="columns">{"".join(charts)}</div>'
    return section("Precision and recall", mean_chart), section(
        f"Precision and recall of each class at tIoU {middle:g}", of_classes, note=note
    )


def _kinds_section(found: Diagnosis) -> str:
    counts = found.counts.sum(axis=0).tolist()
    total = max(1, sum(counts))
    rows: list[list[object]] = [
        [kind, number, Figure(f"{100 * number / total:.1f} %"), _gain(found, kind)]
        for kind, number in zip(KINDS, counts, strict=True)
    ]
    rows.append([MISSED, int(found.num_missed.sum()), None, _gain(found, MISSED)])
    in_band = found.bands.sum(axis=1)
    shown = np.flatnonzero(in_band)
    lines = [
        Line(
            name=kind,
            x=(shown + 1).tolist(),
            y=(100 * found.bands[shown, at] / in_band[shown]).tolist(),
        )
        for at, kind in enumerate(KINDS)
    ]
    return section(
        f"Errors by kind at tIoU {found.tiou:g}",
        table(
            ["kind", "number", "share", "gain in mAP"],
            rows,
            caption="detections, instances that were missed, and points of mAP without them",
        ),
        line_chart(
            "Kinds among the best detections",
            lines,
            x="rank / instances of the class",
            y="%",
            limits=(0, 100),
        ),
        note=_KINDS_NOTE,
    )


def _gain(found: Diagnosis, kind: str) -> Figure | None:
    gain = found.gains_percent.get(kind)
    return None if gain is None else Figure(f"{gain:+.1f}")


def _classes_section(found: Diagnosis) -> str:
    heading = ["class", *KINDS, "found", "met", MISSED]
    columns = (found.num_found, found.num_met, found.num_missed)
    rows = [
        [label, *found.counts[at].tolist(), *(int(column[at]) for column in columns)]
        for at, label in enumerate(found.classes)
    ]
    return section(
        "Errors by class",
        table(heading, rows, caption="detections by kind, and what became of the instances"),
        note="Met: by a wrong label or a bad localisation, and by nothing better.",
    )


def _videos_section(
    truth: Truth,
    detections: Detections,
    videos: Sequence[VideoErrors],
    scores: Callable[[str], VideoScores | None],
) -> str:
    worst = videos[:_MOST_VIDEOS]
    kept = _clearest(detections)
    parts = []
    has_scores = False
    for video in worst:
        words = (
            f"AP {video.ap_percent:.1f} %, true instances: {video.num_instances}, "
            f"missed: {video.num_missed}"
        )
        curves = scores(video.name)
        has_scores = has_scores or curves is not None
        lanes = _lanes(truth, detections, kept, video.name, curves)
        parts.append(video_part(lanes, name=video.name, note=words))
    return section(
        "Worst videos",
        lanes_key(*(["scores"] if has_scores else []), "found", "true"),
        *parts,
        note="By the mean of their classes' average precision. Of detections of a class that "
        "overlap, the one with the highest score is drawn.",
    )


def _clearest(detections: Detections) -> list[int]:
    """Rising positions of the detections that no better one of their class overlaps."""
    names = [f"{len(v)}:{v}{label}" for v, label in zip(
        detections.video_ids, detections.labels, strict=True
    )]  # fmt: skip
    group = np.unique(np.array(names, dtype=np.str_), return_inverse=True)[1]
    kept = nms(
        group.astype(np.int64), detections.start_seconds, detections.end_seconds,
        detections.scores, tiou=_SHOWN_TIOU,
    )  # fmt: skip
    return np.flatnonzero(kept).tolist()


def _lanes(
    truth: Truth, detections: Detections, kept: Sequence[int], name: str, scores: VideoScores | None
) -> Lanes:
    """A lane for each class that is true or found in the video."""
    video = truth.videos.index(name)
    true: dict[str, list[LaneSegment]] = {}
    for at in np.flatnonzero(truth.instance_videos == video):
        label = truth.classes[truth.instance_classes[at]]
        true.setdefault(label, []).append(
            LaneSegment(
                start_seconds=float(truth.instance_start_seconds[at]),
                end_seconds=float(truth.instance_end_seconds[at]),
            )
        )
    found: dict[str, list[LaneSegment]] = {}
    for place in kept:
        if detections.video_ids[place] == name:
            found.setdefault(detections.labels[place], []).append(
                LaneSegment(
                    start_seconds=float(detections.start_seconds[place]),
                    end_seconds=float(detections.end_seconds[place]),
                    score=float(detections.scores[place]),
                )
            )
    ends = [one.end_seconds for some in (*true.values(), *found.values()) for one in some]
    curves = {} if scores is None else dict(zip(scores.classes, scores.scores.T, strict=True))
    labels = [label for label in truth.classes if label in true or label in found]
    return Lanes(
        duration_seconds=max(ends, default=1.0),
        times=None if scores is None else scores.times,
        has_truth=True,
        lanes=[
            Lane(
                label=label,
                scores=curves.get(label),
                found=found.get(label, ()),
                true=true.get(label, ()),
            )
            for label in labels
        ],
    )


def _percents(values: Sequence[float]) -> list[Figure]:
    return [Figure(f"{value:.1f}") for value in values]
