"""One training of one row of a table, and what its segments are worth under many rules."""

from __future__ import annotations

import functools
import json
import sys
import time
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch

from benchmarks.rows import Setting
from wsgn.config import ModelConfig, TrainConfig
from wsgn.data.annotations import label_vector
from wsgn.data.layouts import read_annotations
from wsgn.errors import UsageError
from wsgn.features.dataset import FeatureDataset
from wsgn.features.kept import KeptFeatures
from wsgn.features.layouts import open_features
from wsgn.features.reader import FeatureReader
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.localization.timing import smoothing_snippets
from wsgn.manifest import FeatureInput
from wsgn.methods.config import with_streams
from wsgn.metrics.annotations import Truth, read_truth, truth_of
from wsgn.metrics.classification import evaluate_classification
from wsgn.model import WeakDetector
from wsgn.prediction.calibrate import calibrate
from wsgn.prediction.evaluate import Rule, find_segments, score_segments
from wsgn.prediction.predict import VideoPrediction, predict_videos
from wsgn.prediction.separate_outputs import outputs_alone, rule_alone
from wsgn.presets import Preset
from wsgn.support.files import write_whole_file
from wsgn.training.trainer import Trainer
from wsgn.training.update import with_precision

TIOU = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7)
# Over how many seconds scores are averaged before segments are cut, at the threshold in the middle
# or at many.
SMOOTHING_SECONDS = (0.0, 0.7, 1.3, 2.0, 3.0)
RULES = tuple(
    f"{kind}, {seconds:g} s" for kind in ("middle", "many") for seconds in SMOOTHING_SECONDS
)
# Enough to tell settings apart.
FEW_RULES = ("middle, 2 s", "many, 2 s")
# A row's own, where nothing is chosen for it.
OWN_RULE = "its own"


@dataclass(frozen=True, kw_only=True)
class Data:
    """Features and annotations, and which of their videos are trained on and tested."""

    annotations: Path
    features: Path
    training: str
    test: str
    protocol: str


@dataclass(frozen=True, kw_only=True)
class Job:
    """One training of one row."""

    row: str
    preset: Preset
    setting: Setting | None
    data: Data
    result: Path
    # Training videos that are left out of the training and scored in place of the test videos.
    held_out: tuple[str, ...] = ()
    rules: tuple[str, ...] = RULES
    # Each output of a WSGN model scored as if it were alone (the paper's figure 4), by this rule.
    outputs_rule: str | None = None
    # Whether the row has a rule of its own beside these.
    own_rule: bool = False


@dataclass(frozen=True, kw_only=True)
class Result:
    """What a training came to; mAP in percent at TIOU by rule."""

    row: str
    setting: dict[str, Any] | None
    method: dict[str, Any]
    train: dict[str, Any]
    map: dict[str, list[float]]
    classification_map: float
    # Of the processor: a training in a busy pool costs what one alone does.
    training_seconds: float
    # mAP of each output alone, where it was asked for.
    outputs: dict[str, list[float]] = field(default_factory=dict)

    def average(self, rule: str) -> float:
        """Mean mAP over the tIoU of TIOU."""
        return float(np.mean(self.map[rule]))

    @property
    def best_rule(self) -> str:
        """The rule with the largest average."""
        return max(self.map, key=self.average)


def run(job: Job) -> Result:
    """Train, score and write the result, unless it is there. Raises `UsageError` if of others."""
    if not job.result.exists():
        result = _trained(job)
        write_whole_file(job.result, json.dumps(asdict(result), indent=1).encode(), what="a result")
    result = Result(**json.loads(job.result.read_text(encoding="utf-8")))
    if not _is_of(result, job):
        raise UsageError(f"{job.result} is of other settings: choose another -o, or remove it.")
    return result


def _trained(job: Job) -> Result:
    torch.set_num_threads(1)
    job.result.parent.mkdir(parents=True, exist_ok=True)
    training, scored = sources(job.data, job.held_out)
    trainer = Trainer(_model(job, training), job.preset.train, training)
    started = time.process_time()
    for _ in range(job.preset.train.num_steps):
        trainer.run_step()
    seconds = time.process_time() - started
    trainer.close()
    if job.held_out:
        truth = truth_of(scored.videos, scored.classes)
    else:
        truth = read_truth(job.data.annotations, job.data.test)
    predictions = list(predict_videos(trainer.model, scored))
    rules = _rules(job, trainer.model, training)
    videos = np.stack([prediction.pooled_scores() for prediction in predictions])
    labels = np.stack([label_vector(video.labels, scored.classes) for video in scored.videos])
    outputs: dict[str, list[float]] = {}
    if job.outputs_rule is not None:
        alone = rule_alone(rules[job.outputs_rule])
        for name, curves in outputs_alone(trainer.model, predictions).items():
            outputs |= _maps(job, curves, {name: alone}, truth)
    return Result(
        map=_maps(job, predictions, rules, truth),
        classification_map=evaluate_classification(videos, labels).map_percent,
        training_seconds=seconds,
        outputs=outputs,
        **_description(job),
    )


def _model(job: Job, training: FeatureDataset) -> ModelConfig:
    settings = job.preset.model
    streams = _kept_open(job.data.features)[0].info(training.videos[0].name).streams
    settings = replace(
        settings, method=with_streams(settings.method, [stream.size for stream in streams])
    )
    return settings.on(
        classes=training.classes,
        sampling=training.sampling(0),
        features=FeatureInput(size=training.feature_size),
    )


def _is_of(result: Result, job: Job) -> bool:
    """Whether a stored result is of the job's settings; those that came later are as they start."""
    wanted = _description(job)
    usual = json.loads(
        json.dumps(
            {
                "method": asdict(type(job.preset.model.method)()),
                "train": asdict(_on_cpu(TrainConfig())),
            }
        )
    )
    return (wanted["row"], wanted["setting"]) == (result.row, result.setting) and all(
        usual[record] | getattr(result, record) == wanted[record] for record in usual
    )


def _on_cpu(train: TrainConfig) -> TrainConfig:
    return with_precision(train, torch.device("cpu"))


def _description(job: Job) -> dict[str, Any]:
    """What a result must be of, as JSON has it."""
    description = {
        "row": job.row,
        "setting": None if job.setting is None else asdict(job.setting),
        "method": asdict(job.preset.model.method),
        "train": asdict(_on_cpu(job.preset.train)),
    }
    known: dict[str, Any] = json.loads(json.dumps(description))
    return known


def sources(data: Data, held_out: Sequence[str] = ()) -> tuple[FeatureDataset, FeatureDataset]:
    """Videos to train on and videos to score, out of those that have features."""
    annotations = read_annotations(data.annotations)
    reader, cache = _kept_open(data.features)
    training, test = (
        [video for video in annotations.subset(subset) if video.name in set(reader.names)]
        for subset in (data.training, data.test)
    )
    if held_out:
        test = [video for video in training if video.name in held_out]
        training = [video for video in training if video.name not in held_out]
    return (
        FeatureDataset(reader, training, annotations.classes, cache=cache),
        FeatureDataset(reader, test, annotations.classes, cache=cache),
    )


@functools.cache
def _kept_open(features: Path) -> tuple[FeatureReader, KeptFeatures]:
    """Features, and all of them that were read."""
    return open_features(features), KeptFeatures(sys.maxsize, torch.device("cpu"))


def _maps(
    job: Job,
    predictions: Sequence[VideoPrediction],
    rules: Mapping[str, Rule],
    truth: Truth,
) -> dict[str, list[float]]:
    """mAP in percent at TIOU by rule."""
    maps: dict[str, list[float]] = {}
    # Where snippets are long, several lengths in seconds are one in snippets.
    known: dict[Rule, list[float]] = {}
    for name, rule in rules.items():
        if rule not in known:
            segments = find_segments(predictions, truth.classes, rule)
            found = score_segments(segments, truth, job.data.protocol, TIOU)
            known[rule] = [float(value) for value in found.map_percent]
        maps[name] = known[rule]
    return maps


def _rules(job: Job, model: WeakDetector, training: FeatureDataset) -> dict[str, Rule]:
    """The rules that are tried, by name; the row's own last."""
    predictions = list(predict_videos(model, training))
    labels = np.stack([label_vector(video.labels, training.classes) for video in training.videos])
    rules: dict[str, Rule] = {}
    for name in job.rules:
        kind, seconds = name.removesuffix(" s").split(", ")
        snippets = smoothing_snippets(float(seconds), training.sampling(0))
        if kind == "many":
            rules[name] = MultiThresholdRule(smoothing_snippets=snippets)
        else:
            calibration = calibrate(
                predictions, labels.astype(np.float64), smoothing_snippets=snippets
            )
            rules[name] = calibration.detection
    if job.own_rule:
        rules[OWN_RULE] = replace(
            model.config.proposals
            or calibrate(predictions, labels.astype(np.float64), smoothing_snippets=1).detection,
            smoothing_snippets=model.config.smoothing_snippets,
        )
    return rules
