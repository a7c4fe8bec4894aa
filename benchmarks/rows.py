"""The rows of the tables of methods: what each trains, and the grid that is searched for it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace
from typing import Any

from wsgn.config import ModelSettings, TrainConfig
from wsgn.errors import UsageError
from wsgn.manifest import AVERAGE, COMPONENTS, PER_FRAME
from wsgn.methods.config import (
    SCORINGS,
    BasnetConfig,
    Co2netConfig,
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.presets import PRESETS, Preset

_LOCAL, _GLOBAL, _SOFTMAX = COMPONENTS
_PLUS = PRESETS["wsgn+"].model.method
assert isinstance(_PLUS, WsgnConfig)


@dataclass(frozen=True, kw_only=True)
class Setting:
    """What the search chooses for a row; the grid is the same for all."""

    learning_rate: float
    weight_decay: float
    # Of the features in training.
    dropout: float
    # A hidden layer in each head, or one that a method's linear layers share.
    hidden_layer: bool

    def __str__(self) -> str:
        heads = "hidden" if self.hidden_layer else "linear"
        return f"{self.learning_rate:g}, {self.weight_decay:g}, {self.dropout:g}, {heads}"


# Weight decay stands beside losses that are means over classes and others that are sums: the same
# figure is some 20 times as strong beside the former. Of the 24 combinations of these values, 12 in
# which any value of one meets any of another.
_VALUES = ((1e-3, 3e-3, 1e-2), (5e-4, 1e-2), (0.0, 0.6), (True, False))
GRID = tuple(
    Setting(
        learning_rate=_VALUES[0][rate],
        weight_decay=_VALUES[1][decay],
        dropout=_VALUES[2][dropout],
        hidden_layer=_VALUES[3][layers],
    )
    for rate, decay, dropout, layers in itertools.product(range(3), range(2), range(2), range(2))
    if (rate + decay + dropout + layers) % 2 == 0
)


@dataclass(frozen=True, kw_only=True)
class Row:
    """One line of a table."""

    method: MethodConfig
    # Pairs of videos in a batch, for the co-activity loss.
    pairs: int = 0
    supervision: str = "video"
    # A preset that is taken as it is: nothing is searched, the rule for segments is its own.
    fixed: Preset | None = None
    # The row whose settings and rule are taken, where they are not searched.
    like: str | None = None

    def preset(self, setting: Setting | None, *, steps: int, thinning: int, seed: int) -> Preset:
        """What is trained; a fixed row has no setting, and its own steps and thinning."""
        if self.fixed is not None:
            return replace(self.fixed, train=replace(self.fixed.train, seed=seed))
        assert setting is not None
        method = replace(self.method, hidden_layer=setting.hidden_layer)
        return Preset(
            description="",
            model=ModelSettings(method=method, standardise=True, dropout=setting.dropout),
            train=TrainConfig(
                num_steps=steps,
                batch_videos=16,
                batch_pairs=self.pairs,
                thinning=thinning,
                learning_rate=setting.learning_rate,
                weight_decay=setting.weight_decay,
                supervision=self.supervision,
                seed=seed,
            ),
        )


def _wsgn(*components: str, weight_scale: str = AVERAGE) -> WsgnConfig:
    return WsgnConfig(components=components, weight_scale=weight_scale)


def _parts(weight_scale: str, words: str) -> dict[str, Row]:
    """The parts of the paper's model, with the settings of the whole."""
    chosen = {
        "SLoc": (_SOFTMAX,),
        "ZLoc": (_LOCAL,),
        "GLoc": (_GLOBAL,),
        "SLoc + ZLoc": (_SOFTMAX, _LOCAL),
        "SLoc + GLoc": (_SOFTMAX, _GLOBAL),
        "ZLoc + GLoc": (_LOCAL, _GLOBAL),
    }
    return {
        f"{name}{words}": Row(method=_wsgn(*components, weight_scale=weight_scale), like="complete")
        for name, components in chosen.items()
    }


# The main table. "Per frame" is eq. 2 to the letter, else weights are a weighted average.
ROWS: dict[str, Row] = {
    "wsgn": Row(method=PRESETS["wsgn"].model.method, fixed=PRESETS["wsgn"]),
    "wsgn+": Row(method=_PLUS),
    "complete": Row(method=WsgnConfig()),
    "complete, per frame": Row(method=WsgnConfig(weight_scale=PER_FRAME), like="complete"),
    "naive": Row(method=_wsgn()),
    "naive, sigmoid": Row(
        method=WsgnConfig(components=(), class_activation="sigmoid"), like="naive"
    ),
    "UntrimmedNets": Row(method=UntrimmedNetsConfig(), like="UntrimmedNets, soft gate"),
    "UntrimmedNets, soft gate": Row(method=UntrimmedNetsConfig(gate="soft")),
    "STPN": Row(method=StpnConfig(), like="STPN, from 1"),
    "STPN, from 1": Row(method=StpnConfig(initial_attention_logit=3.0)),
    "W-TALC": Row(method=WtalcConfig(), pairs=3, like="W-TALC, top-k"),
    "W-TALC, top-k": Row(method=WtalcConfig(coactivity_weight=0.0)),
    "W-TALC, top-k, sigmoid": Row(method=WtalcConfig(coactivity_weight=0.0, loss="sigmoid")),
    "BaS-Net": Row(method=BasnetConfig()),
    "CO2-Net": Row(method=Co2netConfig()),
    "supervised": Row(method=_wsgn(), supervision="frame"),
    "supervised, complete": Row(
        method=WsgnConfig(weight_scale=PER_FRAME), supervision="frame", like="supervised"
    ),
}

# The paper's table 2, and other frame scores of the complete model.
PARTS = (
    _parts(AVERAGE, "")
    | _parts(PER_FRAME, ", per frame")
    | {
        f"complete, {scoring.replace('_', ' ')}": Row(
            method=WsgnConfig(scoring=scoring), like="complete"
        )
        for scoring in SCORINGS[1:]
    }
)


def _changed(*, dropout: float | None = None, smooth: bool = True, **method: Any) -> Row:
    """The preset wsgn with one thing changed; nothing is searched."""
    preset = PRESETS["wsgn"]
    assert isinstance(preset.model.method, WsgnConfig)
    model = replace(preset.model, method=replace(preset.model.method, **method))
    if dropout is not None:
        model = replace(model, dropout=dropout)
    train = preset.train if smooth else replace(preset.train, loss_smoothing_seconds=0.0)
    return Row(method=model.method, fixed=replace(preset, model=model, train=train))


# What each part of the preset contributes.
ABLATION: dict[str, Row] = {
    "wsgn, without its peaks": _changed(peak_weight=0.0),
    "wsgn, top-k peaks": _changed(peak_pooling="top_k"),
    "wsgn, plain mean for the selection": _changed(components=()),
    "wsgn, selection by z": _changed(components=(_LOCAL,)),
    "wsgn, selection by l": _changed(components=(_GLOBAL,)),
    "wsgn, selection by s": _changed(components=(_SOFTMAX,)),
    "wsgn, no smoothing in the loss": _changed(smooth=False),
    "wsgn, dropout 0.7": _changed(dropout=0.7),
    "wsgn, no dropout": _changed(dropout=0.0),
    "wsgn, linear": _changed(hidden_layer=False),
    "wsgn, scored with a soft gate": _changed(scoring="soft_gate"),
}

KNOWN = ROWS | PARTS | ABLATION


def rows_named(names: list[str] | None) -> dict[str, Row]:
    """The rows of these names, all of the main table by default. Raises `UsageError`."""
    for name in names or ():
        if name not in KNOWN:
            raise UsageError(f"there is no row '{name}'; there are {', '.join(KNOWN)}.")
    return {name: KNOWN[name] for name in names or ROWS}
