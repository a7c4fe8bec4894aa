"""Fields of a preset that a user may replace, and a preset with some of them replaced."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields, replace
from typing import Any, get_type_hints

from wsgn.backbones.config import BackboneConfig
from wsgn.config import ModelSettings, TrainConfig
from wsgn.errors import UsageError
from wsgn.extraction.config import BACKBONES
from wsgn.methods.config import (
    BasnetConfig,
    Co2netConfig,
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.presets import DEFAULT_PIXEL_PRESET, DEFAULT_PRESET, PRESETS, Preset
from wsgn.support.choices import choices_of

# I3D on optical flow takes features only.
TRAINED_BACKBONES = {name: config for name, config in BACKBONES.items() if name != "i3d-flow"}

METHODS: dict[str, MethodConfig] = {
    method.name: method
    for method in (
        WsgnConfig(),
        UntrimmedNetsConfig(),
        StpnConfig(),
        WtalcConfig(),
        BasnetConfig(),
        Co2netConfig(),
    )
}


@dataclass(frozen=True, kw_only=True)
class Option:
    """An option of the command that replaces one field; its type and names are the field's."""

    flag: str
    # The configuration that has the field, and its name there.
    owner: type
    field: str
    help: str

    @property
    def name(self) -> str:
        """The attribute that a parser gives it."""
        return self.flag.removeprefix("--").replace("-", "_")

    @property
    def kind(self) -> type:
        """The type of the value."""
        kind: type = get_type_hints(self.owner)[self.field]
        return kind

    @property
    def defaults(self) -> tuple[object, object]:
        """What the default preset says, and that of pixels."""
        return self._of(PRESETS[DEFAULT_PRESET]), self._of(PRESETS[DEFAULT_PIXEL_PRESET])

    def _of(self, preset: Preset) -> object:
        for config in (preset.model.method, preset.model, preset.train):
            if isinstance(config, self.owner):
                return getattr(config, self.field)
        raise AssertionError(self.owner)

    @property
    def choices(self) -> tuple[str, ...] | None:
        """The names that it takes, where it takes names."""
        (field,) = (one for one in fields(self.owner) if one.name == self.field)
        return choices_of(field)


def _options(owner: type, table: Mapping[str, str], **flags: str) -> tuple[Option, ...]:
    """Options by field; their flags are the fields' names unless given."""
    return tuple(
        Option(
            flag=f"--{flags.get(name, name).replace('_', '-')}", owner=owner, field=name, help=words
        )
        for name, words in table.items()
    )


METHOD_OPTIONS = _options(
    WsgnConfig,
    {
        "weight_scale": "weights sum to one over a video, or each stands by itself as in eq. 2",
        "scoring": "how weights of average score frames",
        "softmax_scale": "of the temporal softmax in training under per_frame; sum_one is the "
        "paper",
        "scoring_softmax_scale": "of the temporal softmax when frames are scored, likewise",
        "class_activation": "sigmoid for data in which classes share a frame",
        "pooling": "what of the frames the loss takes the weighted mean of",
        "peak_weight": "of a second loss, on the largest logits of each class",
        "peak_pooling": "of that loss: the mean of the largest, or under their own softmax",
        "snippets_per_pick": "one of so many logits is among the largest",
        "coactivity_weight": "of the co-activity loss, which takes pairs of videos; wtalc has 0.5",
    },
)

MODEL_OPTIONS = _options(
    ModelSettings,
    {
        "dropout": "share of the features dropped",
        "time_unit": "score snippets, or frames between which features are interpolated",
        "scoring_step": "score every n-th frame",
        "smoothing_seconds": "over so long scores are averaged before segments are cut",
    },
)

# Pairs of the co-activity loss where nobody says how many (W-TALC).
_USUAL_PAIRS = 3

TRAINING_OPTIONS = _options(
    TrainConfig,
    {
        "num_steps": "updates",
        "batch_videos": "videos in an update",
        "batch_pairs": "so many pairs of them share a class; 3 where the co-activity loss "
        "is asked for",
        "accumulate_snippets": "accumulate gradients over parts of so many snippets; 0: the batch "
        "at once",
        "backbone_snippets": "snippets through the backbone at a time, to save memory; 0: all",
        "thinning": "train on every n-th snippet",
        "start_range": "its start is random below this",
        "learning_rate": "of Adam",
        "weight_decay": "of Adam",
        "loss_smoothing_seconds": "over so long logits are averaged in the loss",
        "schedule": "of the learning rate after the warm-up",
        "warmup_steps": "updates of warm-up",
        "gradient_clip": "largest norm; 0: none",
        "precision": "of the matrix products",
        "checkpoint_every": "updates between two checkpoints",
        "seed": "of everything random",
    },
    num_steps="steps",
)


def overridden(
    preset: Preset,
    *,
    method: str | None,
    backbone: str | None,
    model_fields: Mapping[str, Any],
    method_fields: Mapping[str, Any],
    backbone_fields: Mapping[str, Any],
    train_fields: Mapping[str, Any],
) -> Preset:
    """The preset with another method or backbone (of METHODS, of TRAINED_BACKBONES), and fields.

    Raises `UsageError` for a field that the method or the backbone does not have.
    """
    settings = preset.model
    chosen_method = settings.method
    if method not in (None, chosen_method.name):
        chosen_method = METHODS[method]
    chosen_backbone = settings.backbone if backbone is None else TRAINED_BACKBONES[backbone]
    _require_fields(chosen_method, method_fields, what="method")
    _require_fields(chosen_backbone, backbone_fields, what="backbone")
    chosen_method = replace(chosen_method, **method_fields)
    _require_meaning(chosen_method, method_fields)
    train = replace(preset.train, **_with_pairs(preset, chosen_method, train_fields))
    return replace(
        preset,
        model=replace(
            settings,
            backbone=replace(chosen_backbone, **backbone_fields),
            method=chosen_method,
            **model_fields,
        ),
        train=train,
    )


def with_flags(sentence: str) -> str:
    """A sentence about fields of the configuration, in the words of the command line."""
    for option in (*METHOD_OPTIONS, *MODEL_OPTIONS, *TRAINING_OPTIONS):
        # A field of one word is an ordinary word, except where a sentence is about its value.
        place = rf"\b{option.field}\b" if "_" in option.field else rf"^{option.field}(?= must )"
        sentence = re.sub(place, option.flag, sentence)
    return sentence


def _with_pairs(
    preset: Preset, method: MethodConfig, train_fields: Mapping[str, Any]
) -> Mapping[str, Any]:
    """The fields of the training, with pairs where the method's loss wants them and nobody chose.

    They are as many as a batch has room for: none in one of a single video, which is then refused.
    """
    wants = getattr(method, "coactivity_weight", 0.0) > 0 and preset.train.batch_pairs == 0
    if not wants or "batch_pairs" in train_fields:
        return train_fields
    room = train_fields.get("batch_videos", preset.train.batch_videos) // 2
    return {**train_fields, "batch_pairs": max(0, min(_USUAL_PAIRS, room))}


def _require_meaning(method: MethodConfig, given: Mapping[str, Any]) -> None:
    """Refuse what the scale of the weights would leave unused."""
    if not isinstance(method, WsgnConfig):
        return
    unused: tuple[str, ...] = ("softmax_scale", "scoring_softmax_scale")
    if not method.weighs_average:
        unused = () if method.scoring == "probabilities" else ("scoring",)
    for name in unused:
        if name in given:
            raise UsageError(
                f"{name} has no meaning under weight_scale {method.weight_scale}"
                f"{'' if method.components else ' without components'}."
            )


def _require_fields(
    config: MethodConfig | BackboneConfig, values: Mapping[str, Any], *, what: str
) -> None:
    known = {field.name for field in fields(config)}
    for name in values:
        if name not in known:
            flag = f"--{name.replace('_', '-')}"
            raise UsageError(f"{flag} has no meaning for the {what} '{config.name}'.")
