"""`python export/to_cubin.py wsgn.onnx -o compiled/`: kernels for GPUs without Triton.

Compiles the frame selection of one model to machine code (cubin) and assembly (PTX) for several
GPUs, none of which has to be there. `wsgn.kernels.ahead_of_time.bundle` does it, which is named
here and loaded late: it needs torch and Triton.
"""

from __future__ import annotations

import argparse
import importlib
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsgn.engines.kernels.bundle import TARGETS
from wsgn.engines.tensorrt.sidecar import is_plan, read_sidecar
from wsgn.errors import EngineError, MissingExtraError, UsageError
from wsgn.manifest import (
    ACTIVATIONS,
    COMPONENTS,
    GATES,
    SOFTMAX_SCALES,
    WEIGHT_SCALES,
    Manifest,
)
from wsgn.remote.arguments import engine_file, local_path
from wsgn.support.command import run_command, say
from wsgn.support.parser import CommandParser
from wsgn.support.terminal import print_lines

_NAME = "to_cubin"


def main(argv: Sequence[str] | None = None) -> int:
    """Compile, then write a bundle or print its table."""
    return run_command(_NAME, lambda: _compile(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=_NAME,
        description="Compile the frame-selection kernels for GPUs that are not here.",
        epilog="There is no kernel for models that are scored with the scale soft_gate (of the "
        "preset wsgn+) or without weights (the naive model, the preset wsgn): score those with "
        "wsgn.localization.scoring.frame_scores.",
    )
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument(
        "file",
        type=engine_file,
        nargs="?",
        metavar="ENGINE",
        help="the .onnx or .plan file of a model",
    )
    model.add_argument("--engine", type=engine_file, metavar="ENGINE", help="the same")
    model.add_argument(
        "--classes", type=int, metavar="C", help="number of classes, without an engine"
    )
    parser.add_argument(
        "-o", "--output", type=local_path, metavar="DIR", help="write the compiled kernels here"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace the kernels there")
    parser.add_argument("--table", action="store_true", help="print what was compiled as Markdown")
    parser.add_argument(
        "--targets",
        type=_targets,
        default=TARGETS,
        metavar="LIST",
        help=f"compute capabilities without the point (default: {','.join(map(str, TARGETS))})",
    )
    parser.add_argument(
        "--components", nargs="+", choices=COMPONENTS, help="of the selection weight (default: all)"
    )
    parser.add_argument("--softmax-scale", choices=SOFTMAX_SCALES, help="(default: max_one)")
    parser.add_argument("--class-activation", choices=ACTIVATIONS, help="(default: softmax)")
    parser.add_argument(
        "--weight-scale", choices=WEIGHT_SCALES, help="of all components (default: per_frame)"
    )
    parser.add_argument("--gate", choices=GATES, help="of the weight (default: none)")
    return parser


def _targets(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    unknown = [target for target in found if target not in TARGETS]
    if not found or unknown:
        raise argparse.ArgumentTypeError(
            f"some of {','.join(map(str, TARGETS))} are possible, got '{text}'"
        )
    return found


def _compile(arguments: argparse.Namespace) -> int:
    output: Path | None = arguments.output
    if output is None and not arguments.table:
        raise UsageError("nothing to do: give a folder with -o, or --table, or both.")
    engine = arguments.file or arguments.engine
    given = _given(arguments, engine)
    bundle = _kernels()
    if output is not None:
        bundle.check_folder(output, overwrite=arguments.overwrite)
    compiled = bundle.compile_bundle(_options(bundle, engine, given), arguments.targets)
    if arguments.table:
        print_lines(bundle.bundle_table(compiled))
    if output is not None:
        bundle.write_bundle(compiled, output, overwrite=arguments.overwrite)
        names = ", ".join(target.ptx_target for target in compiled.bundle.targets)
        say(_NAME, f"{output} holds {len(compiled.images)} files for {names}.")
    return 0


def _given(arguments: argparse.Namespace, engine: Path | None) -> dict[str, Any]:
    """What the kernels are specialised on, as arguments of `bundle.options_for`."""
    names = ("components", "softmax_scale", "class_activation", "weight_scale", "gate")
    chosen = {name: value for name in names if (value := getattr(arguments, name)) is not None}
    if engine is None:
        return {"num_classes": arguments.classes, **chosen}
    if chosen:
        named = ", ".join("--" + name.replace("_", "-") for name in chosen)
        raise UsageError(f"the engine says what it computes: leave out {named}, or the engine.")
    manifest = _manifest(engine)
    of_engine = {name: getattr(manifest.selection, name) for name in names}
    return {"num_classes": len(manifest.classes), **of_engine}


def _manifest(engine: Path) -> Manifest:
    """Of an ONNX file, or of the sidecar beside a TensorRT plan."""
    if is_plan(engine):
        if not engine.exists():
            raise EngineError(f"the engine '{engine}' does not exist: check its path.")
        return read_sidecar(engine).manifest
    try:
        from wsgn.export.plan.input import read_plan_input
    except ImportError as error:
        raise MissingExtraError(f"Reading an ONNX file ({error.name})", "export") from error
    return read_plan_input(engine).manifest


def _kernels() -> Any:
    """The module `wsgn.kernels.ahead_of_time.bundle`."""
    try:
        return importlib.import_module("wsgn.kernels.ahead_of_time.bundle")
    except MissingExtraError:
        raise
    except ImportError as error:
        raise MissingExtraError(f"Compiling kernels ({error.name})", "train") from error


def _options(bundle: Any, engine: Path | None, given: dict[str, Any]) -> Any:
    """What the kernels compute, or an error of the right branch where there are none for that."""
    try:
        return bundle.options_for(**given)
    except UsageError as error:
        if engine is None:
            raise
        raise EngineError(f"there is no kernel for the engine '{engine}': {error}") from error


if __name__ == "__main__":
    sys.exit(main())
