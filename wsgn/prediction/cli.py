"""`wsgn-predict`: segments, scores and their mAP for annotated videos or features, with PyTorch."""

from __future__ import annotations

import argparse
import json
import sys
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgn.data.annotations import Annotations, read_annotations
from wsgn.data.charades import CLASSES as CHARADES_CLASSES
from wsgn.errors import MissingExtraError, UsageError
from wsgn.features.arguments import (
    add_data_source,
    add_feature_options,
    add_video_memory,
    data_options,
)
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.manifest import DetectionRule
from wsgn.methods.config import WsgnConfig
from wsgn.metrics.protocol import PROTOCOLS
from wsgn.support.command import run_command

if TYPE_CHECKING:
    from wsgn.checkpoint import Checkpoint
    from wsgn.localization.segments import Segment
    from wsgn.prediction.predict import VideoPrediction

TIOU = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, predict, report; returns the exit code."""
    return run_command(
        "wsgn-predict",
        lambda: _run(_parser().parse_args(argv)),
        interrupted=lambda: "interrupted.",
    )


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="wsgn-predict",
        description="Find the segments of annotated videos with trained models. Several models "
        "(of RGB and of flow, say) are fused: the mean of their frame scores.",
    )
    parser.add_argument("annotations", type=Path, help="ActivityNet-style JSON")
    parser.add_argument("checkpoints", type=Path, nargs="+", help="model.safetensors of wsgn-train")
    add_data_source(parser)
    add_feature_options(parser.add_argument_group("features"))
    add_video_memory(parser.add_argument_group("videos"))
    parser.add_argument("--subset", default="test", help="(default: test)")
    parser.add_argument(
        "--segments",
        choices=("trained", "middle", "many"),
        default="trained",
        help="by the model's own rule, the paper's threshold in the middle, or many thresholds",
    )
    parser.add_argument("-o", "--output", type=Path, metavar="JSON", help="write the segments")
    parser.add_argument(
        "--protocol", choices=tuple(PROTOCOLS), help="print their mAP under this protocol"
    )
    parser.add_argument("--tiou", type=float, nargs="+", default=TIOU)
    parser.add_argument(
        "--each-output",
        action="store_true",
        help="also the mAP of each output of the model by itself (figure 4); needs --protocol",
    )
    parser.add_argument("--charades", type=Path, metavar="CSV", help="print the mAP at 25 points")
    parser.add_argument(
        "--submission", type=Path, metavar="TXT", help="write the scores at 25 points; see above"
    )
    parser.add_argument("--json", action="store_true", help="results as JSON")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bars")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.each_output and (arguments.protocol is None or len(arguments.checkpoints) > 1):
        raise UsageError("--each-output needs --protocol, and one model.")
    if arguments.submission and not arguments.charades:
        raise UsageError("--submission needs --charades, the CSV that gives order and lengths.")
    if not (arguments.output or arguments.protocol or arguments.charades):
        raise UsageError("nothing is asked for: give -o, --protocol or --charades.")
    try:
        from wsgn.checkpoint import load_checkpoint
        from wsgn.prediction.report import as_text, classification_map, each_output
    except ImportError as error:
        raise MissingExtraError(f"Prediction ({error.name})", "train") from error
    checkpoints = [load_checkpoint(path) for path in arguments.checkpoints]
    first = checkpoints[0].model
    for other in checkpoints[1:]:
        if other.model.classes != first.classes:
            raise UsageError("the models do not know the same classes, so they cannot be fused.")
    annotations = read_annotations(arguments.annotations)
    if annotations.classes != first.classes:
        raise UsageError("the classes of the annotations, or their order, are not the model's.")
    if arguments.each_output and not isinstance(first.method, WsgnConfig):
        raise UsageError("--each-output takes WSGN apart; the model is of another method.")
    if arguments.charades and first.classes != CHARADES_CLASSES:
        raise UsageError("--charades needs a model of the 157 classes c000 to c156, in order.")
    predictions = list(_predictions(arguments, annotations, checkpoints))
    report: dict[str, Any] = {}
    if arguments.output or arguments.protocol:
        report |= _segments(arguments, checkpoints[0], predictions)
    if arguments.protocol:
        report["classification_mAP"] = classification_map(annotations, predictions)
    if arguments.each_output:
        rule = _rule(arguments.segments, checkpoints[0])
        report["outputs"] = {
            name: _detection(arguments, segments)["mAP"]
            for name, segments in each_output(checkpoints[0], predictions, rule).items()
        }
    if arguments.charades:
        report["charades"] = _charades(arguments, predictions)
    print(json.dumps(report) if arguments.json else as_text(report))
    return 0


def _predictions(
    arguments: argparse.Namespace, annotations: Annotations, checkpoints: Sequence[Checkpoint]
) -> Iterator[VideoPrediction]:
    """The videos one after the other, each fused out of what all models say."""
    from tqdm import tqdm

    from wsgn.dataset import open_data
    from wsgn.prediction.predict import fused, predict_videos
    from wsgn.torch_device import open_device

    device = open_device(arguments.device)
    options, streams = data_options(arguments), []
    for checkpoint in checkpoints:
        model = checkpoint.model
        data = open_data(options, annotations, streams=model.streams, progress=not arguments.quiet)
        source = data.source(arguments.subset, model)
        streams.append(predict_videos(checkpoint.build().to(device), source))
    together = tqdm(
        zip(*streams, strict=True),
        total=len(source.videos),
        desc="predicting",
        unit="video",
        disable=arguments.quiet,
    )
    for predictions in together:
        yield fused(predictions)


def _segments(
    arguments: argparse.Namespace, checkpoint: Checkpoint, predictions: Sequence[VideoPrediction]
) -> dict[str, Any]:
    from wsgn.prediction.evaluate import find_segments, save_detections

    rule = _rule(arguments.segments, checkpoint)
    segments = find_segments(predictions, checkpoint.model.classes, rule)
    report: dict[str, Any] = {"segments": sum(map(len, segments.values()))}
    if arguments.output:
        save_detections(arguments.output, segments)
        report["written"] = str(arguments.output)
    if arguments.protocol:
        report |= _detection(arguments, segments)
    return report


def _detection(arguments: argparse.Namespace, segments: dict[str, list[Segment]]) -> dict[str, Any]:
    from wsgn.metrics.annotations import read_truth
    from wsgn.prediction.evaluate import score_segments

    truth = read_truth(arguments.annotations, arguments.subset)
    result = score_segments(segments, truth, arguments.protocol, tuple(arguments.tiou))
    return {
        "protocol": result.protocol,
        "videos": result.num_videos,
        "instances": result.num_instances,
        "tiou": list(result.tiou),
        "mAP": [float(value) for value in result.map_percent],
    }


def _rule(name: str, checkpoint: Checkpoint) -> DetectionRule | MultiThresholdRule:
    from wsgn.prediction.evaluate import trained_rule

    trained = trained_rule(checkpoint)
    if name == "many":
        own = checkpoint.model.proposals
        return own or MultiThresholdRule(smoothing_snippets=checkpoint.model.smoothing_snippets)
    if name == "middle":
        assert checkpoint.calibration is not None
        return checkpoint.calibration.detection
    return trained


def _charades(
    arguments: argparse.Namespace, predictions: Sequence[VideoPrediction]
) -> dict[str, Any]:
    from wsgn.metrics.charades import evaluate_charades
    from wsgn.metrics.charades_files import read_charades, write_submission
    from wsgn.prediction.report import charades_scores

    truth = read_charades(arguments.charades)
    scores = charades_scores(truth, predictions)
    if arguments.submission:
        write_submission(arguments.submission, truth.video_ids, scores)
    result = evaluate_charades(truth, scores)
    return {
        "videos": result.num_videos,
        "points": result.num_points,
        "mAP": result.map_percent,
        "weighted_AP": result.weighted_ap_percent,
    }


if __name__ == "__main__":
    sys.exit(main())
