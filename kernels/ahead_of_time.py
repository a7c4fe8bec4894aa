"""`python -m wsgn.kernels.ahead_of_time --classes 20 -o DIR`: kernels for GPUs without Triton.

Compiles the frame selection of one model to machine code (cubin) and assembly (PTX) for several
GPUs, none of which has to be there.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.command import run_command, say
from wsgn.errors import EngineError, UsageError
from wsgn.manifest import CLASS_ACTIVATIONS, COMPONENTS, METADATA_KEY, SOFTMAX_SCALES, Manifest

from . import bundle

if TYPE_CHECKING:
    from wsgn.selection_reference import Options

_NAME = "ahead_of_time"


def main(argv: Sequence[str] | None = None) -> int:
    """Compile, then write a bundle or print its table."""
    return run_command(_NAME, lambda: _compile(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog=_NAME, description="Compile the frame-selection kernels for GPUs that are not here."
    )
    model = parser.add_mutually_exclusive_group(required=True)
    model.add_argument("--classes", type=int, metavar="C", help="number of classes")
    model.add_argument(
        "--engine", type=Path, metavar="FILE", help="take the options of this .onnx or .plan file"
    )
    parser.add_argument(
        "-o", "--output", type=Path, metavar="DIR", help="write the compiled kernels here"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace what is there")
    parser.add_argument("--table", action="store_true", help="print what was compiled as Markdown")
    parser.add_argument(
        "--targets",
        type=_targets,
        default=bundle.TARGETS,
        metavar="LIST",
        help="compute capabilities without the point "
        f"(default: {','.join(map(str, bundle.TARGETS))})",
    )
    parser.add_argument(
        "--components", nargs="+", choices=COMPONENTS, help="of the selection weight (default: all)"
    )
    parser.add_argument("--softmax-scale", choices=SOFTMAX_SCALES, help="(default: max_one)")
    parser.add_argument("--class-activation", choices=CLASS_ACTIVATIONS, help="(default: softmax)")
    return parser


def _targets(text: str) -> tuple[int, ...]:
    try:
        found = tuple(int(part) for part in text.split(","))
    except ValueError:
        found = ()
    unknown = [target for target in found if target not in bundle.TARGETS]
    if not found or unknown:
        raise argparse.ArgumentTypeError(
            f"some of {','.join(map(str, bundle.TARGETS))} are possible, got '{text}'"
        )
    return found


def _compile(arguments: argparse.Namespace) -> int:
    if arguments.output is None and not arguments.table:
        raise UsageError("nothing to do: give a folder with -o, or --table, or both.")
    compiled = bundle.compile_bundle(_options(arguments), arguments.targets)
    if arguments.table:
        print(bundle.bundle_table(compiled))
    if arguments.output is not None:
        bundle.write_bundle(compiled, arguments.output, overwrite=arguments.overwrite)
        names = ", ".join(target.ptx_target for target in compiled.bundle.targets)
        say(_NAME, f"{arguments.output} holds {len(compiled.images)} files for {names}.")
    return 0


def _options(arguments: argparse.Namespace) -> Options:
    given = {
        "components": arguments.components,
        "softmax_scale": arguments.softmax_scale,
        "class_activation": arguments.class_activation,
    }
    chosen = {name: value for name, value in given.items() if value is not None}
    if arguments.engine is None:
        return bundle.options_for(arguments.classes, **chosen)
    if chosen:
        named = ", ".join("--" + name.replace("_", "-") for name in chosen)
        raise UsageError(f"the engine says what it computes: leave out {named}, or --engine.")
    manifest = _manifest(arguments.engine)
    return bundle.options_for(
        len(manifest.classes),
        components=manifest.selection.components,
        softmax_scale=manifest.selection.softmax_scale,
        class_activation=manifest.selection.class_activation,
    )


def _manifest(engine: Path) -> Manifest:
    """Of an ONNX file, or of the sidecar beside a TensorRT plan."""
    if engine.suffix == ".plan":
        from wsgn.plans.sidecar import read_sidecar

        return read_sidecar(engine).manifest
    # Part of every install; it is loaded here alone.
    import onnxruntime

    try:
        session = onnxruntime.InferenceSession(engine, providers=["CPUExecutionProvider"])
        text = session.get_modelmeta().custom_metadata_map[METADATA_KEY]
    except KeyError as error:
        raise EngineError(f"'{engine}' carries no manifest: export it with wsgn.") from error
    # The library has an exception of its own for every kind of failure.
    except Exception as error:
        raise EngineError(f"'{engine}' cannot be read as an ONNX file: {error}.") from error
    return Manifest.from_json(text)


if __name__ == "__main__":
    sys.exit(main())
