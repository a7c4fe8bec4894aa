"""Trains every variant of the model on synthetic videos over several seeds and prints the table.

    wsgn-synthesize videos synthetic --train 160 --test 40 --seed 0
    python -m benchmarks.variants synthetic -o runs/variants

Each training runs in one process with one thread, two at a time. Results that exist are kept, so
an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import mean_and_deviation
from benchmarks.results import describe_machine, publish
from benchmarks.tables import table
from wsgn.checkpoint import load_checkpoint
from wsgn.config import DEFAULT_FRAMES, DEFAULT_SAMPLING, ModelConfig, TrainConfig
from wsgn.data.frames import FrameDataset
from wsgn.data.layouts import read_annotations
from wsgn.errors import UsageError
from wsgn.manifest import COMPONENTS
from wsgn.methods.config import WsgnConfig
from wsgn.prediction.evaluate import FEW_TIOU, evaluate
from wsgn.support.command import run_command
from wsgn.support.files import write_whole_file
from wsgn.training.run import run_training
from wsgn.training.trainer import Trainer

VARIANTS: dict[str, tuple[tuple[str, ...], str]] = {
    "naive": ((), "video"),
    "SLoc": (("temporal_softmax",), "video"),
    "ZLoc": (("local_gaussian",), "video"),
    "GLoc": (("global_gaussian",), "video"),
    "complete": (COMPONENTS, "video"),
    "supervised": (COMPONENTS, "frame"),
}


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training."""

    variant: str
    seed: int
    folder: Path
    dataset: Path
    train: TrainConfig
    softmax_scale: str


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, then print and write the table of all."""
    return run_command("benchmarks.variants", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.variants", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("dataset", type=Path, help="output folder of wsgn-synthesize videos")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="trainings and the table")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training each")
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="rows")
    add("--steps", type=int, default=TrainConfig.num_steps, help="(default: %(default)s)")
    add("--softmax-scale", default=WsgnConfig.softmax_scale, help="(default: %(default)s)")
    add("--workers", type=int, default=2, help="processes (default: %(default)s)")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    jobs = [
        Job(
            variant=variant,
            seed=seed,
            folder=arguments.output / f"{variant}_{seed}",
            dataset=arguments.dataset,
            train=TrainConfig(num_steps=arguments.steps, supervision=VARIANTS[variant][1]),
            softmax_scale=arguments.softmax_scale,
        )
        for seed in arguments.seeds
        for variant in arguments.variants
    ]
    results = []
    with ProcessPoolExecutor(max_workers=arguments.workers) as pool:
        for result in pool.map(run, jobs):
            results.append(result)
            values = " ".join(f"{value:5.1f}" for value in result["map_percent"])
            print(f"{result['variant']:11} seed {result['seed']}: mAP {values}", file=sys.stderr)
    publish(arguments.output / "table", {"results": results}, as_table(results), machine)
    return 0


def run(job: Job) -> dict[str, Any]:
    """One training and its evaluation on the test videos, unless its result is there.

    Raises `UsageError` where that is of other settings.
    """
    result_path = job.folder / "result.json"
    if not result_path.exists():
        torch.set_num_threads(1)
        annotations = read_annotations(job.dataset / "annotations.json")
        model = ModelConfig(
            classes=annotations.classes,
            sampling=DEFAULT_SAMPLING,
            frames=DEFAULT_FRAMES,
            method=WsgnConfig(
                components=VARIANTS[job.variant][0],
                weight_scale="per_frame",
                softmax_scale=job.softmax_scale,
            ),
        )
        assert model.frames is not None
        sources = [
            FrameDataset(
                job.dataset / "videos", annotations.subset(subset), annotations.classes,
                model.sampling, model.frames, progress=False,
            )
            for subset in ("train", "test")
        ]  # fmt: skip
        started = time.perf_counter()
        trainer = Trainer(model, replace(job.train, seed=job.seed), sources[0])
        path = run_training(trainer, job.folder)
        seconds = time.perf_counter() - started
        detection = evaluate(load_checkpoint(path), sources[1]).detection
        assert detection is not None
        result = {
            "variant": job.variant,
            "seed": job.seed,
            "tiou": list(detection.tiou),
            "map_percent": [float(value) for value in detection.map_percent],
            "training_seconds": seconds,
            "steps": job.train.num_steps,
            "dataset": str(job.dataset),
            "train_videos": len(sources[0].videos),
            "test_videos": len(sources[1].videos),
        }
        write_whole_file(result_path, json.dumps(result, indent=1).encode(), what="a result")
    result = json.loads(result_path.read_text(encoding="utf-8"))
    if result["steps"] != job.train.num_steps or result["dataset"] != str(job.dataset):
        raise UsageError(
            f"{job.folder} holds a result of another dataset or number of steps: choose another -o."
        )
    return dict(result)


def as_table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: mean and standard deviation over the seeds."""
    lines = []
    for variant in dict.fromkeys(result["variant"] for result in results):
        own = [result for result in results if result["variant"] == variant]
        values = np.array([result["map_percent"] for result in own])  # (seeds, thresholds)
        seconds = np.mean([result["training_seconds"] for result in own])
        lines.append([variant, *map(mean_and_deviation, values.T), f"{seconds:.0f} s"])
    return table(["variant", *(f"mAP@{tiou}" for tiou in FEW_TIOU), "training"], lines)


if __name__ == "__main__":
    sys.exit(main())
