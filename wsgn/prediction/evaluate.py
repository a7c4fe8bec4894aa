"""What predictions of annotated videos are worth: segments, their detection mAP, and others."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import torch

from wsgn.checkpoint import Checkpoint
from wsgn.data.annotations import Annotations, VideoAnnotation, label_vector
from wsgn.data.charades import NUM_CLASSES
from wsgn.data.samples import SelectedVideos, VideoSource
from wsgn.errors import UsageError
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.localization.segments import Segment
from wsgn.manifest import DetectionRule
from wsgn.metrics.annotations import Truth, truth_of
from wsgn.metrics.charades_files import CharadesTruth, points_seconds
from wsgn.metrics.classification import evaluate_classification
from wsgn.metrics.detection import DetectionResult, evaluate_detection
from wsgn.metrics.detections import Detections
from wsgn.metrics.report import VideoScores
from wsgn.metrics.video_level import NOT_LOCALISED, VideoLevelResult, evaluate_video_level
from wsgn.prediction.absent import Absent, scored_truth
from wsgn.prediction.predict import VideoPrediction, predict_videos, predicted_segments
from wsgn.support.arrays import BoolArray, FloatArray
from wsgn.support.files import write_whole_file
from wsgn.support.tables import columns

# Overlaps of short tables, such as that at the end of a training.
FEW_TIOU = (0.1, 0.3, 0.5, 0.7)

# How segments are found in scores.
Rule = DetectionRule | MultiThresholdRule


@dataclass(frozen=True, kw_only=True)
class Evaluation:
    """What was found in each video, and how well it fits the truth."""

    segments: dict[str, list[Segment]]
    # None where the annotations have labels only.
    detection: DetectionResult | None
    # None where no video has a label.
    video_level: VideoLevelResult | None = None
    # Videos of the truth that were not there, and what was scored against of it.
    absent: Absent = field(default_factory=Absent)
    truth: Truth | None = None

    def result_table(self) -> str:
        """Overlaps and mAP in percent, or what video-level labels say where there are no times."""
        result = self.detection
        if result is None:
            known = [] if self.video_level is None else [self.video_level.as_text()]
            return "\n".join([NOT_LOCALISED, *known])
        rows = [
            ["tIoU", *(f"{tiou:.1f}" for tiou in result.tiou)],
            ["mAP", *(f"{value:.1f}" for value in result.map_percent)],
        ]
        return (
            f"detection mAP (%) on {self.absent.counted(result)}, "
            f"protocol {result.protocol}\n{columns(rows, least=5)}"
        ).removesuffix("\n")


def evaluate(
    checkpoint: Checkpoint,
    source: VideoSource,
    *,
    rule: Rule | None = None,
    truth: Truth | None = None,
    only_present: bool = False,
    protocol: str = "activitynet",
    tiou: Sequence[float] = FEW_TIOU,
    device: str | torch.device = "cpu",
) -> Evaluation:
    """Predict every video of a source and score the segments.

    `rule` is the one that training left behind by default. `truth` are the source's own
    annotations by default; they hold no ambiguous intervals, which some protocols need. Videos of
    the truth that the source lacks count as missed, or not at all with `only_present`.
    """
    rule = rule or trained_rule(checkpoint)
    segments: dict[str, list[Segment]] = {}
    scores: dict[str, FloatArray] = {}
    # One after the other: frame scores of all videos may be more than the memory holds.
    for prediction in predict_videos(checkpoint.build().to(device), source):
        segments[prediction.name] = predicted_segments(prediction, source.classes, rule)
        scores[prediction.name] = prediction.pooled_scores()
    video_level = video_level_result(source.videos, source.classes, scores)
    if truth is None and has_segments(source.videos):
        truth = truth_of(source.videos, source.classes)
    if truth is None:
        return Evaluation(segments=segments, detection=None, video_level=video_level)
    truth, absent = scored_truth(truth, segments, protocol, only_present=only_present)
    return Evaluation(
        segments=segments,
        detection=score_segments(segments, truth, protocol, tiou),
        video_level=video_level,
        absent=absent,
        truth=truth,
    )


def over_time(prediction: VideoPrediction, classes: tuple[str, ...]) -> VideoScores:
    """The scores of a video as a page draws them."""
    return VideoScores(
        times=prediction.times.centre_seconds, classes=classes, scores=prediction.scores
    )


def scores_again(
    checkpoint: Checkpoint, source: VideoSource, device: str | torch.device
) -> Callable[[str], VideoScores | None]:
    """What gives the scores of a video by its name, for a few: each is predicted once more."""
    model = checkpoint.build().to(device)
    places = {video.name: place for place, video in enumerate(source.videos)}

    def scores(name: str) -> VideoScores | None:
        if name not in places:
            return None
        [prediction] = predict_videos(model, SelectedVideos(source, [places[name]]))
        return over_time(prediction, source.classes)

    return scores


def has_segments(videos: Iterable[VideoAnnotation]) -> bool:
    """Whether the times of actions are known, or only labels."""
    return any(video.segments for video in videos)


def video_level_result(
    videos: Sequence[VideoAnnotation],
    classes: tuple[str, ...],
    video_scores: Mapping[str, FloatArray],
) -> VideoLevelResult | None:
    """How scores (C,) of videos by name fit their labels; None where no video has one."""
    labels = _labels_of(video_scores, videos, classes)
    if not labels.any():
        return None
    return evaluate_video_level(np.stack([*video_scores.values()]), labels, classes)


def _labels_of(
    names: Iterable[str], videos: Iterable[VideoAnnotation], classes: tuple[str, ...]
) -> BoolArray:
    """Labels (V, C) of the named ones among these videos."""
    labels = {video.name: label_vector(video.labels, classes) for video in videos}
    return np.stack([labels[name] for name in names]).astype(np.bool_)


def trained_rule(checkpoint: Checkpoint) -> Rule:
    """The rule for segments of whole videos that training left behind."""
    if checkpoint.calibration is None:
        raise UsageError("the checkpoint is of a training that has not ended; resume it first.")
    return checkpoint.calibration.proposals or checkpoint.calibration.detection


def chosen_rule(name: str, checkpoint: Checkpoint) -> Rule:
    """The rule for segments of this name, out of SEGMENT_RULES; raises `UsageError`.

    'trained' is the model's own, 'middle' one threshold in the middle of a video's scores,
    'many' thresholds as the configuration has them or as usual.
    """
    trained, calibration = trained_rule(checkpoint), checkpoint.calibration
    assert calibration is not None
    if name == "many":
        usual = MultiThresholdRule(smoothing_snippets=checkpoint.model.smoothing_snippets)
        return calibration.proposals or usual
    return calibration.detection if name == "middle" else trained


def find_segments(
    predictions: Iterable[VideoPrediction],
    classes: tuple[str, ...],
    rule: Rule,
) -> dict[str, list[Segment]]:
    """Segments of each predicted video, by its name.

    Args:
        predictions: of `predict_videos`.
        classes: in the order of the score columns.
        rule: `checkpoint.calibration.detection`, one threshold (a class whose video score is high
            enough, where its smoothed frame score lies above the middle between its smallest and
            largest), or a `wsgn.localization.proposals.MultiThresholdRule`.

    Returns:
        Segments with start and end in seconds, by start.
    """
    return {
        prediction.name: predicted_segments(prediction, classes, rule) for prediction in predictions
    }


def score_segments(
    segments: Mapping[str, Sequence[Segment]],
    truth: Truth,
    protocol: str = "activitynet",
    tiou: Sequence[float] = FEW_TIOU,
) -> DetectionResult:
    """Detection mAP of the segments of some videos."""
    return evaluate_detection(truth, Detections.from_segments(segments), protocol, tiou)


def classification_map(annotations: Annotations, predictions: Sequence[VideoPrediction]) -> float:
    """Video classification mAP in percent."""
    names = [prediction.name for prediction in predictions]
    result = evaluate_classification(
        np.stack([prediction.pooled_scores() for prediction in predictions]),
        _labels_of(names, annotations.videos, annotations.classes),
    )
    return result.map_percent


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
