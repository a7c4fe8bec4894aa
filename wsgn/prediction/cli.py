"""`wsgn-predict`: segments, scores and their mAP for annotated videos or features, with PyTorch."""

from __future__ import annotations

import argparse
import os
import sys
from collections.abc import Sequence

from wsgn.errors import MissingExtraError
from wsgn.features.arguments import (
    add_data_source,
    add_feature_options,
    add_video_memory,
    data_options,
)
from wsgn.methods.config import SCORINGS
from wsgn.metrics.protocol import PROTOCOLS
from wsgn.prediction.options import SEGMENT_RULES, USUAL_TIOU, PredictOptions
from wsgn.remote.arguments import input_path, output_file, output_folder
from wsgn.support.command import report_failures, run_command, say
from wsgn.support.parser import CommandParser
from wsgn.support.shards import read_shard
from wsgn.support.terminal import print_lines
from wsgn.workers.arguments import add_ray, add_shard, add_workers
from wsgn.workers.options import worker_options

_NAME = "wsgn-predict"
_NOTHING_SCORED = (
    "nothing is scored without them, for the figures would be those of other videos: run it again, "
    "or take them out of the annotations."
)


def main(argv: Sequence[str] | None = None) -> int:
    """Run the command.

    0 done, 2 usage, 3 unreadable input, 4 some videos failed in workers, 6 output, 130 interrupted.
    """

    def work() -> int:
        arguments = _parser().parse_args(argv)
        options = _options(arguments)
        try:
            from wsgn.prediction.run import predict, predict_part
        except ImportError as error:
            raise MissingExtraError(f"Prediction ({error.name})", "train") from error
        report = predict(options) if options.shard is None else predict_part(options)
        if words := report.as_json() if arguments.json else report.as_text():
            print_lines(words)
        code = report_failures(_NAME, report.failed, report.num_predicted)
        if report.failed and options.shard is None:
            say(_NAME, _NOTHING_SCORED)
        return code

    return run_command(_NAME, work, interrupted=lambda: "interrupted.")


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=_NAME,
        description="Find the segments of annotated videos with trained models. Several models "
        "(of RGB and of flow, say) are fused: the mean of their frame scores.",
    )
    parser.add_argument(
        "annotations",
        type=input_path,
        help="JSON, a table (CSV), a folder for each class, or files of ELAN, Label Studio or VIA",
    )
    parser.add_argument(
        "checkpoints", type=input_path, nargs="+", help="model.safetensors of wsgn-train"
    )
    add_data_source(parser)
    add_feature_options(parser.add_argument_group("features"))
    add_video_memory(parser.add_argument_group("videos"))
    parser.add_argument("--subset", default="test", help="(default: test)")
    _add_rule(parser.add_argument_group("rule"))
    parser.add_argument(
        "-o", "--output", type=output_file, metavar="JSON", help="write the segments"
    )
    parser.add_argument(
        "--protocol", choices=tuple(PROTOCOLS), help="print their mAP under this protocol"
    )
    parser.add_argument(
        "--tiou",
        type=float,
        nargs="+",
        metavar="T",
        default=USUAL_TIOU,
        help="overlaps of that mAP",
    )
    parser.add_argument(
        "--report",
        type=output_file,
        metavar="FILE.html",
        help="also a page: precision and recall, errors by kind, the worst videos; needs "
        "--protocol",
    )
    _add_other_figures(parser)
    parser.add_argument("--json", action="store_true", help="results as JSON")
    parser.add_argument("--device", default="cpu", help="cpu, cuda or cuda:N (default: cpu)")
    parser.add_argument(
        "--threads", type=int, help="CPU threads of the models, in each process (default: all)"
    )
    _add_sharing(parser.add_argument_group("many processes and machines"))
    parser.add_argument("-q", "--quiet", action="store_true", help="no progress bars and notices")
    return parser


def _add_rule(group: argparse._ArgumentGroup) -> None:
    """How scores become segments, where it is not to be as the model was trained."""
    group.add_argument(
        "--segments",
        choices=SEGMENT_RULES,
        default="trained",
        help="by the model's own rule, one threshold in the middle, or many thresholds",
    )
    group.add_argument(
        "--smoothing-seconds",
        type=float,
        metavar="S",
        help="time over which scores are averaged (default: as trained)",
    )
    group.add_argument(
        "--scoring",
        choices=SCORINGS,
        help="how weights of the scale average score frames (default: as trained)",
    )
    group.add_argument(
        "--write-model",
        type=output_file,
        metavar="FILE",
        help="write the model with the three above as its own; thresholds are set on --subset, so "
        "name the training videos",
    )


def _add_other_figures(parser: argparse.ArgumentParser) -> None:
    parser.add_argument(
        "--each-output",
        action="store_true",
        help="also the mAP of each output of the model by itself (figure 4); needs --protocol",
    )
    parser.add_argument(
        "--charades", type=input_path, metavar="CSV", help="print the mAP at 25 points"
    )
    parser.add_argument(
        "--submission",
        type=output_file,
        metavar="TXT",
        help="write the scores at 25 points; see above",
    )


def _add_sharing(group: argparse._ArgumentGroup) -> None:
    add_workers(group, "--workers", "video")
    add_ray(group, "--workers", "video")
    add_shard(group, "video")
    group.add_argument(
        "--parts",
        type=output_folder,
        metavar="DIR",
        help="with --shard, write what it predicts there and make nothing of it; without, join "
        "what all shards wrote there",
    )
    group.add_argument(
        "--resume",
        action="store_true",
        help="with --shard, keep what earlier runs of it predicted, and try what failed again",
    )


def _options(arguments: argparse.Namespace) -> PredictOptions:
    return PredictOptions(
        annotations=arguments.annotations,
        checkpoints=tuple(arguments.checkpoints),
        data=data_options(arguments),
        subset=arguments.subset,
        segments=arguments.segments,
        smoothing_seconds=arguments.smoothing_seconds,
        scoring=arguments.scoring,
        write_model=arguments.write_model,
        output=arguments.output,
        protocol=arguments.protocol,
        tiou=tuple(arguments.tiou),
        report=arguments.report,
        each_output=arguments.each_output,
        charades=arguments.charades,
        submission=arguments.submission,
        device=arguments.device,
        num_threads=arguments.threads,
        workers=worker_options(arguments.workers, arguments.stall_limit, arguments.ray),
        parts=arguments.parts,
        shard=None if arguments.shard is None else read_shard(arguments.shard, os.environ),
        resume=arguments.resume,
        quiet=arguments.quiet,
    )


if __name__ == "__main__":
    sys.exit(main())
