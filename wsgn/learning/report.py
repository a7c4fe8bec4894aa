"""What came of a way from clips to an engine, as a page of Markdown."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsgn.data.annotations import Annotations
from wsgn.learning.advice import SHOWN_SCORE, is_found
from wsgn.manifest import AlarmRule
from wsgn.metrics.video_level import NOT_LOCALISED
from wsgn.support.files import write_whole_file
from wsgn.support.terminal import printable

# Videos whose segments the page shows.
_MOST_VIDEOS = 30
_MOST_SEGMENTS = 5


@dataclass(frozen=True, kw_only=True, eq=False)
class Report:
    """Clips, engine, and how it does on the clips that were kept apart."""

    annotations: Annotations
    engine: Path
    # What was said of the clips before the training.
    notices: tuple[str, ...]
    # What `wsgn-predict --json` says of the subset `test`.
    scores: Mapping[str, Any]
    advice: tuple[str, ...]
    # Segments by video, of that subset.
    found: Mapping[str, Sequence[Mapping[str, Any]]]
    # Of the engine, where it has them.
    alarms: AlarmRule | None = None

    def summary(self) -> str:
        """One line for people."""
        level = self.scores.get("video_level")
        if level is None:
            mean = sum(self.scores["mAP"]) / len(self.scores["mAP"])
            return f"on {self.scores['videos']} videos kept apart: average mAP {mean:.1f} %"
        accuracy = level["accuracy"]
        words = "" if accuracy is None else f", accuracy {accuracy:.1f} %"
        return f"on {level['videos']} clips kept apart: mAP {level['mAP']:.1f} %{words}"


def write_report(path: Path, report: Report) -> None:
    """Write the page: never half of it."""
    write_whole_file(path, "\n".join(_lines(report)).encode(), what="the report")


def _lines(report: Report) -> Iterator[str]:
    yield f"# {_cell(report.engine.name)}"
    yield ""
    yield report.summary() + "."
    level = report.scores.get("video_level")
    if level is not None:
        yield f"({NOT_LOCALISED}.)"
    for heading, sentences in (("What to do", report.advice), ("The clips", report.notices)):
        if sentences:
            yield from ("", f"## {heading}", "")
            yield from (f"- {_cell(sentence)}" for sentence in sentences)
    yield from _class_lines(report)
    if level is not None and len(report.annotations.classes) > 1:
        confusion = level["confusion"]
        yield from ("", "Clips of a class (rows) by the class that scores highest:", "")
        yield f"| | {' | '.join(map(_cell, confusion['columns']))} |"
        yield "|---" * (len(confusion["columns"]) + 1) + "|"
        for label, row in confusion["rows"].items():
            yield f"| {_cell(label)} | {' | '.join(map(str, row))} |"
    if report.alarms is not None:
        yield from _alarm_lines(report.annotations.classes, report.alarms)
    yield from _found_lines(report)


def _alarm_lines(classes: Sequence[str], alarms: AlarmRule) -> Iterator[str]:
    """From where on segments of streams open, and what was counted in clips without the class."""
    yield from ("", "## False alarms on cameras", "")
    yield (
        f"At most {alarms.false_alarms_per_hour:g} an hour were wanted, of all classes together. "
        "Counted in clips that show something else, by models that had not seen them:"
    )
    yield from ("", "| class | opens at | false alarms | hours |", "|---|---|---|---|")
    rows = zip(classes, alarms.open_thresholds, alarms.false_alarms, alarms.hours, strict=True)
    for label, threshold, count, hours in rows:
        yield f"| {_cell(label)} | {threshold:.3g} | {count} | {hours:.3f} |"
    yield ""
    yield "No alarm in H hours rules out a rate of 3 / H an hour, and none that is lower."


def _class_lines(report: Report) -> Iterator[str]:
    """Of each class: clips, AP, and in how many of the clips kept apart a segment was found."""
    yield from ("", "## Classes", "")
    yield "| class | trained on | kept apart | AP (%) | found in its clips | found in others |"
    yield "|---|---|---|---|---|---|"
    level = report.scores.get("video_level")
    videos = report.annotations.videos
    tried = [video for video in videos if video.name in report.found]
    for label in report.annotations.classes:
        ap = None if level is None else level["AP"][label]
        with_it = {name for name, found in report.found.items() if is_found(label, found)}
        own = {video.name for video in tried if label in video.labels}
        cells = (
            _cell(label),
            sum(label in video.labels for video in videos if video.subset == "train"),
            len(own),
            "" if ap is None else f"{ap:.1f}",
            f"{len(own & with_it)} of {len(own)}",
            f"{len(with_it - own)} of {len(tried) - len(own)}",
        )
        yield f"| {' | '.join(map(str, cells))} |"


def _found_lines(report: Report) -> Iterator[str]:
    yield from ("", "## Segments found in the clips kept apart", "")
    yield "| video | labels | found (seconds, score) |"
    yield "|---|---|---|"
    labels = {video.name: video.labels for video in report.annotations.videos}
    names = sorted(report.found)
    for name in names[:_MOST_VIDEOS]:
        shown = [one for one in report.found[name] if one["score"] >= SHOWN_SCORE]
        best = sorted(shown, key=lambda one: -one["score"])[:_MOST_SEGMENTS]
        words = "; ".join(
            f"{_cell(one['label'])} {one['segment'][0]:.1f}-{one['segment'][1]:.1f} "
            f"({one['score']:.2f})"
            for one in best
        )
        yield f"| {_cell(name)} | {_cell(', '.join(labels.get(name, ())))} | {words} |"
    if len(names) > _MOST_VIDEOS:
        yield f"\nand {len(names) - _MOST_VIDEOS} more in found.json."
    yield ""


def _cell(text: str) -> str:
    """Text that is no markup in a table of Markdown: no HTML, no link and no picture."""
    return re.sub(r"[\\|\[`]", r"\\\g<0>", printable(text)).replace("<", "&lt;")
