"""Trains every variant of the model on synthetic videos over several seeds and prints the table.

    wsgn-synthesize videos synthetic --train 160 --test 40 --seed 0
    python -m benchmarks.variants synthetic -o runs/variants

Each training runs in one process with one thread, two at a time. Results that exist are kept, so
an interrupted run goes on.
"""

from __future__ import annotations

import argparse
import json
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import dataclass, replace
from pathlib import Path

import numpy as np
import torch

from wsgn.checkpoint import load_checkpoint
from wsgn.config import DEFAULT_FRAMES, DEFAULT_SAMPLING, ModelConfig, TrainConfig
from wsgn.data.annotations import read_annotations
from wsgn.data.frames import FrameDataset
from wsgn.errors import UsageError
from wsgn.manifest import COMPONENTS
from wsgn.methods.config import WsgnConfig
from wsgn.prediction.evaluate import TIOU, evaluate
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
    model_overrides: dict[str, str]


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, then print the table of all."""
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else None)
    parser.add_argument("dataset", type=Path, help="output folder of wsgn-synthesize videos")
    parser.add_argument("-o", "--output", type=Path, required=True)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS))
    parser.add_argument("--steps", type=int, default=TrainConfig.num_steps)
    parser.add_argument("--softmax-scale", default=WsgnConfig.softmax_scale)
    parser.add_argument("--workers", type=int, default=2)
    arguments = parser.parse_args(argv)
    jobs = [
        Job(
            variant=variant,
            seed=seed,
            folder=arguments.output / f"{variant}_{seed}",
            dataset=arguments.dataset,
            train=TrainConfig(num_steps=arguments.steps, supervision=VARIANTS[variant][1]),
            model_overrides={"softmax_scale": arguments.softmax_scale},
        )
        for seed in arguments.seeds
        for variant in arguments.variants
    ]
    with ProcessPoolExecutor(max_workers=arguments.workers) as pool:
        for line in pool.map(run, jobs):
            print(line, flush=True)
    print(table(arguments.output, arguments.variants, arguments.seeds))
    return 0


def run(job: Job) -> str:
    """One training and its evaluation on the test videos; a line about it."""
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
                softmax_scale=job.model_overrides["softmax_scale"],
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
        result_path.write_text(json.dumps(result, indent=1), encoding="utf-8")
    result = json.loads(result_path.read_text(encoding="utf-8"))
    if result["steps"] != job.train.num_steps or result["dataset"] != str(job.dataset):
        raise UsageError(
            f"{job.folder} holds a result of another dataset or number of steps: choose another -o."
        )
    values = " ".join(f"{value:5.1f}" for value in result["map_percent"])
    return f"{job.variant:11} seed {job.seed}: mAP {values}  ({result['training_seconds']:.0f} s)"


def table(folder: Path, variants: Sequence[str], seeds: Sequence[int]) -> str:
    """Markdown: mean and standard deviation over the seeds."""
    head = " | ".join(f"mAP@{tiou}" for tiou in TIOU)
    lines = [f"| variant | {head} | training |", "|---" * (len(TIOU) + 2) + "|"]
    for variant in variants:
        results = [
            json.loads((folder / f"{variant}_{seed}" / "result.json").read_text(encoding="utf-8"))
            for seed in seeds
        ]
        values = np.array([result["map_percent"] for result in results])
        deviation = values.std(axis=0, ddof=1) if len(seeds) > 1 else np.zeros(len(TIOU))
        cells = [
            f"{mean:.1f} ± {spread:.1f}"
            for mean, spread in zip(values.mean(axis=0), deviation, strict=True)
        ]
        seconds = np.mean([result["training_seconds"] for result in results])
        lines.append(f"| {variant} | {' | '.join(cells)} | {seconds:.0f} s |")
    return "\n".join(lines)


if __name__ == "__main__":
    raise SystemExit(main())
