"""The rows of the tables of methods: what each trains, and the grid that is searched for it."""

from __future__ import annotations

import itertools
from dataclasses import dataclass, replace

from wsgn.config import ModelSettings, TrainConfig
from wsgn.errors import UsageError
from wsgn.manifest import COMPONENTS
from wsgn.methods.config import (
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


def _wsgn(*components: str) -> WsgnConfig:
    return WsgnConfig(components=components)


def _part(*components: str) -> Row:
    """A part of the paper's model, with the settings of the whole."""
    return Row(method=_wsgn(*components), like="complete")


# The main table.
ROWS: dict[str, Row] = {
    "naive": Row(method=_wsgn()),
    "complete": Row(method=WsgnConfig()),
    "naive, sigmoid": Row(method=WsgnConfig(components=(), class_activation="sigmoid")),
    "UntrimmedNets": Row(method=UntrimmedNetsConfig(), like="UntrimmedNets, soft gate"),
    "UntrimmedNets, soft gate": Row(method=UntrimmedNetsConfig(gate="soft")),
    "STPN": Row(method=StpnConfig(), like="STPN, from 1"),
    "STPN, from 1": Row(method=StpnConfig(initial_attention_logit=3.0)),
    "W-TALC, top-k": Row(method=WtalcConfig(coactivity_weight=0.0)),
    "W-TALC, top-k, sigmoid": Row(method=WtalcConfig(coactivity_weight=0.0, loss="sigmoid")),
    "W-TALC": Row(method=WtalcConfig(), pairs=3, like="W-TALC, top-k"),
    "BaS-Net": Row(method=BasnetConfig()),
    "CO2-Net": Row(method=Co2netConfig()),
    "wsgn+": Row(method=_PLUS),
    "supervised": Row(method=_wsgn(), supervision="frame"),
    "supervised, complete": Row(method=WsgnConfig(), supervision="frame", like="supervised"),
}

# The paper's table 2.
PARTS: dict[str, Row] = {
    "SLoc": _part(_SOFTMAX),
    "ZLoc": _part(_LOCAL),
    "GLoc": _part(_GLOBAL),
    "SLoc + ZLoc": _part(_SOFTMAX, _LOCAL),
    "SLoc + GLoc": _part(_SOFTMAX, _GLOBAL),
    "ZLoc + GLoc": _part(_LOCAL, _GLOBAL),
}

KNOWN = ROWS | PARTS


def rows_named(names: list[str] | None) -> dict[str, Row]:
    """The rows of these names, all of the main table by default. Raises `UsageError`."""
    for name in names or ():
        if name not in KNOWN:
            raise UsageError(f"there is no row '{name}'; there are {', '.join(KNOWN)}.")
    return {name: KNOWN[name] for name in names or ROWS}
