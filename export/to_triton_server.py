"""`python export/to_triton_server.py ENGINE ... -o model_repository`: for a Triton server."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from typing import Any

from wsgn.errors import UsageError
from wsgn.export.triton_server.engine import ServedEngine, read_engine
from wsgn.export.triton_server.repository import (
    BACKENDS,
    DEFAULT_BATCH,
    ServedModel,
    Serving,
    odd_characters,
    prepare,
    write_models,
)
from wsgn.remote.arguments import engine_file, local_path
from wsgn.support.command import run_command, say
from wsgn.support.parser import CommandParser
from wsgn.support.terminal import print_lines

_NAME = "to_triton_server"


def main(argv: Sequence[str] | None = None) -> int:
    """Check all engines, then write their models."""

    def work() -> int:
        _write(_parser().parse_args(argv))
        return 0

    return run_command(_NAME, work)


def _parser() -> argparse.ArgumentParser:
    parser = CommandParser(
        prog=_NAME,
        description="Write a model repository of NVIDIA Triton Inference Server.",
    )
    parser.add_argument(
        "engines", type=engine_file, nargs="+", metavar="ENGINE", help=".onnx file or TensorRT plan"
    )
    parser.add_argument(
        "-o", "--output", type=local_path, required=True, help="the model repository, a folder"
    )
    parser.add_argument("--name", help="of the model (default: the engine's, without its ending)")
    parser.add_argument(
        "--backend",
        choices=("onnx", *BACKENDS[1:]),
        help="what runs the engine (default: by the file); python is for servers without the "
        "backend onnx, with ONNX Runtime in their Python",
    )
    parser.add_argument(
        "--max-batch",
        type=int,
        help="snippets, streams or videos in a batch (default: "
        f"{DEFAULT_BATCH}, or what a plan takes)",
    )
    parser.add_argument(
        "--instances", type=int, default=1, help="of the model at the same time (default: 1)"
    )
    device = parser.add_mutually_exclusive_group()
    device.add_argument("--gpu", action="store_true", help="run on every GPU (default for plans)")
    device.add_argument("--cpu", action="store_true", help="run on the CPU (default for ONNX)")
    streams = parser.add_argument_group("streams", "of an engine with the streaming graph")
    streams.add_argument("--max-streams", type=int, help="that an instance holds (default: 256)")
    streams.add_argument(
        "--idle-seconds",
        type=float,
        help="without a request, after which a stream is over (default: 60)",
    )
    parser.add_argument("--overwrite", action="store_true", help="replace models of the same name")
    return parser


def _write(arguments: argparse.Namespace) -> None:
    if arguments.name is not None and len(arguments.engines) > 1:
        raise UsageError("--name is for one engine: run the command once for each of them.")
    engines = [read_engine(path) for path in arguments.engines]
    wishes = _wishes_for_streams(arguments)
    if wishes and all(engine.manifest.graph != "streaming" for engine in engines):
        named = " and ".join("--" + name.replace("_", "-") for name in wishes)
        raise UsageError(
            f"'{engines[0].path}' holds the {engines[0].manifest.graph} graph, which has no "
            f"streams: leave out {named}, or export with --graph streaming."
        )
    models = [_model(engine, arguments) for engine in engines]
    folders = write_models(arguments.output, models, overwrite=arguments.overwrite)
    for folder, model in zip(folders, models, strict=True):
        print_lines(f"{folder}: {_summary(model)}")
        if model.serving.backend == "python" and (odd := odd_characters(folder)):
            say(
                _NAME,
                f"warning: {folder.resolve()}: NVIDIA's Python backend does not start a model in a "
                f"path with '{odd}': serve the repository from another one.",
            )
        plan = model.engine.plan
        if plan is not None and "version_compatible" in plan.flags:
            print_lines(
                f"{folder}: start the server with --backend-config=tensorrt,version-compatible=true"
            )


def _wishes_for_streams(arguments: argparse.Namespace) -> dict[str, Any]:
    """What was said of streams."""
    names = ("max_streams", "idle_seconds")
    return {name: value for name in names if (value := getattr(arguments, name)) is not None}


def _model(engine: ServedEngine, arguments: argparse.Namespace) -> ServedModel:
    default = "onnx" if engine.plan is None else "tensorrt"
    chosen = arguments.backend or default
    serving = Serving(
        backend="onnxruntime" if chosen == "onnx" else chosen,
        max_batch=arguments.max_batch,
        instances=arguments.instances,
        gpu=arguments.gpu or (engine.plan is not None and not arguments.cpu),
        **_wishes_for_streams(arguments),
    )
    name = engine.path.stem if arguments.name is None else arguments.name
    return prepare(engine, name, serving)


def _summary(model: ServedModel) -> str:
    batch = model.config["max_batch_size"]
    words = {
        "snippet": f"up to {batch} snippets in a batch",
        "streaming": f"up to {batch} streams in a batch, {model.serving.max_streams} at a time",
        "whole-video": f"up to {batch} videos of one length in a request",
    }
    return (
        f"{model.serving.backend} on the {'GPU' if model.serving.gpu else 'CPU'}, "
        f"{words[model.engine.manifest.graph]}, {len(model.engine.manifest.classes)} classes"
    )


if __name__ == "__main__":
    sys.exit(main())
