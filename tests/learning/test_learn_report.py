"""What the page says of an engine, and what it advises."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.learning.advice import advice
from wsgn.learning.report import Report, write_report
from wsgn.manifest import AlarmRule
from wsgn.metrics.video_level import evaluate_video_level

CLASSES = ("kick", "push")
LABELS = {"k1": "kick", "k2": "kick", "p1": "push", "p2": "push", "b1": ""}
# Of push nothing is right.
SCORES = {"k1": (0.9, 0.1), "k2": (0.8, 0.1), "p1": (0.7, 0.2), "p2": (0.6, 0.1), "b1": (0.3, 0.3)}


def annotations(num_trained: int, *, background: bool = True) -> Annotations:
    videos = [_video(name, "test", label) for name, label in LABELS.items()]
    for index in range(num_trained):
        videos += [_video(f"t{label}{index}", "train", label) for label in CLASSES]
    if background:
        videos.append(_video("t", "train", ""))
    return Annotations(classes=CLASSES, videos=tuple(videos))


def _video(name: str, subset: str, label: str) -> VideoAnnotation:
    return VideoAnnotation(
        name=name,
        subset=subset,
        duration_seconds=None,
        labels=(label,) if label else (),
        segments=(),
    )


def scores() -> dict[str, object]:
    level = evaluate_video_level(
        np.array([SCORES[name] for name in LABELS]),
        np.array([[label == name for name in CLASSES] for label in LABELS.values()]),
        CLASSES,
    )
    return {"segments": 3, "localised": False, "video_level": level.as_object()}


def test_few_clips_and_classes_that_look_alike_are_told() -> None:
    sentences = [*advice(annotations(4), scores(), {})]
    assert len(sentences) == 2
    assert sentences[0].startswith("'push' is not learned well (AP 45 %), and only 4 clips")
    assert sentences[1].startswith("2 of 2 clips of 'push' are taken for 'kick'")


def test_a_missing_background_is_told_and_many_clips_are_not_too_few() -> None:
    sentences = [*advice(annotations(12, background=False), scores(), {})]
    assert "from 12 clips: see whether they show it whole" in sentences[0]
    assert sentences[-1].startswith("there are no clips of background")


def test_a_class_that_is_found_in_background_is_told() -> None:
    kick = {"label": "kick", "segment": [0.5, 2.0], "score": 0.8}
    videos = (*annotations(12).videos, _video("b2", "test", ""), _video("b3", "test", ""))
    known = Annotations(classes=CLASSES, videos=videos)
    found = {"b1": [kick], "b2": [kick, {**kick, "label": "push", "score": 0.05}], "b3": []}
    alarms = [text for text in advice(known, scores(), found) if "of background" in text]
    assert len(alarms) == 1
    assert alarms[0].startswith("'kick' is found in 2 of 3 clips of background")


def test_the_page_counts_where_a_class_was_found(tmp_path: Path) -> None:
    kick = {"label": "kick", "segment": [0.5, 2.0], "score": 0.8}
    found = {"k1": [kick], "k2": [], "p1": [kick], "p2": [{**kick, "score": 0.05}], "b1": []}
    report = Report(
        annotations=annotations(4),
        engine=Path("my.onnx"),
        notices=("few clips of 'a|b'.",),
        scores=scores(),
        advice=("add clips.",),
        found=found,
        alarms=AlarmRule(
            open_thresholds=(0.5, 0.91234),
            false_alarms_per_hour=1.0,
            hours=(0.25, 0.5),
            false_alarms=(0, 2),
        ),
    )
    write_report(tmp_path / "report.md", report)
    text = (tmp_path / "report.md").read_text()
    assert "| kick | 4 | 2 | 100.0 | 1 of 2 | 1 of 3 |" in text
    assert "| k1 | kick | kick 0.5-2.0 (0.80) |" in text
    assert "| p2 | push |  |" in text
    assert "| push | 2 | 0 |" in text
    assert "a\\|b" in text
    assert "| push | 0.912 | 2 | 0.500 |" in text
    assert "localisation was not scored" in text
    assert report.summary() == "on 5 clips kept apart: mAP 72.5 %, accuracy 50.0 %"
