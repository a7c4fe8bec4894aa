"""`python export/to_onnx.py CHECKPOINT -o wsgn.onnx`: a trained model as one ONNX file."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.errors import MissingExtraError, OutputError, UsageError
from wsgn.support.command import run_command
from wsgn.support.files import check_folder, remove_file, size_in_words
from wsgn.support.signals import hold_signals

if TYPE_CHECKING:
    from wsgn.export.graphs.document import Exportable

_NAME = "to_onnx"
# By which hosts know the file.
_SUFFIX = ".onnx"


def main(argv: Sequence[str] | None = None) -> int:
    """Export, check parity, report; the file appears only when it is right."""

    def work() -> int:
        _export(_parser().parse_args(argv))
        return 0

    return run_command(_NAME, work)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_NAME,
        description="Export a trained model to one ONNX file: the snippet graph for wsgn-run, or "
        "scores of whole videos or of streams for a host of your own (docs/graphs.md).",
    )
    parser.add_argument("checkpoint", type=Path, help="model.safetensors of wsgn-train")
    parser.add_argument("-o", "--output", type=Path, required=True, help="the ONNX file to write")
    parser.add_argument(
        "--graph",
        choices=("snippet", "whole-video", "streaming"),
        default="snippet",
        help="what the file computes (default: snippet, which wsgn-run takes)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace an existing file")
    parser.add_argument(
        "--backbone",
        type=Path,
        metavar="WEIGHTS",
        help="of wsgn-weights convert: put the backbone that made the features before a model that "
        "was trained on them, for an engine that takes frames",
    )
    parser.add_argument(
        "--short-side", type=int, default=256, help="pixels, as in wsgn-features (default: 256)"
    )
    parser.add_argument(
        "--crop-size", type=int, default=224, help="pixels, as in wsgn-features (default: 224)"
    )
    parser.add_argument(
        "--half", action="store_true", help="convolutions (and a backbone's layers) in float16"
    )
    return parser


def _export(arguments: argparse.Namespace) -> None:
    output: Path = arguments.output
    _check_output(output, overwrite=arguments.overwrite)
    try:
        # An interruption in here would look like a missing package.
        with hold_signals():
            import onnxscript  # noqa: F401 (torch needs it, and finds out late)

            from wsgn.export.graphs.document import export_graph, save_graph
    except ImportError as error:
        raise MissingExtraError(f"Exporting ({error.name})", "export") from error
    subject = _subject(arguments)
    graph: str = arguments.graph
    check_folder(output)
    document = export_graph(subject, graph, half=arguments.half)
    unchecked = output.with_name(output.name + ".unchecked")
    try:
        save_graph(document, unchecked, wanted=output)
        report = _parity(subject, graph, unchecked, half=arguments.half)
        try:
            unchecked.replace(output)
        except OSError as error:
            raise OutputError(f"{output} cannot be written: {error.strerror}.") from error
    finally:
        remove_file(unchecked)
    print("\n".join(report))
    size = size_in_words(output.stat().st_size)
    print(f"{output}: {size}, {len(subject.manifest.classes)} classes")


def _check_output(output: Path, *, overwrite: bool) -> None:
    """Raise before the work what would otherwise be raised behind it."""
    if output.suffix.lower() != _SUFFIX:
        raise UsageError(
            f"the file's name must end in {_SUFFIX}, by which hosts know it, got '{output}'."
        )
    if output.is_dir():
        raise OutputError(f"{output} is a directory; choose another name.")
    if output.exists() and not overwrite:
        raise OutputError(f"{output} exists; choose another name or add --overwrite.")


def _parity(subject: Exportable, graph: str, path: Path, *, half: bool) -> list[str]:
    """Lines that tell how far the file is from torch; an `EngineError` where that is too far."""
    from wsgn.export.graphs.parity import HALF_TOLERANCE, TOLERANCE, check_parity, parity_sizes
    from wsgn.export.graphs.score_parity import check_score_parity, score_parity_sizes

    tolerance = HALF_TOLERANCE if half else TOLERANCE
    words = f"(tolerance {tolerance:.0e}{', convolutions in float16' if half else ''}):"
    if graph == "snippet":
        sizes = parity_sizes(subject.manifest)
        rows = check_parity(subject, path, sizes, tolerance)
        words = f"{', '.join(map(str, sizes))} snippets {words}"
    else:
        shapes = score_parity_sizes(subject.manifest)
        rows = check_score_parity(subject, graph, path, shapes, tolerance)
        words = f"videos x snippets {', '.join(f'{b} x {t}' for b, t in shapes)} {words}"
    lines = [f"parity of torch and ONNX Runtime for {words}"]
    lines += [
        f"  {row.output:20} differs by at most {row.largest_difference:.1e}"
        f" (values up to {row.largest_value:.3g})"
        for row in rows
    ]
    return lines


def _subject(arguments: argparse.Namespace) -> Exportable:
    """The trained model, with the backbone that is to stand before it."""
    from wsgn.checkpoint import load_checkpoint
    from wsgn.export.graphs.document import exportable

    checkpoint = load_checkpoint(arguments.checkpoint)
    if arguments.backbone is None:
        return exportable(checkpoint)
    from wsgn.export.graphs.joined import join

    return join(
        checkpoint,
        arguments.backbone,
        short_side=arguments.short_side,
        crop_size=arguments.crop_size,
    )


if __name__ == "__main__":
    sys.exit(main())
