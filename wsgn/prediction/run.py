"""The work of `wsgn-predict`: models over annotated videos, and what their scores are worth."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from functools import partial
from pathlib import Path

from wsgn.checkpoint import Checkpoint, load_checkpoint
from wsgn.data.annotations import Annotations
from wsgn.data.charades import CLASSES as CHARADES_CLASSES
from wsgn.data.layouts import read_annotations
from wsgn.dataset import open_data
from wsgn.errors import InputError, UsageError
from wsgn.features.options import VideoOptions
from wsgn.localization.segments import Segment
from wsgn.methods.config import WsgnConfig
from wsgn.metrics.annotations import Truth, read_truth
from wsgn.metrics.charades import CharadesResult, evaluate_charades
from wsgn.metrics.charades_files import CharadesTruth, read_charades, write_submission
from wsgn.metrics.detections import Detections
from wsgn.metrics.report import write_report
from wsgn.prediction.absent import scored_truth
from wsgn.prediction.evaluate import (
    charades_scores,
    chosen_rule,
    classification_map,
    find_segments,
    has_segments,
    over_time,
    save_detections,
    score_segments,
    video_level_result,
)
from wsgn.prediction.options import PredictOptions
from wsgn.prediction.predict import VideoPrediction, fused, predict_videos
from wsgn.prediction.report import DetectionReport, PredictionReport, SegmentReport
from wsgn.prediction.separate_outputs import segments_of_each_output
from wsgn.prediction.tried import tried, write_tried
from wsgn.support.progress import progress_bar
from wsgn.torch_device import open_device


def predict(options: PredictOptions) -> PredictionReport:
    """Predict the videos of a subset; write and score what the options ask for.

    Raises `UsageError` where models, annotations and options do not go together, `InputError` for
    a file that cannot be read, `OutputError` for one that cannot be written.
    """
    checkpoints = [tried(load_checkpoint(path), options) for path in options.checkpoints]
    annotations = read_annotations(options.annotations)
    _require_fit(options, checkpoints, annotations)
    # What is wrong with these files must not be found out after hours of prediction.
    localised = has_segments(annotations.subset(options.subset))
    if options.protocol is not None and localised:
        read_truth(options.annotations, options.subset)
    points = None if options.charades is None else read_charades(options.charades)
    predictions = _predictions(options, checkpoints, annotations)
    segments = None
    if options.wants_segments:
        segments = _segment_report(options, checkpoints[0], annotations, predictions)
    if options.write_model is not None:
        write_tried(options.write_model, checkpoints[0], options.segments, annotations, predictions)
    charades = None
    if points is not None:
        charades = _charades(points, predictions, options.submission)
    return PredictionReport(segments=segments, charades=charades, model=options.write_model)


def _require_fit(
    options: PredictOptions, checkpoints: Sequence[Checkpoint], annotations: Annotations
) -> None:
    first = checkpoints[0].model
    if any(other.model.classes != first.classes for other in checkpoints[1:]):
        raise UsageError("the models do not know the same classes, so they cannot be fused.")
    if annotations.classes != first.classes:
        raise UsageError("the classes of the annotations, or their order, are not the model's.")
    if options.each_output and not isinstance(first.method, WsgnConfig):
        raise UsageError("--each-output takes WSGN apart; the model is of another method.")
    if options.charades and first.classes != CHARADES_CLASSES:
        raise UsageError("--charades needs a model of the 157 classes c000 to c156, in order.")
    if options.wants_segments or options.write_model is not None:
        chosen_rule(options.segments, checkpoints[0])


def _predictions(
    options: PredictOptions, checkpoints: Sequence[Checkpoint], annotations: Annotations
) -> list[VideoPrediction]:
    """The videos one after the other, each fused out of what all models say."""
    device = open_device(options.device)
    streams: list[Iterator[VideoPrediction]] = []
    names: list[str] = []
    for checkpoint in checkpoints:
        model = checkpoint.model
        # What one model says of features that are missing, the others need not say again.
        tells = not options.quiet and (not streams or isinstance(options.data, VideoOptions))
        data = open_data(options.data, annotations, streams=model.streams, progress=tells)
        source = data.source(options.subset, model)
        found = [video.name for video in source.videos]
        if streams and (odd := sorted(set(found) ^ set(names))):
            raise InputError(
                f"the models do not find features of the same videos, {len(odd)} of them only one "
                f"model, the first is '{odd[0]}': add what is missing."
            )
        names = found
        streams.append(predict_videos(checkpoint.build().to(device), source))
    together = progress_bar(
        zip(*streams, strict=True),
        wanted=not options.quiet,
        total=len(names),
        desc="predicting",
        unit="video",
    )
    return [fused(predictions) for predictions in together]


def _segment_report(
    options: PredictOptions,
    checkpoint: Checkpoint,
    annotations: Annotations,
    predictions: Sequence[VideoPrediction],
) -> SegmentReport:
    """Find the segments, write them and score them."""
    rule = chosen_rule(options.segments, checkpoint)
    segments = find_segments(predictions, checkpoint.model.classes, rule)
    if options.output is not None:
        save_detections(options.output, segments)
    scores = video_level = None
    videos = annotations.subset(options.subset)
    if options.protocol is not None and not has_segments(videos):
        pooled = {prediction.name: prediction.pooled_scores() for prediction in predictions}
        video_level = video_level_result(videos, annotations.classes, pooled)
    elif options.protocol is not None:
        truth, absent = scored_truth(
            read_truth(options.annotations, options.subset), segments, options.protocol,
            only_present=options.data.only_present,
        )  # fmt: skip
        if options.report is not None:
            _write_page(options, checkpoint.model.classes, truth, segments, predictions)
        score = partial(
            score_segments,
            truth=truth,
            protocol=options.protocol,
            tiou=options.tiou,
        )
        apart: Mapping[str, Mapping[str, Sequence[Segment]]] = {}
        if options.each_output:
            apart = segments_of_each_output(checkpoint, predictions, rule)
        scores = DetectionReport(
            result=score(segments),
            absent=absent,
            classification_map_percent=classification_map(annotations, predictions),
            num_classified=len(predictions),
            outputs={name: score(alone) for name, alone in apart.items()},
        )
    return SegmentReport(
        num_segments=sum(map(len, segments.values())),
        written=options.output,
        scores=scores,
        video_level=video_level,
    )


def _write_page(
    options: PredictOptions,
    classes: tuple[str, ...],
    truth: Truth,
    segments: Mapping[str, Sequence[Segment]],
    predictions: Sequence[VideoPrediction],
) -> None:
    """The page of `--report`, with the scores over time."""
    assert options.report is not None
    assert options.protocol is not None
    write_report(
        options.report,
        truth,
        Detections.from_segments(segments),
        options.protocol,
        options.tiou,
        title=f"Segments of {options.checkpoints[0].name}",
        scores={one.name: over_time(one, classes) for one in predictions}.get,
    )


def _charades(
    truth: CharadesTruth, predictions: Sequence[VideoPrediction], submission: Path | None
) -> CharadesResult:
    scores = charades_scores(truth, predictions)
    if submission is not None:
        write_submission(submission, truth.video_ids, scores)
    return evaluate_charades(truth, scores)
