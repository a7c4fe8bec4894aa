"""The work of `wsgn-predict`: models over annotated videos, and what their scores are worth."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial

from wsgn.checkpoint import Checkpoint, load_checkpoint
from wsgn.data.annotations import Annotations
from wsgn.data.charades import CLASSES as CHARADES_CLASSES
from wsgn.data.layouts import read_annotations
from wsgn.data.samples import VideoSource
from wsgn.errors import UsageError
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
from wsgn.prediction.join import joined, part_list
from wsgn.prediction.models import (
    Models,
    Predicted,
    PredictedVideo,
    check_whole,
    open_sources,
)
from wsgn.prediction.options import PredictOptions
from wsgn.prediction.parts import part_path, write_part
from wsgn.prediction.pieces import Pieces
from wsgn.prediction.predict import VideoPrediction
from wsgn.prediction.processes import predict_in_processes
from wsgn.prediction.report import (
    DetectionReport,
    PartReport,
    PredictionReport,
    SegmentReport,
)
from wsgn.prediction.separate_outputs import segments_of_each_output
from wsgn.prediction.tried import tried, write_tried
from wsgn.support.files import check_folder, new_folder
from wsgn.support.progress import progress_bar
from wsgn.torch_device import open_device


def predict(options: PredictOptions) -> PredictionReport:
    """Predict the videos of a subset, or join what shards predicted; write and score what is asked.

    Where a video failed, which costs itself alone in workers, nothing is scored: the segments of
    the others are written.

    Raises `UsageError` where models, annotations and options do not go together, `InputError` for
    a file that cannot be read, `OutputError` for one that cannot be written.
    """
    checkpoints, annotations, points = _prepared(options)
    predicted = _predicted(options, checkpoints, annotations)
    predictions = [one.prediction for one in predicted.videos]
    report = PredictionReport(
        segments=None, charades=None, num_predicted=len(predictions), failed=predicted.failed
    )
    if not predictions:
        return report
    if options.wants_segments:
        segments = _segment_report(
            options, checkpoints[0], annotations, predictions, is_whole=not predicted.failed
        )
        report = replace(report, segments=segments)
    if predicted.failed:
        return report
    if options.write_model is not None:
        write_tried(options.write_model, checkpoints[0], options.segments, annotations, predictions)
    charades = None
    if points is not None:
        charades = _charades(options, points, predictions)
    return replace(report, charades=charades, model=options.write_model)


def predict_part(options: PredictOptions) -> PartReport:
    """Predict the videos of the options' shard, and leave its part for `predict` to join.

    Raises what `predict` raises, before any video is predicted.
    """
    assert options.shard is not None
    assert options.parts is not None
    checkpoints, annotations, _ = _prepared(options)
    sources = open_sources(
        options, checkpoints, annotations, at_once=False, progress=not options.quiet
    )
    names = [video.name for video in sources[0].videos]
    path = part_path(options.parts, options.shard)
    of = part_list(options, annotations.subset(options.subset), names)
    pieces = Pieces(options.parts, options.shard, of, names)
    with new_folder(options.parts):
        check_folder(path)
        if options.resume:
            pieces.take_earlier(len(annotations.classes))
        else:
            pieces.remove()
        num_kept = len(pieces.videos)
        places = [p for p in options.shard.positions(len(names)) if p not in pieces.videos]
        if options.workers is None:
            failed = _predicted_here(options, checkpoints, sources, places, pieces.add).failed
        else:
            failed = predict_in_processes(options, names, places, pieces.add).failed
        positions = {name: position for position, name in enumerate(names)}
        problems = {positions[name]: problem for name, problem in failed}
        write_part(path, options.shard, of, names, pieces.videos, problems)
        pieces.remove()
    return PartReport(
        shard=options.shard,
        path=path,
        num_predicted=len(pieces.videos),
        num_kept=num_kept,
        failed=failed,
    )


def _prepared(
    options: PredictOptions,
) -> tuple[list[Checkpoint], Annotations, CharadesTruth | None]:
    """Models, annotations and the points of Charades, which go together."""
    checkpoints = [tried(load_checkpoint(path), options) for path in options.checkpoints]
    annotations = read_annotations(options.annotations)
    _require_fit(options, checkpoints, annotations)
    # What is wrong with these files must not be found out after hours of prediction.
    localised = has_segments(annotations.subset(options.subset))
    if options.protocol is not None and localised:
        read_truth(options.annotations, options.subset)
    return checkpoints, annotations, _points(options, annotations)


def _points(options: PredictOptions, annotations: Annotations) -> CharadesTruth | None:
    """What is to be scored at points; `UsageError` where it is of none of the videos."""
    if options.charades is None:
        return None
    points = read_charades(options.charades)
    if not {video.name for video in annotations.subset(options.subset)} & set(points.video_ids):
        raise UsageError(
            f"none of the {len(points.video_ids)} videos of {options.charades} is of the subset "
            f"{options.subset!r}: give the CSV of these videos, or another --subset."
        )
    return points


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


def _predicted(
    options: PredictOptions, checkpoints: Sequence[Checkpoint], annotations: Annotations
) -> Predicted:
    """All videos of the subset, in their order."""
    videos = annotations.subset(options.subset)
    if options.parts is not None:
        predicted = joined(options, videos, len(annotations.classes))
    elif options.workers is not None:
        sources = open_sources(
            options, checkpoints, annotations, at_once=False, progress=not options.quiet
        )
        names = [video.name for video in sources[0].videos]
        predicted = predict_in_processes(options, names, range(len(names)))
    else:
        # What does not exist is refused before videos are decoded.
        open_device(options.device)
        sources = open_sources(
            options, checkpoints, annotations, at_once=True, progress=not options.quiet
        )
        return _predicted_here(options, checkpoints, sources, range(len(sources[0].videos)))
    check_whole(videos, predicted.videos)
    return predicted


def _predicted_here(
    options: PredictOptions,
    checkpoints: Sequence[Checkpoint],
    sources: Sequence[VideoSource],
    places: Sequence[int],
    keep: Callable[[int, PredictedVideo], None] = lambda place, video: None,
) -> Predicted:
    """The videos one after the other, in this process; `keep` is given each with its place."""
    models = Models(options, checkpoints, sources)
    videos = []
    for place in progress_bar(places, wanted=not options.quiet, desc="predicting", unit="video"):
        videos.append(models.predict(place))
        keep(place, videos[-1])
    return Predicted(videos=tuple(videos))


def _segment_report(
    options: PredictOptions,
    checkpoint: Checkpoint,
    annotations: Annotations,
    predictions: Sequence[VideoPrediction],
    *,
    is_whole: bool,
) -> SegmentReport:
    """Find the segments, write them and, of all videos, score them."""
    rule = chosen_rule(options.segments, checkpoint)
    segments = find_segments(predictions, checkpoint.model.classes, rule)
    if options.output is not None:
        save_detections(options.output, segments)
    report = SegmentReport(
        num_segments=sum(map(len, segments.values())), written=options.output, scores=None
    )
    if options.protocol is None or not is_whole:
        return report
    videos = annotations.subset(options.subset)
    if not has_segments(videos):
        pooled = {prediction.name: prediction.pooled_scores() for prediction in predictions}
        video_level = video_level_result(videos, annotations.classes, pooled)
        return replace(report, video_level=video_level)
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
    return replace(report, scores=scores)


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
    options: PredictOptions, truth: CharadesTruth, predictions: Sequence[VideoPrediction]
) -> CharadesResult:
    scores = charades_scores(truth, predictions)
    result = evaluate_charades(truth, scores, only_scored=options.data.only_present)
    if options.submission is not None:
        write_submission(options.submission, truth.video_ids, scores)
    return result
