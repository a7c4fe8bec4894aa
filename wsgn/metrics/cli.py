"""The command `wsgn-eval`: detection mAP of a result file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.data.charades import CLASSES as CHARADES_CLASSES
from wsgn.errors import UsageError
from wsgn.metrics.annotations import Truth, read_truth
from wsgn.metrics.charades import evaluate_charades
from wsgn.metrics.charades_files import read_charades, read_submission
from wsgn.metrics.detection import DetectionResult, evaluate_detection
from wsgn.metrics.detections import read_detections
from wsgn.metrics.protocol import DEFAULT_PROTOCOL, PROTOCOLS, detection_protocol
from wsgn.metrics.video_names import other_names, renamed, renaming_sentence
from wsgn.support.command import run_command, say
from wsgn.support.parser import CommandParser
from wsgn.support.tables import columns
from wsgn.support.terminal import print_lines

_NAME = "wsgn-eval"
_CHARADES = "charades"
_THUMOS14_PREFIX = "video_test_"


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """Which results are scored against which truth, and how that is shown."""

    detections: Path
    truth: Path
    # One of PROTOCOLS, or 'charades'.
    protocol: str
    # None: the only one, or the protocol's usual one.
    subset: str | None
    # Thresholds of the overlap; None for the protocol's own.
    tiou: tuple[float, ...] | None
    json: bool
    per_class: bool


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 2 usage, 3 unreadable input, 6 output, 130 interrupted."""

    def work() -> int:
        print_lines(_run(_options(_parser().parse_args(argv))))
        return 0

    return run_command(_NAME, work)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="wsgn-eval", description="mAP of a result file under a named protocol."
    )
    parser.add_argument(
        "detections",
        type=Path,
        help="JSON: results[video] = [label, segment, score]; for charades a submission",
    )
    parser.add_argument(
        "--truth",
        type=Path,
        required=True,
        help="JSON: database[video] = annotations; for charades the CSV",
    )
    parser.add_argument(
        "--protocol",
        choices=(*PROTOCOLS, _CHARADES),
        default=DEFAULT_PROTOCOL,
        help="six for THUMOS14, `activitynet` for other datasets, `charades` for scores at 25 "
        "points per video (default: %(default)s)",
    )
    parser.add_argument(
        "--subset", help="which videos of the truth (default: the only one; `test` for THUMOS14)"
    )
    parser.add_argument(
        "--tiou", type=float, nargs="+", metavar="T", help="thresholds (default: those of papers)"
    )
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--per-class", action="store_true", help="show every class in the table")
    return parser


def _options(arguments: argparse.Namespace) -> EvalOptions:
    return EvalOptions(
        detections=arguments.detections,
        truth=arguments.truth,
        protocol=arguments.protocol,
        subset=arguments.subset,
        tiou=None if arguments.tiou is None else tuple(arguments.tiou),
        json=arguments.json,
        per_class=arguments.per_class,
    )


def _run(options: EvalOptions) -> str:
    """The command's whole output."""
    if options.protocol == _CHARADES:
        return _run_charades(options)
    truth = _truth(options.truth, options.subset, options.protocol)
    detections = read_detections(options.detections)
    if names := other_names(detections, truth):
        detections = renamed(detections, names)
        say(_NAME, renaming_sentence(names))
    result = evaluate_detection(truth, detections, options.protocol, options.tiou)
    if detection_protocol(options.protocol).subset and not _is_thumos14(truth):
        say(
            _NAME,
            f"None of these videos is of THUMOS14's test set, which the protocol "
            f"{options.protocol} is for; other datasets take --protocol activitynet.",
        )
    if result.num_ignored_detections:
        say(
            _NAME,
            f"Ignored {result.num_ignored_detections} of {len(detections)} detections, in videos "
            "that are not evaluated.",
        )
    return _as_json(result) if options.json else _as_table(result, per_class=options.per_class)


def _run_charades(options: EvalOptions) -> str:
    if options.subset or options.tiou:
        raise UsageError("Charades scores points in time: --subset and --tiou have no meaning.")
    truth = read_charades(options.truth)
    result = evaluate_charades(truth, read_submission(options.detections, truth.video_ids))
    per_class = dict(zip(CHARADES_CLASSES, result.average_precision_percent.tolist(), strict=True))
    if options.json:
        document = {
            "protocol": _CHARADES,
            "videos": result.num_videos,
            "points": result.num_points,
            "mAP": result.map_percent,
            "weighted_AP": result.weighted_ap_percent,
            # A class without positives has no average precision.
            "per_class": {name: None if ap != ap else ap for name, ap in per_class.items()},
        }
        return json.dumps(document)
    lines = [
        f"charades: {result.num_videos} videos, {result.num_points} points",
        f"mAP {result.map_percent:.2f} %, weighted AP {result.weighted_ap_percent:.2f} %",
    ]
    if options.per_class:
        lines += [f"{name} {ap:7.2f}" for name, ap in per_class.items()]
    return "\n".join(lines)


def _is_thumos14(truth: Truth) -> bool:
    return any(name.startswith(_THUMOS14_PREFIX) for name in truth.videos)


def _truth(path: Path, subset: str | None, protocol: str) -> Truth:
    truth = read_truth(path, subset)
    if len(truth.subsets) == 1:
        return truth
    usual = detection_protocol(protocol).subset
    if usual in truth.subsets:
        return read_truth(path, usual)
    names = ", ".join(truth.subsets)
    raise UsageError(f"{str(path)!r} has the subsets {names}; say which one with --subset.")


def _as_json(result: DetectionResult) -> str:
    document = {
        "protocol": result.protocol,
        "videos": result.num_videos,
        "instances": result.num_instances,
        "tiou": list(result.tiou),
        "mAP": result.map_percent.tolist(),
        "average_mAP": result.average_map_percent,
        "per_class": dict(
            zip(result.classes, result.average_precision_percent.tolist(), strict=True)
        ),
    }
    return json.dumps(document)


def _as_table(result: DetectionResult, *, per_class: bool) -> str:
    averages = [("mAP (%)", [*result.map_percent.tolist(), result.average_map_percent])]
    if per_class:
        averages += [
            (label, [*row.tolist(), float(row.mean())])
            for label, row in zip(result.classes, result.average_precision_percent, strict=True)
        ]
    rows = [["tIoU", *(f"{threshold:g}" for threshold in result.tiou), "average"]]
    rows += [[label, *(f"{value:.2f}" for value in values)] for label, values in averages]
    return (
        f"{result.protocol}: {result.num_videos} videos, {result.num_instances} instances, "
        f"{len(result.classes)} classes\n{columns(rows, indent='', gap=' ', least=7)}"
    ).removesuffix("\n")
