"""The report of wsgn-predict: the keys of its JSON and the lines of its text."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np

from wsgn.metrics.charades import CharadesResult
from wsgn.metrics.detection import DetectionResult
from wsgn.prediction.absent import Absent
from wsgn.prediction.report import DetectionReport, PredictionReport, SegmentReport


def result(*average_precision_percent: float) -> DetectionResult:
    """One class, as many thresholds as there are values."""
    return DetectionResult(
        protocol="activitynet",
        num_videos=4,
        num_instances=7,
        num_ignored_detections=0,
        tiou=(0.3, 0.5),
        classes=("wave",),
        average_precision_percent=np.array([average_precision_percent]),
    )


CHARADES = CharadesResult(
    num_videos=2,
    num_points=50,
    num_positives=np.array([1, 3, 0]),
    average_precision_percent=np.array([50.0, 100.0, np.nan]),
)
WHOLE = PredictionReport(
    segments=SegmentReport(
        num_segments=9,
        written=Path("found.json"),
        scores=DetectionReport(
            result=result(75.0, 12.5),
            classification_map_percent=62.5,
            num_classified=3,
            absent=Absent(num_videos=1, num_instances=2),
            outputs={"temporal_softmax": result(25.0, 0.0)},
        ),
    ),
    charades=CHARADES,
)


def test_the_keys_of_the_json() -> None:
    assert json.loads(WHOLE.as_json()) == {
        "segments": 9,
        "written": "found.json",
        "protocol": "activitynet",
        "videos": 4,
        "instances": 7,
        "missing_videos": 1,
        "missing_instances": 2,
        "left_out_videos": 0,
        "left_out_instances": 0,
        "tiou": [0.3, 0.5],
        "mAP": [75.0, 12.5],
        "classification_mAP": 62.5,
        "classification_videos": 3,
        "outputs": {"temporal_softmax": [25.0, 0.0]},
        "charades": {
            "videos": 2,
            "points": 50,
            "unscored_videos": 0,
            "mAP": 75.0,
            "weighted_AP": 87.5,
        },
    }


def test_the_lines_of_the_text() -> None:
    assert WHOLE.as_text().splitlines() == [
        "9 segments, written to found.json",
        "detection mAP (%), protocol activitynet, 4 videos, 7 instances (1 of the videos, with 2 "
        "of the instances, has no features and counts as missed; --only-present leaves out what is "
        "missing)",
        "  tIoU                   0.3    0.5",
        "  mAP                   75.0   12.5",
        "  temporal_softmax      25.0    0.0",
        "video classification mAP 62.5 % of 3 videos",
        "Charades localization on 2 videos, 50 points: mAP 75.00 %, weighted AP 87.50 %",
    ]


def test_what_was_not_asked_for_does_not_show() -> None:
    only_segments = PredictionReport(
        segments=SegmentReport(num_segments=3, written=None, scores=None), charades=None
    )
    assert only_segments.as_json() == '{"segments": 3}'
    assert only_segments.as_text() == "3 segments"
    only_points = PredictionReport(segments=None, charades=CHARADES)
    assert list(json.loads(only_points.as_json())) == ["charades"]
    assert len(only_points.as_text().splitlines()) == 1
