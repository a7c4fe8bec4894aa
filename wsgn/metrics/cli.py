"""The command `wsgn-eval`: detection mAP of a result file."""

from __future__ import annotations

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsgn.data.charades import CLASSES as CHARADES_CLASSES
from wsgn.errors import UsageError
from wsgn.metrics.annotations import Truth, read_truth
from wsgn.metrics.charades import evaluate_charades
from wsgn.metrics.charades_files import read_charades, read_submission
from wsgn.metrics.comparison import (
    Figures,
    Row,
    charades_figures,
    compared_document,
    compared_table,
    detection_figures,
    names_of,
    single_table,
)
from wsgn.metrics.detection import DetectionResult, evaluate_detection
from wsgn.metrics.detections import read_detections
from wsgn.metrics.protocol import DEFAULT_PROTOCOL, PROTOCOLS, detection_protocol
from wsgn.metrics.video_names import other_names, renamed, renaming_sentence
from wsgn.remote.arguments import input_name, input_path, output_file
from wsgn.support.command import run_command, say
from wsgn.support.parser import CommandParser
from wsgn.support.table_formats import TABLE_FORMATS, format_table
from wsgn.support.terminal import print_lines, printable

_NAME = "wsgn-eval"
_CHARADES = "charades"
_THUMOS14_PREFIX = "video_test_"


@dataclass(frozen=True, kw_only=True)
class EvalOptions:
    """Which results are scored against which truth, and how that is shown."""

    detections: tuple[Path, ...]
    # Names and files of what is one row together.
    groups: tuple[tuple[str, tuple[Path, ...]], ...]
    truth: Path
    # One of PROTOCOLS, or 'charades'.
    protocol: str
    # None: the only one, or the protocol's usual one.
    subset: str | None
    # Thresholds of the overlap; None for the protocol's own.
    tiou: tuple[float, ...] | None
    json: bool
    per_class: bool
    # One of TABLE_FORMATS.
    style: str
    # Where the page on a single result goes.
    report: Path | None = None

    @property
    def is_single(self) -> bool:
        """Whether there is one result file and nothing to compare it with."""
        return len(self.detections) == 1 and not self.groups


@dataclass(frozen=True, kw_only=True, eq=False)
class _Evaluated:
    """A result file against the truth."""

    figures: Figures
    # What was evaluated, which is the same of every file.
    what: str
    document: dict[str, Any]


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command; 0 done, 2 usage, 3 unreadable input, 6 output, 130 interrupted."""

    def work() -> int:
        print_lines(_run(_options(_parser().parse_args(argv))))
        return 0

    return run_command(_NAME, work)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog="wsgn-eval", description="mAP of result files under a named protocol."
    )
    parser.add_argument(
        "detections",
        type=input_path,
        nargs="*",
        help="JSON: results[video] = [label, segment, score]; for charades a submission; "
        "several are rows of one table",
    )
    parser.add_argument(
        "--group",
        type=input_name,
        nargs="+",
        action="append",
        default=[],
        metavar=("NAME", "FILE"),
        help="result files that are one row, with their mean and standard deviation",
    )
    parser.add_argument(
        "--truth",
        type=input_path,
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
    _add_output(parser)
    return parser


def _add_output(parser: argparse.ArgumentParser) -> None:
    """How the result is shown."""
    parser.add_argument("--json", action="store_true", help="print one JSON object")
    parser.add_argument("--per-class", action="store_true", help="show every class in the table")
    parser.add_argument(
        "--format",
        choices=tuple(TABLE_FORMATS),
        default="text",
        help="of the table (default: %(default)s)",
    )
    parser.add_argument(
        "--report",
        type=output_file,
        metavar="FILE.html",
        help="also a page: precision and recall, errors by kind, the worst videos",
    )


def _options(arguments: argparse.Namespace) -> EvalOptions:
    groups = [(name, tuple(map(Path, paths))) for name, *paths in arguments.group]
    if empty := [name for name, paths in groups if not paths]:
        raise UsageError(f"--group {printable(empty[0])} names no file; give NAME FILE [FILE ...].")
    if not arguments.detections and not groups:
        raise UsageError("Give one result file or more; a file or --group is required.")
    if arguments.json and arguments.format != "text":
        raise UsageError("--json and --format exclude each other.")
    options = EvalOptions(
        detections=tuple(arguments.detections),
        groups=tuple(groups),
        truth=arguments.truth,
        protocol=arguments.protocol,
        subset=arguments.subset,
        tiou=None if arguments.tiou is None else tuple(arguments.tiou),
        json=arguments.json,
        per_class=arguments.per_class,
        style=arguments.format,
        report=arguments.report,
    )
    if options.report and (not options.is_single or options.protocol == _CHARADES):
        raise UsageError("--report is of one result file, and not of Charades' points.")
    return options


def _run(options: EvalOptions) -> str:
    """The command's whole output."""
    evaluate = _charades if options.protocol == _CHARADES else _detection
    score = evaluate(options)
    if options.is_single:
        found = score(options.detections[0])
        if options.json:
            return json.dumps(found.document)
        heading, cells = single_table(found.figures, per_class=options.per_class)
    else:
        names = names_of(options.detections)
        sets = [(name, (path,)) for name, path in zip(names, options.detections, strict=True)]
        rows = []
        for name, paths in (*sets, *options.groups):
            several = [score(path) for path in paths]
            found = several[0]
            rows.append(Row(name=name, files=paths, figures=[one.figures for one in several]))
        if options.json:
            return json.dumps(
                {"protocol": options.protocol, "rows": compared_document(rows)}, allow_nan=False
            )
        heading, cells = compared_table(rows, per_class=options.per_class)
    return format_table(heading, cells, options.style, note=found.what)


def _detection(options: EvalOptions) -> Callable[[Path], _Evaluated]:
    """What scores a result file against the truth, which is read once."""
    truth = _truth(options.truth, options.subset, options.protocol)
    if detection_protocol(options.protocol).subset and not _is_thumos14(truth):
        say(
            _NAME,
            f"None of these videos is of THUMOS14's test set, which the protocol "
            f"{options.protocol} is for; other datasets take --protocol activitynet.",
        )

    def score(path: Path) -> _Evaluated:
        detections = read_detections(path)
        where = "" if options.is_single else f"'{printable(str(path))}': "
        if names := other_names(detections, truth):
            detections = renamed(detections, names)
            say(_NAME, f"{where}{renaming_sentence(names)}")
        result = evaluate_detection(truth, detections, options.protocol, options.tiou)
        if result.num_ignored_detections:
            say(
                _NAME,
                f"{where}Ignored {result.num_ignored_detections} of {len(detections)} detections, "
                "in videos that are not evaluated.",
            )
        if options.report is not None:
            # With it come the parts of pages, which other evaluations need not wait for.
            from wsgn.metrics.report import write_report

            title = f"Detections of {path.name}"
            write_report(
                options.report, truth, detections, options.protocol, options.tiou, title=title
            )
        return _Evaluated(
            figures=detection_figures(result), what=_what(result), document=_document(result)
        )

    return score


def _charades(options: EvalOptions) -> Callable[[Path], _Evaluated]:
    if options.subset or options.tiou:
        raise UsageError("Charades scores points in time: --subset and --tiou have no meaning.")
    truth = read_charades(options.truth)

    def score(path: Path) -> _Evaluated:
        result = evaluate_charades(truth, read_submission(path, truth.video_ids))
        per_class = zip(CHARADES_CLASSES, result.average_precision_percent.tolist(), strict=True)
        document = {
            "protocol": _CHARADES,
            "videos": result.num_videos,
            "points": result.num_points,
            "unscored_videos": result.num_unscored,
            "mAP": result.map_percent,
            "weighted_AP": result.weighted_ap_percent,
            # A class without positives has no average precision.
            "per_class": {name: None if ap != ap else ap for name, ap in per_class},
        }
        what = f"charades: {result.counted}"
        return _Evaluated(figures=charades_figures(result), what=what, document=document)

    return score


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


def _document(result: DetectionResult) -> dict[str, Any]:
    return {
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


def _what(result: DetectionResult) -> str:
    return (
        f"{result.protocol}: {result.num_videos} videos, {result.num_instances} instances, "
        f"{len(result.classes)} classes"
    )
