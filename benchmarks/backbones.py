"""Backbones on raw frames: frames per second of the engine, of torch and of decoding; memory.

    python -m benchmarks.backbones VIDEO --backbone i3d-rgb resnet34

Each network gets random weights (speed does not depend on them) and a random model of 20 classes
behind it. Every figure comes from a process of its own: `wsgn-run` on the video with the engine,
the same layers in torch on frames in memory, `wsgn-features`, and decoding alone.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np

from wsgn.extraction.config import BACKBONES, CROP_SIZE, SHORT_SIDE
from wsgn.manifest import Sampling

SAMPLING = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)
TORCH_SNIPPETS = 4


def main(argv: Sequence[str] | None = None) -> int:
    """Measure and print Markdown."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("video", type=Path, nargs="?")
    parser.add_argument("--backbone", nargs="+", default=["i3d-rgb", "resnet34"])
    parser.add_argument("--threads", type=int, default=2)
    parser.add_argument("--batch", type=int, default=16, help="snippets in a call of the engine")
    parser.add_argument("--half", action="store_true", help="engines with convolutions in float16")
    parser.add_argument("--part", choices=PARTS, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    arguments = parser.parse_args(argv)
    if arguments.part:
        print(json.dumps(PARTS[arguments.part](arguments)))
        return 0
    print(
        "| network | what | frames | seconds | frames per second "
        "| processor seconds per 100 frames | peak memory, MB |"
    )
    print("|---|---|---|---|---|---|---|")
    report("", "decoding alone", run_part("decode", arguments, "none", Path()))
    for name in arguments.backbone:
        with tempfile.TemporaryDirectory() as folder:
            run_part("export", arguments, name, Path(folder))
            for part, words in (
                ("engine", "wsgn-run with the engine"),
                ("torch", "torch, frames in memory"),
                ("features", "wsgn-features"),
            ):
                report(name, words, run_part(part, arguments, name, Path(folder)))
    return 0


def report(name: str, words: str, figures: dict[str, float]) -> None:
    """One row."""
    frames, seconds = figures["frames"], figures["seconds"]
    print(
        f"| {name} | {words} | {frames:.0f} | {seconds:.1f} | {frames / seconds:.1f} | "
        f"{100 * figures['processor_seconds'] / frames:.1f} | "
        f"{figures['megabytes']:.0f} |",
        flush=True,
    )


def run_part(part: str, arguments: argparse.Namespace, name: str, folder: Path) -> dict[str, float]:
    """One measurement in a process of its own."""
    command = [
        sys.executable, __file__, str(arguments.video), "--part", part, "--backbone", name,
        "--folder", str(folder), "--threads", str(arguments.threads),
        "--batch", str(arguments.batch), *_precision(arguments),
    ]  # fmt: skip
    environment = os.environ | {"OMP_NUM_THREADS": str(arguments.threads)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        raise SystemExit(f"{part} of {name} failed:\n{done.stderr[-2000:]}")
    figures: dict[str, float] = json.loads(done.stdout.splitlines()[-1])
    return figures


def _precision(arguments: argparse.Namespace) -> list[str]:
    return ["--half"] if arguments.half else []


class Watch:
    """Time on the wall and of all threads' processors, from when it was made."""

    def __init__(self) -> None:
        self._wall, self._processor = time.perf_counter(), time.process_time()

    def figures(self, frames: float) -> dict[str, float]:
        """What a measurement prints; memory is this process's peak (Linux: kB)."""
        return {
            "frames": frames,
            "seconds": time.perf_counter() - self._wall,
            "processor_seconds": time.process_time() - self._processor,
            "megabytes": resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1e3,
        }


def decode(arguments: argparse.Namespace) -> dict[str, float]:
    """Decoding and scaling onto the engine's grid, nothing else."""
    from wsgn.video import FrameGrid, SampledFrame, VideoReader

    watch = Watch()
    grid = FrameGrid(SAMPLING.frame_rate, SHORT_SIDE, SHORT_SIDE, "centre_crop")
    with VideoReader(arguments.video, grid) as reader:
        frames = sum(isinstance(item, SampledFrame) for item in reader)
    return watch.figures(frames)


def export(arguments: argparse.Namespace) -> dict[str, float]:
    """Write random weights, a random model on them, and the engine of both."""
    from benchmarks.random_engine import RandomEngine

    watch = Watch()
    random = RandomEngine(folder=arguments.folder, backbone=arguments.backbone[0])
    random.write_model()
    random.export(*_precision(arguments))
    return watch.figures(0)


def engine(arguments: argparse.Namespace) -> dict[str, float]:
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
        return watch.figures(end.frames)


def in_torch(arguments: argparse.Namespace) -> dict[str, float]:
    """The engine's layers in torch, on frames that are in memory already."""
    import torch

    from benchmarks.random_engine import RandomEngine

    torch.set_num_threads(arguments.threads)
    graph = RandomEngine(folder=arguments.folder, backbone=arguments.backbone[0]).in_torch().graph
    shape = (TORCH_SNIPPETS, SAMPLING.snippet_length, SHORT_SIDE, SHORT_SIDE, 3)
    frames = torch.from_numpy(np.random.default_rng(0).integers(0, 256, shape, dtype=np.uint8))
    with torch.inference_mode():
        graph(frames[:1])
        watch = Watch()
        graph(frames)
    return watch.figures(TORCH_SNIPPETS * SAMPLING.snippet_length)


def features(arguments: argparse.Namespace) -> dict[str, float]:
    """`wsgn-features` on the one video."""
    from wsgn.extraction.config import ExtractionConfig, Network
    from wsgn.extraction.extract import extract_features
    from wsgn.extraction.networks import open_networks

    name = arguments.backbone[0]
    network = Network(name=name, config=BACKBONES[name], weights_sha256=None)
    config = ExtractionConfig(networks=(network,), short_side=SHORT_SIDE, crop_size=CROP_SIZE)
    networks = open_networks(
        config, [arguments.folder / "weights.safetensors"], "cpu", num_threads=arguments.threads
    )
    watch = Watch()
    found = extract_features(arguments.video, config, networks)
    return watch.figures(len(found.values) * SAMPLING.snippet_length)


PARTS: dict[str, Any] = {
    "decode": decode,
    "export": export,
    "engine": engine,
    "torch": in_torch,
    "features": features,
}


if __name__ == "__main__":
    sys.exit(main())
