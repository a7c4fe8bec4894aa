"""Backbones on raw frames: frames per second of the engine, of torch and of decoding; memory.

    python -m benchmarks.backbones VIDEO --backbone i3d-rgb resnet34 [-o runs/backbones]

Each network gets random weights (speed does not depend on them) and a random model of 20 classes
behind it. Every figure comes from a process of its own: `wsgn-run` on the video with the engine,
the same layers in torch on frames in memory, `wsgn-features`, and decoding alone.
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Callable, Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from benchmarks.measuring import Usage, Watch, run_measured
from benchmarks.results import ROOT, add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.extraction.config import BACKBONES, CROP_SIZE, SHORT_SIDE, ExtractionConfig, Network
from wsgn.manifest import Sampling
from wsgn.support.command import run_command

if TYPE_CHECKING:
    from benchmarks.random_engine import RandomEngine

SAMPLING = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)
TORCH_SNIPPETS = 4
# Measured for every network, by the words of the table.
MEASURED = {
    "engine": "wsgn-run with the engine",
    "torch": "torch, frames in memory",
    "features": "wsgn-features",
}


@dataclass(frozen=True, kw_only=True)
class Row:
    """One measurement, of a process that did nothing else; its start is not counted."""

    network: str
    what: str
    frames: int
    usage: Usage


def main(argv: Sequence[str] | None = None) -> int:
    """Measure, print the table, and write it where asked for."""
    return run_command("benchmarks.backbones", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.backbones", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("video", type=Path, help="any video")
    add("--backbone", nargs="+", choices=BACKBONES, default=["i3d-rgb", "resnet34"])
    add("--threads", type=int, default=2, help="(default: %(default)s)")
    add("--batch", type=int, default=16, help="snippets in a call of the engine (%(default)s)")
    add("--half", action="store_true", help="engines with convolutions in float16")
    add("--short-side", type=int, default=SHORT_SIDE, help="pixels after scaling (%(default)s)")
    add("--crop-size", type=int, default=CROP_SIZE, help="pixels of the square (%(default)s)")
    add("--part", choices=PARTS, help=argparse.SUPPRESS)
    add("--folder", type=Path, default=Path(), help=argparse.SUPPRESS)
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    if arguments.part:
        frames, usage = PARTS[arguments.part](arguments)
        print(json.dumps({"frames": frames, "usage": asdict(usage)}))
        return 0
    machine = describe_machine()
    rows = [_measured("decode", arguments, arguments.backbone[0], Path(), "decoding alone")]
    for name in arguments.backbone:
        with tempfile.TemporaryDirectory() as folder:
            _measured("export", arguments, name, Path(folder), "export")
            rows += [
                _measured(part, arguments, name, Path(folder), words)
                for part, words in MEASURED.items()
            ]
    document = {"rows": [asdict(row) for row in rows]}
    publish(arguments.output, document, as_table(rows), machine)
    return 0


def as_table(rows: Sequence[Row]) -> str:
    """Markdown."""
    heading = [
        "what", "network", "frames", "seconds", "frames per second",
        "processor seconds per 100 frames", "peak memory, MB",
    ]  # fmt: skip
    lines = []
    for row in rows:
        usage = row.usage
        speed, work = row.frames / usage.seconds, 100 * usage.processor_seconds / row.frames
        cells = [f"{usage.seconds:.1f}", f"{speed:.1f}", f"{work:.1f}"]
        lines.append([row.what, row.network, row.frames, *cells, f"{usage.peak_megabytes:.0f}"])
    return table(heading, lines)


def _measured(part: str, arguments: argparse.Namespace, name: str, folder: Path, words: str) -> Row:
    """One measurement in a process of its own. Raises `CommandError`."""
    command = [
        sys.executable, "-m", "benchmarks.backbones", str(arguments.video), "--part", part,
        "--backbone", name, "--folder", str(folder), "--threads", str(arguments.threads),
        "--batch", str(arguments.batch), "--short-side", str(arguments.short_side),
        "--crop-size", str(arguments.crop_size), *_precision(arguments),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads), "PYTHONPATH": str(ROOT)}
    run = run_measured(command, what=f"{words} of {name}", environment=environment)
    found = json.loads(run.lines[-1])
    return Row(
        network="" if part == "decode" else name,
        what=words,
        frames=found["frames"],
        usage=Usage(**found["usage"]),
    )


def _precision(arguments: argparse.Namespace) -> list[str]:
    return ["--half"] if arguments.half else []


def decode(arguments: argparse.Namespace) -> tuple[int, Usage]:
    """Decoding and scaling onto the engine's grid, nothing else."""
    from wsgn.video import FrameGrid, SampledFrame, VideoReader

    watch = Watch()
    side = arguments.short_side
    grid = FrameGrid(SAMPLING.frame_rate, side, side, "centre_crop")
    with VideoReader(arguments.video, grid) as reader:
        frames = sum(isinstance(item, SampledFrame) for item in reader)
    return frames, watch.usage()


def export(arguments: argparse.Namespace) -> tuple[int, Usage]:
    """Write random weights, a random model on them, and the engine of both."""
    watch = Watch()
    random = _random_engine(arguments)
    random.write_model()
    random.export(*_precision(arguments))
    return 0, watch.usage()


def engine(arguments: argparse.Namespace) -> tuple[int, Usage]:
    """`wsgn-run`: decoding beside the engine, its events thrown away."""
    from wsgn.runtime import open_engine
    from wsgn.runtime.events import EndEvent
    from wsgn.runtime.pipeline import Detection, DetectOptions

    options = DetectOptions(batch_size=arguments.batch)
    path = arguments.folder / ("engine-half.onnx" if arguments.half else "engine.onnx")
    with open_engine(path, num_threads=arguments.threads) as opened:
        watch = Watch()
        events = list(Detection(arguments.video, opened, options).events())
        (end,) = [event for event in events if isinstance(event, EndEvent)]
        return end.frames, watch.usage()


def in_torch(arguments: argparse.Namespace) -> tuple[int, Usage]:
    """The engine's layers in torch, on frames that are in memory already."""
    import torch

    torch.set_num_threads(arguments.threads)
    graph = _random_engine(arguments).in_torch().graph
    side = arguments.short_side
    shape = (TORCH_SNIPPETS, SAMPLING.snippet_length, side, side, 3)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    with torch.inference_mode():
        graph(frames[:1])
        watch = Watch()
        graph(frames)
    return TORCH_SNIPPETS * SAMPLING.snippet_length, watch.usage()


def features(arguments: argparse.Namespace) -> tuple[int, Usage]:
    """`wsgn-features` on the one video."""
    from wsgn.extraction.extract import extract_features
    from wsgn.extraction.networks import open_networks

    name = arguments.backbone[0]
    network = Network(name=name, config=BACKBONES[name], weights_sha256=None)
    config = ExtractionConfig(
        networks=(network,), short_side=arguments.short_side, crop_size=arguments.crop_size
    )
    networks = open_networks(
        config, [arguments.folder / "weights.safetensors"], "cpu", num_threads=arguments.threads
    )
    watch = Watch()
    found = extract_features(arguments.video, config, networks)
    return len(found.values) * SAMPLING.snippet_length, watch.usage()


def _random_engine(arguments: argparse.Namespace) -> RandomEngine:
    # Loads torch, which the engine's process must not.
    from benchmarks.random_engine import RandomEngine

    return RandomEngine(
        folder=arguments.folder,
        backbone=arguments.backbone[0],
        short_side=arguments.short_side,
        crop_size=arguments.crop_size,
    )


PARTS: Mapping[str, Callable[[argparse.Namespace], tuple[int, Usage]]] = {
    "decode": decode,
    "export": export,
    "engine": engine,
    "torch": in_torch,
    "features": features,
}


if __name__ == "__main__":
    sys.exit(main())
