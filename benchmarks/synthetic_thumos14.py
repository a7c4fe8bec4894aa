"""Trains WSGN, its parts and the baselines on synthetic features on THUMOS14's timeline.

    python -m benchmarks.synthetic_thumos14 thumos14.json -o runs/synthetic_thumos14

makes the features (wsgn.synthetic.features), trains every row of the table over several seeds
with one budget, scores the test videos under two protocols and two rules for segments, and writes
table.md. Each training runs in one process with one thread, two at a time. Results that exist are
kept, so an interrupted run goes on.

    python -m benchmarks.synthetic_thumos14 thumos14.json -o runs/tuning --tune

is the search behind the learning rates and dropouts below: the same grid for every row, on features
of another seed.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import time
from collections.abc import Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import mean_and_deviation
from benchmarks.results import describe_machine, publish
from benchmarks.synthetic_thumos14_rows import BUDGET, EXTRA_ROWS, ROWS, settings
from benchmarks.tables import table
from wsgn.data.annotations import label_vector
from wsgn.data.layouts import read_annotations
from wsgn.errors import UsageError
from wsgn.features.dataset import FeatureDataset
from wsgn.features.layouts import open_features
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.manifest import DetectionRule, FeatureInput
from wsgn.metrics.annotations import read_truth
from wsgn.metrics.classification import evaluate_classification
from wsgn.prediction.evaluate import find_segments, score_segments
from wsgn.prediction.options import USUAL_TIOU
from wsgn.prediction.predict import predict_videos
from wsgn.presets import Preset
from wsgn.support.command import run_command
from wsgn.support.files import write_whole_file
from wsgn.synthetic.features.config import DIFFICULTIES
from wsgn.synthetic.features.config import preset as synthetic_features_preset
from wsgn.synthetic.features.dataset import write_features
from wsgn.training.trainer import Trainer

PROTOCOLS = ("activitynet-210", "thumos-2015")
# One threshold in the middle, on scores smoothed or not, and many with the same smoothings.
RULES = ("middle, 1", "middle, 3", "many, 1", "many, 3")
LEARNING_RATES, DROPOUTS = (1e-3, 3e-3, 1e-2), (0.0, 0.5)
TUNING_SEED = 7


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training of one row."""

    name: str
    preset: Preset
    features: Path
    annotations: Path
    result: Path


def run(job: Job) -> str:
    """Train, score the test videos and write the result; a line about it."""
    if not job.result.exists():
        torch.set_num_threads(1)
        training, test = sources(job)
        model = job.preset.model.on(
            classes=training.classes,
            sampling=training.sampling(0),
            features=FeatureInput(size=training.feature_size),
        )
        trainer = Trainer(model, job.preset.train, training)
        started = time.perf_counter()
        for _ in range(job.preset.train.num_steps):
            trainer.run_step()
        seconds = time.perf_counter() - started
        trainer.close()
        result = {
            "row": job.name,
            "preset": asdict(job.preset),
            "training_seconds": seconds,
        } | scored(trainer, test, job.annotations)
        job.result.parent.mkdir(parents=True, exist_ok=True)
        write_whole_file(job.result, json.dumps(result, indent=1).encode(), what="a result")
    result = json.loads(job.result.read_text(encoding="utf-8"))
    wanted = json.loads(json.dumps(asdict(job.preset)))
    if any(wanted[name] != value for name, value in result["preset"].items()):
        raise UsageError(f"{job.result} is of other settings: choose another -o, or remove it.")
    means = {rule: np.mean(result["map"][PROTOCOLS[0]][rule]) for rule in RULES}
    words = "  ".join(f"{rule} {mean:.1f}" for rule, mean in means.items())
    return f"{job.result.stem:40} {words}  ({result['training_seconds']:.0f} s)"


def sources(job: Job) -> tuple[FeatureDataset, FeatureDataset]:
    """Training and test videos; one test video has neither duration nor features."""
    annotations = read_annotations(job.annotations)
    reader = open_features(job.features)
    present = set(reader.names)
    training, test = (
        FeatureDataset(
            reader,
            [video for video in annotations.subset(subset) if video.name in present],
            annotations.classes,
        )
        for subset in ("validation", "test")
    )
    return training, test


def scored(trainer: Trainer, test: FeatureDataset, annotations: Path) -> dict[str, object]:
    """mAP in percent by protocol and rule, and the video classification mAP."""
    predictions = list(predict_videos(trainer.model, test))
    calibration = trainer.finished().calibration
    assert calibration is not None
    middle = calibration.detection
    rules: dict[str, DetectionRule | MultiThresholdRule] = {
        "middle, 1": replace(middle, smoothing_snippets=1),
        "middle, 3": replace(middle, smoothing_snippets=3),
        "many, 1": MultiThresholdRule(),
        "many, 3": MultiThresholdRule(smoothing_snippets=3),
    }
    truth = read_truth(annotations, "test")
    result: dict[str, dict[str, list[float]]] = {protocol: {} for protocol in PROTOCOLS}
    for name, rule in rules.items():
        segments = find_segments(predictions, test.classes, rule)
        for protocol in PROTOCOLS:
            detection = score_segments(segments, truth, protocol, USUAL_TIOU)
            result[protocol][name] = [float(value) for value in detection.map_percent]
    labels = np.stack([label_vector(video.labels, test.classes) for video in test.videos])
    videos = np.stack([prediction.pooled_scores() for prediction in predictions])
    return {
        "tiou": USUAL_TIOU,
        "map": result,
        "classification_map": evaluate_classification(videos, labels).map_percent,
    }


def tuning_jobs(arguments: argparse.Namespace) -> list[Job]:
    """The grid of learning rates and dropouts for every row."""
    features = features_of(arguments, TUNING_SEED)
    return [
        Job(
            name=name,
            preset=tuned(rows(arguments)[name], dropout, learning_rate=learning_rate),
            features=features,
            annotations=arguments.annotations,
            result=arguments.output / f"{name}_{learning_rate:g}_{dropout:g}.json",
        )
        for name, learning_rate, dropout in itertools.product(
            rows(arguments), LEARNING_RATES, DROPOUTS
        )
    ]


def jobs(arguments: argparse.Namespace) -> list[Job]:
    """Every row over the seeds, with its settings from the search."""
    features = features_of(arguments, arguments.feature_seed)
    return [
        Job(
            name=name,
            preset=tuned(preset, settings(name)[1], learning_rate=settings(name)[0], seed=seed),
            features=features,
            annotations=arguments.annotations,
            result=arguments.output / f"{name}_{seed}.json",
        )
        for seed in arguments.seeds
        for name, preset in rows(arguments).items()
    ]


def tuned(preset: Preset, dropout: float, **train: Any) -> Preset:
    """A row with its dropout and some fields of its training."""
    return replace(
        preset,
        model=replace(preset.model, dropout=dropout),
        train=replace(preset.train, **train),
    )


def rows(arguments: argparse.Namespace) -> dict[str, Preset]:
    """The rows that were asked for."""
    known = ROWS | EXTRA_ROWS
    names = arguments.rows or (list(known) if arguments.extra else list(ROWS))
    chosen = {name: known[name] for name in names}
    return {
        name: replace(preset, train=replace(preset.train, num_steps=arguments.steps))
        for name, preset in chosen.items()
    }


def features_of(arguments: argparse.Namespace, seed: int) -> Path:
    """The folder of features, made if it is not there."""
    folder = Path(arguments.output) / "_".join(
        map(str, ("features", arguments.difficulty, arguments.feature_size, seed))
    )
    if not (folder / "synthetic_features.json").exists():
        config = replace(
            synthetic_features_preset(arguments.difficulty),
            feature_size=arguments.feature_size,
            seed=seed,
        )
        write_features(folder, arguments.annotations, config, overwrite=True)
    return folder


def as_table(arguments: argparse.Namespace, protocol: str, rule: str) -> str:
    """Markdown: mean and standard deviation over the seeds."""
    lines = []
    for name in rows(arguments):
        results = [
            json.loads((arguments.output / f"{name}_{seed}.json").read_text(encoding="utf-8"))
            for seed in arguments.seeds
        ]
        values = np.array([result["map"][protocol][rule] for result in results])
        values = np.column_stack([values, values.mean(axis=1)])  # (seeds, thresholds + 1)
        video = np.mean([result["classification_map"] for result in results])
        seconds = np.mean([result["training_seconds"] for result in results])
        maps = map(mean_and_deviation, values.T)
        lines.append([name, *maps, f"{video:.1f}", f"{seconds:.0f} s"])
    heading = ["row", *(f"{tiou:.1f}" for tiou in USUAL_TIOU), "average", "video mAP", "training"]
    return f"mAP (%) at tIoU, `{protocol}`, rule '{rule}'\n\n{table(heading, lines)}"


def best_settings(arguments: argparse.Namespace) -> str:
    """The grid's best learning rate and dropout of each row, as lines for TUNED."""
    lines = []
    for name in rows(arguments):
        results = [
            json.loads(path.read_text(encoding="utf-8"))
            for path in arguments.output.glob(f"{name}_*.json")
        ]
        results = [result for result in results if result["row"] == name]
        # The mean over a rule of either kind favours neither.
        best = max(
            results,
            key=lambda result: np.mean(
                [result["map"][PROTOCOLS[0]][rule] for rule in ("middle, 3", "many, 1")]
            ),
        )
        preset = best["preset"]
        rate, dropout = preset["train"]["learning_rate"], preset["model"]["dropout"]
        lines.append(f'    "{name}": ({rate:g}, {dropout}),')
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, then print and write the tables of all."""
    return run_command("benchmarks.synthetic_thumos14", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.synthetic_thumos14",
        description=(__doc__ or "").splitlines()[0],
    )
    add = parser.add_argument
    add("annotations", type=Path, help="THUMOS14 as ActivityNet-style JSON")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="trainings and the table")
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training of each row each")
    add("--rows", nargs="+", choices=[*ROWS, *EXTRA_ROWS], help="only these")
    add("--extra", action="store_true", help="also the rows of the open points")
    add("--tune", action="store_true", help="search instead of the table")
    add("--steps", type=int, default=BUDGET.num_steps, help="(default: %(default)s)")
    add("--feature-seed", type=int, default=1, help="(default: %(default)s)")
    add("--feature-size", type=int, default=128, help="channels (default: %(default)s)")
    add("--difficulty", choices=DIFFICULTIES, default="medium", help="(default: %(default)s)")
    add("--workers", type=int, default=2, help="processes (default: %(default)s)")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    arguments.output.mkdir(parents=True, exist_ok=True)
    todo = tuning_jobs(arguments) if arguments.tune else jobs(arguments)
    with ProcessPoolExecutor(max_workers=arguments.workers) as pool:
        for line in pool.map(run, todo):
            print(line, file=sys.stderr, flush=True)
    if arguments.tune:
        print(best_settings(arguments))
        return 0
    tables = [as_table(arguments, protocol, rule) for protocol in PROTOCOLS for rule in RULES]
    stored = (json.loads(job.result.read_text(encoding="utf-8")) for job in todo)
    document = {
        "results": {job.result.stem: found for job, found in zip(todo, stored, strict=True)}
    }
    publish(arguments.output / "table", document, "\n\n".join(tables), machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
