"""`python export/to_onnx.py CHECKPOINT -o wsgn.onnx`: a trained model as one ONNX file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path

from wsgn.export.graphs.file import OnnxExport, export_onnx
from wsgn.extraction.arguments import add_onnx_options, onnx_options
from wsgn.extraction.choose import split_names
from wsgn.extraction.config import ONNX_PREFIX
from wsgn.manifest import GRAPHS, RESIZE_MODES
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
    parser.add_argument("checkpoint", type=Path, help="model.safetensors of wsgn-train")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--graph",
        choices=GRAPHS,
        default="snippet",
        help="what the file computes (default: snippet, which wsgn-run takes)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--backbone",
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
    return parser


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
        onnx=onnx_options(arguments, split_names(arguments.backbone or ())),
        half=arguments.half,
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
    size = size_in_words(report.path.stat().st_size)
    return [*lines, f"{report.path}: {size}, {len(report.classes)} classes"]


if __name__ == "__main__":
    sys.exit(main())
