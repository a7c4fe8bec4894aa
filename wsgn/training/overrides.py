"""Options of `wsgn-train` that replace a value of the preset."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass, fields, replace
from typing import Any

from wsgn.backbones.config import BackboneConfig
from wsgn.config import PRECISIONS, SCHEDULES, TIME_UNITS, TrainConfig
from wsgn.errors import UsageError
from wsgn.extraction.config import BACKBONES
from wsgn.manifest import CLASS_ACTIVATIONS, SCORING_SCALES, SOFTMAX_SCALES
from wsgn.methods.config import (
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.presets import Preset, preset

# I3D on optical flow takes features only.
TRAINED_BACKBONES = {name: config for name, config in BACKBONES.items() if name != "i3d-flow"}

METHODS: dict[str, MethodConfig] = {
    method.name: method
    for method in (WsgnConfig(), UntrimmedNetsConfig(), StpnConfig(), WtalcConfig())
}


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option that replaces one field of the preset, of its method or of its training."""

    flag: str
    field: str
    kind: type
    words: str
    choices: Sequence[str] | None = None

    @property
    def name(self) -> str:
        """The attribute that argparse gives it."""
        return self.flag.removeprefix("--").replace("-", "_")


MODEL_OPTIONS = (
    Option(
        flag="--softmax-scale",
        field="softmax_scale",
        kind=str,
        words="of the temporal softmax in training; sum_one is the paper",
        choices=SOFTMAX_SCALES,
    ),
    Option(
        flag="--scoring-softmax-scale",
        field="scoring_softmax_scale",
        kind=str,
        words="of the temporal softmax when frames are scored",
        choices=SCORING_SCALES,
    ),
    Option(
        flag="--class-activation",
        field="class_activation",
        kind=str,
        words="sigmoid for data in which classes share a frame",
        choices=CLASS_ACTIVATIONS,
    ),
    Option(
        flag="--coactivity-weight",
        field="coactivity_weight",
        kind=float,
        words="of the co-activity loss; needs --batch-pairs",
    ),
    Option(flag="--dropout", field="dropout", kind=float, words="share of the features dropped"),
    Option(
        flag="--time-unit",
        field="time_unit",
        kind=str,
        words="score snippets, or frames between which features are interpolated",
        choices=TIME_UNITS,
    ),
    Option(flag="--scoring-step", field="scoring_step", kind=int, words="score every n-th frame"),
    Option(
        flag="--smoothing-snippets",
        field="smoothing_snippets",
        kind=int,
        words="scores averaged before segments are cut",
    ),
)

TRAINING_OPTIONS = (
    Option(flag="--steps", field="num_steps", kind=int, words="updates"),
    Option(flag="--batch-videos", field="batch_videos", kind=int, words="videos in an update"),
    Option(
        flag="--batch-pairs", field="batch_pairs", kind=int, words="so many pairs share a class"
    ),
    Option(
        flag="--accumulate-snippets",
        field="accumulate_snippets",
        kind=int,
        words="accumulate gradients over parts of so many snippets; 0: the batch at once",
    ),
    Option(
        flag="--backbone-snippets",
        field="backbone_snippets",
        kind=int,
        words="snippets through the backbone at a time, to save memory; 0: all",
    ),
    Option(flag="--thinning", field="thinning", kind=int, words="train on every n-th snippet"),
    Option(
        flag="--start-range", field="start_range", kind=int, words="its start is random below this"
    ),
    Option(flag="--learning-rate", field="learning_rate", kind=float, words="of Adam"),
    Option(flag="--weight-decay", field="weight_decay", kind=float, words="of Adam"),
    Option(
        flag="--schedule",
        field="schedule",
        kind=str,
        words="of the learning rate after the warm-up",
        choices=SCHEDULES,
    ),
    Option(flag="--warmup-steps", field="warmup_steps", kind=int, words="updates of warm-up"),
    Option(
        flag="--gradient-clip", field="gradient_clip", kind=float, words="largest norm; 0: none"
    ),
    Option(
        flag="--precision",
        field="precision",
        kind=str,
        words="of the matrix products",
        choices=PRECISIONS,
    ),
    Option(
        flag="--checkpoint-every",
        field="checkpoint_every",
        kind=int,
        words="updates between two checkpoints",
    ),
    Option(flag="--seed", field="seed", kind=int, words="of everything random"),
)


def chosen_preset(arguments: argparse.Namespace) -> Preset:
    """The preset with everything that the user said otherwise."""
    chosen = preset(arguments.preset)
    if arguments.method not in (None, chosen.method.name):
        chosen = replace(chosen, method=METHODS[arguments.method])
    method: dict[str, Any] = {}
    if arguments.components is not None:
        names = arguments.components
        method["components"] = () if names == "none" else tuple(names.split(","))
    outer: dict[str, Any] = {}
    own = {field.name for field in fields(chosen)}
    for option, value in _given(arguments, MODEL_OPTIONS):
        (outer if option.field in own else method)[option.field] = value
    _require_fields(chosen.method, method)
    if "smoothing_snippets" in outer and chosen.proposals is not None:
        outer["proposals"] = replace(
            chosen.proposals, smoothing_snippets=outer["smoothing_snippets"]
        )
    return replace(
        chosen,
        backbone=_backbone(chosen.backbone, arguments),
        method=replace(chosen.method, **method),
        train=_train_config(chosen.train, arguments),
        **outer,
    )


def _backbone(default: BackboneConfig, arguments: argparse.Namespace) -> BackboneConfig:
    chosen = default if arguments.backbone is None else TRAINED_BACKBONES[arguments.backbone]
    values: dict[str, Any] = {}
    if arguments.frozen_stages is not None:
        values["frozen_stages"] = arguments.frozen_stages
    if arguments.checkpoint_gradients:
        values["checkpoint_gradients"] = True
    known = {field.name for field in fields(chosen)}
    for name in values:
        if name not in known:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} has no meaning for the backbone '{chosen.name}'.")
    return replace(chosen, **values)


def _train_config(default: TrainConfig, arguments: argparse.Namespace) -> TrainConfig:
    values = {option.field: value for option, value in _given(arguments, TRAINING_OPTIONS)}
    if arguments.supervised:
        values["supervision"] = "frame"
    if arguments.normalise_labels:
        values["normalise_labels"] = True
    if arguments.no_augment:
        values["augment"] = False
    return replace(default, **values)


def _given(arguments: argparse.Namespace, options: Sequence[Option]) -> list[tuple[Option, Any]]:
    values = ((option, getattr(arguments, option.name)) for option in options)
    return [(option, value) for option, value in values if value is not None]


def _require_fields(method: MethodConfig, values: dict[str, Any]) -> None:
    known = {field.name for field in fields(method)}
    for name in values:
        if name not in known:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} has no meaning for the method '{method.name}'.")
