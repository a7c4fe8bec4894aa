"""The parts of the paper's model beside one another (its table 2), its outputs apart (figure 4).

    python -m benchmarks.variants dataset.json -o runs/variants --features features
    python -m benchmarks.variants videos/annotations.json -o runs/variants --videos videos/videos

Every combination of components is trained over several seeds under both readings of eq. 2: the
weighted average, and the sum of each frame's own weights over T. The settings are the same for all,
and nothing is searched. A model that averages is scored in three ways, which its training does not
depend on. Each training runs in one process with one thread, two at a time; results that exist are
kept, so an interrupted run goes on. The folder `videos` is one of wsgn-synthesize.
"""

from __future__ import annotations

import argparse
import json
import sys
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ProcessPoolExecutor
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.measuring import mean_and_deviation
from benchmarks.results import describe_machine, publish
from benchmarks.tables import NOTHING, table
from wsgn.checkpoint import Checkpoint, load_checkpoint
from wsgn.config import DEFAULT_FRAMES, DEFAULT_SAMPLING, ModelConfig, ModelSettings, TrainConfig
from wsgn.data.layouts import read_annotations
from wsgn.data.samples import VideoSource
from wsgn.dataset import Dataset, open_data
from wsgn.errors import UsageError
from wsgn.features.options import FeatureOptions, VideoOptions
from wsgn.localization.scoring import frame_scores
from wsgn.localization.timing import smoothing_snippets
from wsgn.manifest import AVERAGE, COMPONENTS, PER_FRAME, FeatureInput, MultiThresholdRule
from wsgn.methods.config import WsgnConfig
from wsgn.methods.rules import selection_rule
from wsgn.metrics.annotations import read_truth
from wsgn.prediction.evaluate import Rule, find_segments, score_segments, trained_rule
from wsgn.prediction.predict import VideoPrediction, predict_videos
from wsgn.prediction.separate_outputs import segments_of_each_output
from wsgn.support.command import run_command
from wsgn.support.files import write_whole_file
from wsgn.training.run import run_training
from wsgn.training.trainer import Trainer

_LOCAL, _GLOBAL, _SOFTMAX = COMPONENTS
# Components and supervision. The paper's supervised model has the naive architecture (4.3).
VARIANTS: dict[str, tuple[tuple[str, ...], str]] = {
    "naive": ((), "video"),
    "SLoc": ((_SOFTMAX,), "video"),
    "ZLoc": ((_LOCAL,), "video"),
    "GLoc": ((_GLOBAL,), "video"),
    "SLoc + ZLoc": ((_SOFTMAX, _LOCAL), "video"),
    "SLoc + GLoc": ((_SOFTMAX, _GLOBAL), "video"),
    "ZLoc + GLoc": ((_LOCAL, _GLOBAL), "video"),
    "complete": (COMPONENTS, "video"),
    "supervised": ((), "frame"),
}
SCALES = {"average": AVERAGE, "per frame": PER_FRAME}
# How a model that averages scores frames: gates of `wsgn.manifest`.
GATES = ("product", "cut", "soft")
# Where there is no average there is no gate.
ONLY_PRODUCT = GATES[:1]
TIOU = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
SHOWN_TIOU = (0.1, 0.3, 0.5, 0.7)
# On features; videos have the defaults.
ON_FEATURES = TrainConfig(num_steps=400, batch_videos=16, thinning=2, learning_rate=1e-3)


@dataclass(frozen=True, kw_only=True)
class Data:
    """Annotated videos, or their features, and how what is found in them is scored."""

    annotations: Path
    # One of the two.
    features: Path | None
    videos: Path | None
    training: str
    test: str
    protocol: str
    # Of the many thresholds by which segments are cut.
    smoothing_seconds: float


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training."""

    variant: str
    # A key of SCALES; NOTHING where there are no weights.
    weights: str
    train: TrainConfig
    data: Data
    folder: Path


def run(job: Job) -> dict[str, Any]:
    """One training and what its test videos score, unless its result is there.

    Raises `UsageError` where that is of other settings.
    """
    path = job.folder / "result.json"
    described: dict[str, Any] = json.loads(json.dumps(asdict(job), default=str))
    if not path.exists():
        torch.set_num_threads(1)
        data = _open(job.data)
        model = _model(job, data)
        started = time.perf_counter()
        trainer = Trainer(model, job.train, data.source(job.data.training, model))
        checkpoint = load_checkpoint(run_training(trainer, job.folder))
        seconds = time.perf_counter() - started
        result = described | {"training_seconds": seconds}
        result |= _scored(job.data, checkpoint, data.source(job.data.test, model))
        write_whole_file(path, json.dumps(result, indent=1).encode(), what="a result")
    found: dict[str, Any] = json.loads(path.read_text(encoding="utf-8"))
    if any(found[name] != value for name, value in described.items() if name != "folder"):
        raise UsageError(f"{path} is of other settings: choose another -o, or remove it.")
    return found


def _open(data: Data) -> Dataset:
    annotations = read_annotations(data.annotations)
    if data.features is not None:
        return open_data(FeatureOptions(path=data.features, skip_missing=True), annotations)
    assert data.videos is not None
    return open_data(VideoOptions(folder=data.videos), annotations)


def _model(job: Job, data: Dataset) -> ModelConfig:
    components = VARIANTS[job.variant][0]
    method = WsgnConfig(components=components, weight_scale=SCALES.get(job.weights, PER_FRAME))
    classes = data.annotations.classes
    if data.features is None:
        return ModelSettings(method=method).on(
            classes=classes, sampling=DEFAULT_SAMPLING, frames=DEFAULT_FRAMES
        )
    info = data.features.info(data.features.names[0])
    return ModelSettings(method=method, standardise=True, dropout=0.5).on(
        classes=classes, sampling=info.sampling, features=FeatureInput(size=info.feature_size)
    )


def _scored(data: Data, checkpoint: Checkpoint, test: VideoSource) -> dict[str, Any]:
    """mAP in percent at TIOU, by how frames are scored, and of each output as if it were alone."""
    rule = _rule(data, checkpoint)
    truth = read_truth(data.annotations, data.test)
    predictions = list(predict_videos(checkpoint.build(), test))

    def scored(segments: Mapping[str, Any]) -> list[float]:
        found = score_segments(segments, truth, data.protocol, TIOU)
        return [float(value) for value in found.map_percent]

    outcome: dict[str, Any] = {
        "map": {
            name: scored(find_segments(map(as_scored, predictions), test.classes, rule))
            for name, as_scored in _scorings(checkpoint).items()
        }
    }
    apart: Mapping[str, Any] = {}
    method = checkpoint.model.method
    if isinstance(method, WsgnConfig) and method.components:
        apart = segments_of_each_output(checkpoint, predictions, rule)
    return outcome | {"alone": {name: scored(found) for name, found in apart.items()}}


def _rule(data: Data, checkpoint: Checkpoint) -> Rule:
    """Many thresholds for features; on videos what training left behind."""
    if data.features is None:
        return trained_rule(checkpoint)
    snippets = smoothing_snippets(data.smoothing_seconds, checkpoint.model.sampling)
    return MultiThresholdRule(smoothing_snippets=snippets)


def _scorings(checkpoint: Checkpoint) -> dict[str, Callable[[VideoPrediction], VideoPrediction]]:
    """Ways to score the frames of a prediction, by name; there is one without an average."""
    rule = selection_rule(checkpoint.build())
    if rule.weight_scale != AVERAGE or not rule.components:
        return dict.fromkeys(ONLY_PRODUCT, lambda prediction: prediction)

    def by(gate: str) -> Callable[[VideoPrediction], VideoPrediction]:
        gated = replace(rule, gate=gate)
        return lambda one: replace(
            one,
            scores=frame_scores(one.selection_logits, one.class_probabilities, gated),
            video_scores=one.pooled_scores(),
        )

    return {gate: by(gate) for gate in GATES}


def as_tables(results: Sequence[dict[str, Any]]) -> str:
    """Markdown: mean and standard deviation over the seeds."""
    return "\n\n".join([_whole(results), _apart(results)])


def _rows(results: Sequence[dict[str, Any]]) -> Iterator[tuple[str, str, list[dict[str, Any]]]]:
    """A variant, its weights, and its results."""
    for variant, weights in dict.fromkeys((one["variant"], one["weights"]) for one in results):
        own = [one for one in results if (one["variant"], one["weights"]) == (variant, weights)]
        yield variant, weights, own


def _whole(results: Sequence[dict[str, Any]]) -> str:
    lines = []
    for variant, weights, own in _rows(results):
        seconds = np.mean([one["training_seconds"] for one in own])
        for name in own[0]["map"]:
            maps = np.array([one["map"][name] for one in own])  # (seeds, tIoU)
            shown = [mean_and_deviation(maps[:, TIOU.index(tiou)]) for tiou in SHOWN_TIOU]
            average = mean_and_deviation(maps.mean(axis=1))
            lines.append([variant, weights, name, *shown, average, f"{seconds:.0f} s"])
    heading = ["variant", "weights", "scored", *map(str, SHOWN_TIOU), "average", "training"]
    return f"mAP (%) at tIoU\n\n{table(heading, lines)}"


def _apart(results: Sequence[dict[str, Any]]) -> str:
    """The average mAP of each output by itself."""
    columns = ("class_probabilities", *COMPONENTS, "selection")
    lines = []
    for variant, weights, own in _rows(results):
        if own[0]["alone"]:
            cells = [
                mean_and_deviation([np.mean(one["alone"][name]) for one in own])
                if name in own[0]["alone"]
                else NOTHING
                for name in columns
            ]
            lines.append([variant, weights, *cells])
    words = "Average mAP (%) of each output as if it were alone"
    return f"{words}\n\n{table(['variant', 'weights', *columns], lines)}" if lines else ""


def main(argv: Sequence[str] | None = None) -> int:
    """Train what is missing, then print and write the tables of all."""
    return run_command("benchmarks.variants", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.variants", description=(__doc__ or "").splitlines()[0]
    )
    add = parser.add_argument
    add("annotations", type=Path, help="ActivityNet-style JSON with segments")
    add("-o", "--output", type=Path, required=True, metavar="DIR", help="trainings and the tables")
    data = parser.add_mutually_exclusive_group(required=True)
    data.add_argument("--features", type=Path, metavar="DIR", help="that hold their time base")
    data.add_argument("--videos", type=Path, metavar="DIR", help="files of the videos")
    add("--subset", help="trained on (default: validation, of videos train)")
    add("--test", default="test", metavar="SUBSET", help="(default: %(default)s)")
    add("--protocol", default="activitynet", help="of the evaluation (default: %(default)s)")
    add("--smoothing-seconds", type=float, default=2.0, metavar="S",
        help="of scores on features, which many thresholds cut (default: %(default)s)")  # fmt: skip
    add("--seeds", type=int, nargs="+", default=[0, 1, 2], help="one training each")
    add("--variants", nargs="+", choices=VARIANTS, default=list(VARIANTS), help="rows")
    add("--weights", nargs="+", choices=SCALES, default=list(SCALES), help="(default: both)")
    add("--steps", type=int, help="updates (default: 400 on features, 1000 on videos)")
    add("--thinning", type=int, help="of training videos (default: 2 on features, 4 on videos)")
    add("--workers", type=int, default=2, help="processes (default: %(default)s)")
    return parser


def _run(arguments: argparse.Namespace) -> int:
    machine = describe_machine()
    results = []
    with ProcessPoolExecutor(max_workers=arguments.workers) as pool:
        for result in pool.map(run, _jobs(arguments)):
            results.append(result)
            means = ", ".join(f"{name} {np.mean(one):.1f}" for name, one in result["map"].items())
            words = f"{result['variant']}, {result['weights']}, seed {result['train']['seed']}"
            print(f"{words}: {means}", file=sys.stderr, flush=True)
    publish(arguments.output / "table", {"results": results}, as_tables(results), machine)
    return 0


def _jobs(arguments: argparse.Namespace) -> list[Job]:
    on_features = arguments.features is not None
    usual = ON_FEATURES if on_features else TrainConfig()
    data = Data(
        annotations=arguments.annotations,
        features=arguments.features,
        videos=arguments.videos,
        training=arguments.subset or ("validation" if on_features else "train"),
        test=arguments.test,
        protocol=arguments.protocol,
        smoothing_seconds=arguments.smoothing_seconds,
    )
    jobs = []
    for seed in arguments.seeds:
        for variant in arguments.variants:
            components, supervision = VARIANTS[variant]
            for weights in arguments.weights if components else [NOTHING]:
                name = f"{variant} {weights}".replace(" + ", "+").replace(" ", "_")
                train = replace(
                    usual,
                    seed=seed,
                    supervision=supervision,
                    num_steps=arguments.steps or usual.num_steps,
                    thinning=arguments.thinning or usual.thinning,
                )
                folder = arguments.output / f"{name}_{seed}"
                jobs.append(
                    Job(variant=variant, weights=weights, train=train, data=data, folder=folder)
                )
    return jobs


if __name__ == "__main__":
    sys.exit(main())
