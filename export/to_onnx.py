"""`python export/to_onnx.py CHECKPOINT -o wsgn.onnx`: a trained model as one ONNX file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from wsgn.errors import UsageError
from wsgn.export.graphs.file import CALLS, OnnxExport, export_onnx
from wsgn.extraction.arguments import add_onnx_options, backbone_names, onnx_options
from wsgn.extraction.choose import split_names
from wsgn.extraction.config import ONNX_PREFIX
from wsgn.features.arguments import (
    add_feature_options,
    add_video_memory,
    data_options,
    features_path,
)
from wsgn.manifest import FLOW_METHODS, GRAPHS, RESIZE_MODES
from wsgn.prediction.alarm_options import AlarmOptions
from wsgn.prediction.int8_options import Int8Options
from wsgn.remote.arguments import input_path, local_path, output_file
from wsgn.support.command import run_command
from wsgn.support.files import size_in_words
from wsgn.support.parser import CommandParser
from wsgn.support.terminal import print_lines

_NAME = "to_onnx"


def main(argv: Sequence[str] | None = None) -> int:
    """Export, check parity, report; the file appears only when it is right."""

    def work() -> int:
        _export(_parser().parse_args(argv))
        return 0

    return run_command(_NAME, work)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=_NAME,
        description="Export a trained model to one ONNX file: the snippet graph for wsgn-run, or "
        "scores of whole videos or of streams for a host of your own (docs/graphs.md).",
    )
    parser.add_argument("checkpoint", type=input_path, help="model.safetensors of wsgn-train")
    parser.add_argument(
        "-o", "--output", type=output_file, required=True, help="the ONNX file to write"
    )
    parser.add_argument(
        "--graph",
        choices=GRAPHS,
        default="snippet",
        help="what the file computes (default: snippet, which wsgn-run takes)",
    )
    parser.add_argument(
        "--calls",
        choices=CALLS,
        default=CALLS[0],
        help="of the streaming graph, snippets of a stream in a call: any number by a Loop "
        "(default), few without one, or always one",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--backbone",
        type=backbone_names,
        action="append",
        metavar="BACKBONE[,BACKBONE]",
        help="what made the features, put before a model that was trained on them for an engine "
        f"that takes frames: weights of wsgn-weights convert, efficientnet-lite0, motion or "
        f"{ONNX_PREFIX}FILE (default: those by which wsgn-train saw its videos)",
    )
    _add_frame_options(parser.add_argument_group("frames before the backbone"))
    parser.add_argument(
        "--half", action="store_true", help="convolutions (and a backbone's layers) in float16"
    )
    parser.add_argument(
        "--int8",
        type=local_path,
        metavar="CALIBRATION_VIDEOS",
        help="convolutions and layers in INT8, with ranges of these videos (or features); "
        "--annotations and --videos (or --features) below judge it: where the average mAP falls by "
        "1 point or more no file is left",
    )
    _add_alarm_options(parser)
    return parser


def _add_alarm_options(parser: argparse.ArgumentParser) -> None:
    group = parser.add_argument_group(
        "annotated videos",
        "That the model was not trained on, named as in wsgn-predict: for --int8, and to say from "
        "which scores on streams are believed, by counting false alarms (docs/streaming.md).",
    )
    add = group.add_argument
    add("--false-alarms-per-hour", type=float, metavar="R", help="allowed, of all classes together")
    add(
        "--annotations",
        type=input_path,
        metavar="PATH",
        help="of the videos: JSON, table or folder",
    )
    data = group.add_mutually_exclusive_group()
    data.add_argument("--videos", type=local_path, metavar="DIR", help="folder of video files")
    data.add_argument(
        "--features", type=features_path, metavar="PATH", help="feature files, any layout"
    )
    add("--subset", help="of the annotations (default: all videos)")
    add(
        "--held-out",
        type=_held_out,
        action="append",
        default=[],
        metavar="MODEL=SUBSET",
        help="a model of the same kind that was trained without a subset, which it scores in place "
        "of the one that is exported; may be given several times",
    )
    add(
        "--keep-found",
        type=float,
        default=0.0,
        metavar="SHARE",
        help="of the videos in which a class is found without alarm thresholds, that stay whatever "
        "it costs (default: 0)",
    )
    add_feature_options(group)
    add_video_memory(group)


def _held_out(text: str) -> tuple[Path, str]:
    path, separator, subset = text.rpartition("=")
    if not (path and separator and subset):
        raise argparse.ArgumentTypeError(f"must be MODEL=SUBSET, got '{text}'")
    return input_path(path), subset


def _alarm_options(arguments: argparse.Namespace) -> AlarmOptions | None:
    rate, has_data = arguments.false_alarms_per_hour, arguments.videos or arguments.features
    if rate is None:
        named = ["held_out"]
        if arguments.int8 is None:
            named += ["annotations", "videos", "features", "subset"]
        if given := [name for name in named if getattr(arguments, name)]:
            raise UsageError(
                f"--{given[0].replace('_', '-')} is of videos in which false alarms are counted: "
                "say with --false-alarms-per-hour how many may come."
            )
        return None
    if arguments.annotations is None or not has_data:
        raise UsageError(
            "--false-alarms-per-hour needs videos in which to count them: --annotations, and "
            "--videos or --features."
        )
    return AlarmOptions(
        false_alarms_per_hour=rate,
        annotations=arguments.annotations,
        data=data_options(arguments),
        subset=arguments.subset,
        held_out=tuple(arguments.held_out),
        keep_found=arguments.keep_found,
    )


def _int8_options(arguments: argparse.Namespace) -> Int8Options | None:
    if arguments.int8 is None:
        return None
    if arguments.annotations is None or not (arguments.videos or arguments.features):
        raise UsageError(
            "--int8 needs videos that judge what it costs: --annotations, and --videos or "
            "--features."
        )
    return Int8Options(
        calibration=arguments.int8,
        annotations=arguments.annotations,
        data=data_options(arguments),
        subset=arguments.subset,
    )


def _add_frame_options(group: argparse._ArgumentGroup) -> None:
    """As in wsgn-features; by default as for the features, where the model knows that."""
    group.add_argument("--short-side", type=int, help="pixels (default: as for the features)")
    group.add_argument("--crop-size", type=int, help="pixels (default: as for the features)")
    group.add_argument(
        "--resize", choices=RESIZE_MODES, help="of whole frames (default: as for the features)"
    )
    group.add_argument(
        "--image-frames",
        type=int,
        metavar="N",
        help="of a snippet that networks on images see (default: as for the features)",
    )
    group.add_argument(
        "--flow", choices=FLOW_METHODS, help="for i3d-flow (default: as for the features)"
    )
    add_onnx_options(group)


def _export(arguments: argparse.Namespace) -> None:
    report = export_onnx(
        arguments.checkpoint,
        arguments.output,
        graph=arguments.graph,
        backbone=arguments.backbone,
        short_side=arguments.short_side,
        crop_size=arguments.crop_size,
        resize=arguments.resize,
        image_frames=arguments.image_frames,
        flow=arguments.flow,
        onnx=onnx_options(arguments, split_names(arguments.backbone or ())),
        half=arguments.half,
        calls=arguments.calls,
        int8=_int8_options(arguments),
        alarms=_alarm_options(arguments),
        overwrite=arguments.overwrite,
    )
    print_lines("\n".join(_in_words(report, arguments.graph, half=arguments.half)))


def _in_words(report: OnnxExport, graph: str, *, half: bool) -> list[str]:
    """How far the file is from torch, then its size."""
    words = f"(tolerance {report.tolerance:.0e}{', convolutions in float16' if half else ''}):"
    if graph == "snippet":
        words = f"{', '.join(str(length) for _, length in report.sizes)} snippets {words}"
    else:
        words = f"videos x snippets {', '.join(f'{b} x {t}' for b, t in report.sizes)} {words}"
    lines = [f"parity of torch and ONNX Runtime for {words}"]
    lines += [
        f"  {row.output:20} differs by at most {row.largest_difference:.1e}"
        f" (values up to {row.largest_value:.3g})"
        for row in report.parity
    ]
    size = size_in_words(report.num_bytes)
    if report.int8 is not None:
        lines += report.int8.lines()
    if report.alarms is not None:
        lines += report.alarms.lines()
    return [*lines, f"{report.path}: {size}, {len(report.classes)} classes"]


if __name__ == "__main__":
    sys.exit(main())
