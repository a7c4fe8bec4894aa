"""Segments of a labelled subset and their detection mAP, by the model as it was trained."""

from __future__ import annotations

import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch

from wsgn.checkpoint import Checkpoint
from wsgn.data.annotations import VideoAnnotation
from wsgn.data.samples import VideoSource
from wsgn.errors import UsageError
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.localization.segments import Segment
from wsgn.manifest import DetectionRule
from wsgn.metrics.annotations import Truth
from wsgn.metrics.detection import DetectionResult, evaluate_detection
from wsgn.metrics.detections import Detections
from wsgn.prediction.predict import VideoPrediction, predict_videos, predicted_segments
from wsgn.support.files import write_whole_file

TIOU = (0.1, 0.3, 0.5, 0.7)


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was found in each video, and how well it fits the truth."""

    segments: dict[str, list[Segment]]
    detection: DetectionResult

    def result_table(self) -> str:
        """Two lines: thresholds and mAP in percent."""
        result = self.detection
        head = "  ".join(f"{tiou:5.1f}" for tiou in result.tiou)
        values = "  ".join(f"{value:5.1f}" for value in result.map_percent)
        return (
            f"detection mAP (%) on {result.num_videos} videos, {result.num_instances} instances, "
            f"protocol {result.protocol}\n  tIoU  {head}\n  mAP   {values}"
        )


def evaluate(
    checkpoint: Checkpoint,
    source: VideoSource,
    *,
    rule: DetectionRule | MultiThresholdRule | None = None,
    truth: Truth | None = None,
    protocol: str = "activitynet",
    tiou: Sequence[float] = TIOU,
    device: str | torch.device = "cpu",
) -> Evaluation:
    """Predict every video of a source and score the segments.

    `rule` is the one that training left behind by default. `truth` are the source's own
    annotations by default; they hold no ambiguous intervals, which some protocols need.
    """
    segments = find_segments(
        predict_videos(checkpoint.build().to(device), source),
        source.classes,
        rule or trained_rule(checkpoint),
    )
    if truth is None:
        truth = truth_of(source.videos, source.classes)
    return Evaluation(segments=segments, detection=score_segments(segments, truth, protocol, tiou))


def trained_rule(checkpoint: Checkpoint) -> DetectionRule | MultiThresholdRule:
    """The rule for segments that the configuration names, or else training left behind."""
    if checkpoint.calibration is None:
        raise UsageError("the checkpoint is of a training that has not ended; resume it first.")
    return checkpoint.model.proposals or checkpoint.calibration.detection


def find_segments(
    predictions: Iterable[VideoPrediction],
    classes: tuple[str, ...],
    rule: DetectionRule | MultiThresholdRule,
) -> dict[str, list[Segment]]:
    """Segments by video."""
    return {
        prediction.name: predicted_segments(prediction, classes, rule) for prediction in predictions
    }


def score_segments(
    segments: Mapping[str, Sequence[Segment]],
    truth: Truth,
    protocol: str = "activitynet",
    tiou: Sequence[float] = TIOU,
) -> DetectionResult:
    """Detection mAP of the segments of some videos."""
    return evaluate_detection(truth, Detections.from_segments(segments), protocol, tiou)


def truth_of(videos: Sequence[VideoAnnotation], classes: Sequence[str]) -> Truth:
    """The segments of annotated videos as the metric wants them."""
    rows = [
        (index, classes.index(label), start, end)
        for index, video in enumerate(videos)
        for label, start, end in video.segments
    ]
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Truth(
        videos=tuple(video.name for video in videos),
        classes=tuple(classes),
        instance_videos=columns[:, 0].astype(np.int64),
        instance_classes=columns[:, 1].astype(np.int64),
        instance_start_seconds=columns[:, 2],
        instance_end_seconds=columns[:, 3],
    )


def save_detections(path: Path, segments: Mapping[str, Sequence[Segment]]) -> None:
    """Write ActivityNet-style detections, as `wsgn-eval` reads them."""
    document = {
        "results": {
            name: [
                {"label": s.label, "segment": [s.start_seconds, s.end_seconds], "score": s.score}
                for s in found
            ]
            for name, found in segments.items()
        }
    }
    write_whole_file(path, json.dumps(document).encode(), what="the detections")
