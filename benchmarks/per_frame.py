"""Trains the preset `frames` on synthetic videos over several seeds, and measures chance beside it.

    python -m benchmarks.per_frame synthetic -o runs/per_frame

Each training is a process with one thread; results that exist are kept. Chance is the network
before training, the found segments with their classes exchanged, and as many random ones.
"""

from __future__ import annotations

import argparse
import json
import multiprocessing
import sys
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import Watch, mean_and_deviation
from benchmarks.results import describe_machine, publish
from benchmarks.tables import table
from wsgn.checkpoint import Checkpoint
from wsgn.data.annotations import Annotations, label_vector
from wsgn.data.frames import FrameDataset
from wsgn.data.layouts import read_annotations
from wsgn.localization.segments import Segment
from wsgn.manifest import FrameInput, Sampling
from wsgn.metrics.annotations import truth_of
from wsgn.metrics.classification import evaluate_classification
from wsgn.prediction.evaluate import (
    classification_map,
    find_segments,
    score_segments,
    trained_rule,
)
from wsgn.prediction.predict import predict_videos
from wsgn.presets import preset
from wsgn.support.command import run_command
from wsgn.support.files import write_whole_file
from wsgn.synthetic.videos.config import SyntheticVideosConfig
from wsgn.synthetic.videos.dataset import write_dataset
from wsgn.training.run import Hearing, StepResult, run_training
from wsgn.training.trainer import Trainer

TIOU = (0.1, 0.2, 0.3, 0.4, 0.5)
SAMPLING = Sampling(frame_rate=5.0, snippet_length=5, snippet_stride=2)
FRAMES = FrameInput(height=24, width=32)
ROWS = ("trained", "untrained", "classes exchanged", "random segments")
_WORKERS = 2
# Steps whose mean is the loss at the start, and at the end.
_LOSS_STEPS = 20
# Draws of exchanged classes and of random segments for each seed.
_DRAWS = 20

# Those of each video, by its name.
Segments = dict[str, list[Segment]]


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training."""

    dataset: Path
    folder: Path
    seed: int
    steps: int


def main(argv: Sequence[str] | None = None) -> int:
    """Make what is missing, train what is missing, then print and write the tables."""
    return run_command("benchmarks.per_frame", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.per_frame", description="The preset `frames` beside chance."
    )
    add = parser.add_argument
    add("dataset", type=Path, help="folder of wsgn-synthesize videos; made if absent")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="trainings and the table")
    add("--seeds", type=int, nargs="+", default=[1, 2, 3], help="one training each")
    steps = preset("frames").train.num_steps
    add("--steps", type=int, default=steps, help="(default: %(default)s)")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    if not (arguments.dataset / "annotations.json").is_file():
        write_dataset(arguments.dataset, SyntheticVideosConfig(num_train=160), _WORKERS)
    jobs = [
        Job(
            dataset=arguments.dataset,
            folder=arguments.output / f"seed_{seed}_steps_{arguments.steps}",
            seed=seed,
            steps=arguments.steps,
        )
        for seed in arguments.seeds
    ]
    # Fresh processes: the peak memory of each is its own.
    context = multiprocessing.get_context("spawn")
    workers = min(_WORKERS, len(jobs))
    with ProcessPoolExecutor(workers, context, max_tasks_per_child=1) as pool:
        results = list(pool.map(run, jobs))
    publish(arguments.output / "table", {"results": results}, as_table(results), machine)
    return 0


def run(job: Job) -> dict[str, Any]:
    """One training and everything that is measured of it."""
    path = job.folder / "result.json"
    if not path.exists():
        torch.set_num_threads(1)
        write_whole_file(path, json.dumps(_measure(job), indent=1).encode(), what="a result")
    return dict(json.loads(path.read_text(encoding="utf-8")))


def _measure(job: Job) -> dict[str, Any]:
    annotations = read_annotations(job.dataset / "annotations.json")
    source, test = (
        FrameDataset(
            job.dataset / "videos", annotations.subset(subset), annotations.classes, SAMPLING,
            FRAMES, progress=False,
        )
        for subset in ("train", "test")
    )  # fmt: skip
    chosen = preset("frames")
    model = chosen.model.on(classes=annotations.classes, sampling=SAMPLING, frames=FRAMES)
    train = replace(chosen.train, seed=job.seed, num_steps=job.steps)
    trainer = Trainer(model, train, source)
    scores = {"untrained": _scores(trainer.finished(), annotations, test)[0]}
    steps: list[StepResult] = []
    watch = Watch()
    run_training(trainer, job.folder, Hearing(on_step=steps.append))
    usage = watch.usage()
    scores["trained"], segments = _scores(trainer.finished(), annotations, test)
    random = np.random.default_rng(job.seed)
    labels = np.stack([label_vector(video.labels, test.classes) for video in test.videos])
    guesses = [evaluate_classification(random.random(labels.shape), labels) for _ in range(_DRAWS)]
    chance = float(np.mean([guess.map_percent for guess in guesses]))
    for name, draw in (("classes exchanged", _exchanged), ("random segments", _scattered)):
        drawn = [_detection_map(draw(segments, test, random), test) for _ in range(_DRAWS)]
        scores[name] = {"mAP": np.mean(drawn, axis=0).tolist(), "video": chance}
    ends = steps[:_LOSS_STEPS], steps[-_LOSS_STEPS:]
    return {
        "loss": [float(np.mean([step.loss for step in end])) for end in ends],
        "scores": scores,
    } | asdict(usage)


def _scores(
    checkpoint: Checkpoint, annotations: Annotations, test: FrameDataset
) -> tuple[dict[str, Any], Segments]:
    predictions = list(predict_videos(checkpoint.build(), test))
    segments = find_segments(predictions, test.classes, trained_rule(checkpoint))
    video = classification_map(annotations, predictions)
    return {"mAP": _detection_map(segments, test), "video": video}, segments


def _detection_map(segments: Segments, test: FrameDataset) -> list[float]:
    truth = truth_of(test.videos, test.classes)
    found = score_segments(segments, truth, "activitynet", TIOU).map_percent
    return [float(value) for value in found]


def _exchanged(segments: Segments, test: FrameDataset, random: np.random.Generator) -> Segments:
    """Every class under the name of another one, drawn once for all videos."""
    order = random.permutation(len(test.classes))
    # A cycle leaves no class where it was.
    cycle = zip(order, np.roll(order, 1), strict=True)
    names = {test.classes[old]: test.classes[new] for old, new in cycle}
    return {
        video: [replace(segment, label=names[segment.label]) for segment in found]
        for video, found in segments.items()
    }


def _scattered(segments: Segments, test: FrameDataset, random: np.random.Generator) -> Segments:
    """As many segments, as long, anywhere in their video, of any class and score."""
    seconds = {video.name: video.duration_seconds or 0.0 for video in test.videos}

    def moved(video: str, segment: Segment) -> Segment:
        length = segment.end_seconds - segment.start_seconds
        start = float(random.uniform(0, max(seconds[video] - length, 0)))
        return Segment(
            label=str(random.choice(test.classes)),
            start_seconds=start,
            end_seconds=start + length,
            score=float(random.random()),
        )

    return {video: [moved(video, one) for one in found] for video, found in segments.items()}


def as_table(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: mean and standard deviation over the seeds."""
    lines = []
    for row in ROWS:
        scores = [result["scores"][row] for result in results]
        maps = np.array([score["mAP"] for score in scores])  # (seeds, thresholds)
        columns = [*maps[:, [0, 2, 4]].T, maps.mean(axis=1), [score["video"] for score in scores]]
        lines.append([row, *map(mean_and_deviation, columns)])
    heading = ["", "mAP@0.1", "mAP@0.3", "mAP@0.5", "mean of 0.1 to 0.5", "video mAP"]
    first, last = np.array([result["loss"] for result in results]).T
    words = [f"loss: {mean_and_deviation(first, 2)} to {mean_and_deviation(last, 2)}"]
    for name in ("seconds", "processor_seconds", "peak_megabytes"):
        words.append(f"{name}: {mean_and_deviation([result[name] for result in results], 0)}")
    return "\n".join([table(heading, lines), "", *words])


if __name__ == "__main__":
    sys.exit(main())
