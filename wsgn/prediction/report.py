"""What `wsgn-predict` reports about predictions of annotated videos."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from typing import Any

import numpy as np

from wsgn.checkpoint import Checkpoint
from wsgn.data.annotations import Annotations, label_vector
from wsgn.data.charades import NUM_CLASSES
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.localization.segments import Segment
from wsgn.manifest import DetectionRule
from wsgn.methods.wsgn import Wsgn
from wsgn.metrics.charades_files import CharadesTruth, points_seconds
from wsgn.metrics.classification import evaluate_classification
from wsgn.prediction.evaluate import find_segments
from wsgn.prediction.predict import VideoPrediction
from wsgn.prediction.separate_outputs import separate_outputs
from wsgn.support.arrays import FloatArray


def classification_map(annotations: Annotations, predictions: Sequence[VideoPrediction]) -> float:
    """Video classification mAP in percent."""
    labels = {
        video.name: label_vector(video.labels, annotations.classes) for video in annotations.videos
    }
    result = evaluate_classification(
        np.stack([prediction.pooled_scores() for prediction in predictions]),
        np.stack([labels[prediction.name] for prediction in predictions]),
    )
    return result.map_percent


def each_output(
    checkpoint: Checkpoint,
    predictions: Sequence[VideoPrediction],
    rule: DetectionRule | MultiThresholdRule,
) -> dict[str, dict[str, list[Segment]]]:
    """Segments by output and video, each output as if it were alone (figure 4).

    Which classes a video has is told by the model's own video scores.
    """
    model = checkpoint.build()
    assert isinstance(model.method, Wsgn)
    if isinstance(rule, DetectionRule):
        # The thresholds of training are of the product, not of its parts.
        rule = replace(rule, peak_gate=0.0)
    method = model.method
    curves: dict[str, list[VideoPrediction]] = {}
    for prediction in predictions:
        apart = separate_outputs(
            prediction, method.config, method.global_mean.tolist(), method.global_std.tolist()
        )
        for name, scores in apart.items():
            alone = replace(prediction, scores=scores, video_scores=prediction.pooled_scores())
            curves.setdefault(name, []).append(alone)
    return {
        name: find_segments(alone, checkpoint.model.classes, rule) for name, alone in curves.items()
    }


def charades_scores(truth: CharadesTruth, predictions: Sequence[VideoPrediction]) -> FloatArray:
    """Scores (V, 25, 157) at the points of the protocol, -inf in videos without a prediction.

    Between snippet centres they are interpolated linearly, beyond the outermost they are held.
    """
    by_name = {prediction.name: prediction for prediction in predictions}
    scores = np.full(truth.labels.shape, -np.inf)
    for row, (name, length) in enumerate(zip(truth.video_ids, truth.length_seconds, strict=True)):
        if name not in by_name:
            continue
        prediction = by_name[name]
        points, centres = points_seconds(length), prediction.times.centre_seconds
        for column in range(NUM_CLASSES):
            scores[row, :, column] = np.interp(points, centres, prediction.scores[:, column])
    return scores


def as_text(report: dict[str, Any]) -> str:
    """The report for people who read."""
    lines = []
    if "segments" in report:
        where = f", written to {report['written']}" if "written" in report else ""
        lines.append(f"{report['segments']} segments{where}")
    if "protocol" in report:
        lines.append(
            f"detection mAP (%), protocol {report['protocol']}, {report['videos']} videos, "
            f"{report['instances']} instances"
        )
        rows = {"tIoU": report["tiou"], "mAP": report["mAP"], **report.get("outputs", {})}
        for name, values in rows.items():
            lines.append(f"  {name:20}" + " ".join(f"{value:6.1f}" for value in values))
        lines.append(f"video classification mAP {report['classification_mAP']:.1f} %")
    if "charades" in report:
        found = report["charades"]
        lines.append(
            f"Charades localization on {found['videos']} videos, {found['points']} points: mAP "
            f"{found['mAP']:.2f} %, weighted AP {found['weighted_AP']:.2f} %"
        )
    return "\n".join(lines)
