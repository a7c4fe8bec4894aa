"""The rows of benchmarks/synthetic_thumos14.py: one preset each, with one budget for all."""

from __future__ import annotations

from dataclasses import replace

from wsgn.config import ModelSettings, TrainConfig
from wsgn.manifest import COMPONENTS
from wsgn.methods.config import (
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.presets import Preset, preset

# Every row's budget.
BUDGET = TrainConfig(num_steps=800, batch_videos=16, thinning=2)

_LOCAL, _GLOBAL, _SOFTMAX = COMPONENTS
_CASL = WsgnConfig(coactivity_weight=0.5)
_PLUS = preset("wsgn+").model.method
assert isinstance(_PLUS, WsgnConfig)


def row(method: MethodConfig, *, pairs: int = 0, supervision: str = "video") -> Preset:
    """A preset of the table; the budget is the same for all."""
    train = replace(BUDGET, batch_pairs=pairs, supervision=supervision)
    model = ModelSettings(method=method, standardise=True)
    return Preset(description="", model=model, train=train)


def plus(method: WsgnConfig = _PLUS, *, pairs: int = 0) -> Preset:
    """wsgn+, or a change of its method, at that budget."""
    model = replace(preset("wsgn+").model, method=method)
    return Preset(description="", model=model, train=replace(BUDGET, batch_pairs=pairs))


def wsgn(*components: str) -> WsgnConfig:
    """WSGN with some of its components."""
    return WsgnConfig(components=components)


ROWS = {
    "naive": row(wsgn()),
    "SLoc": row(wsgn(_SOFTMAX)),
    "ZLoc": row(wsgn(_LOCAL)),
    "GLoc": row(wsgn(_GLOBAL)),
    "SLoc + ZLoc": row(wsgn(_SOFTMAX, _LOCAL)),
    "SLoc + GLoc": row(wsgn(_SOFTMAX, _GLOBAL)),
    "ZLoc + GLoc": row(wsgn(_LOCAL, _GLOBAL)),
    "complete": row(WsgnConfig()),
    "complete + CASL": row(_CASL, pairs=3),
    "supervised": row(WsgnConfig(), supervision="frame"),
    "UntrimmedNets": row(UntrimmedNetsConfig()),
    "STPN": row(StpnConfig()),
    "W-TALC, top-k": row(WtalcConfig(coactivity_weight=0.0)),
    "W-TALC": row(WtalcConfig(), pairs=3),
    "wsgn+": plus(),
}
# Other settings of the open points, not part of the main table.
EXTRA_ROWS = {
    "complete, mean_one": row(WsgnConfig(softmax_scale="mean_one")),
    "complete, mean_one, scored so": row(
        WsgnConfig(softmax_scale="mean_one", scoring_softmax_scale="mean_one")
    ),
    "complete, sum_one (paper)": row(
        WsgnConfig(softmax_scale="sum_one", scoring_softmax_scale="sum_one")
    ),
    "SLoc, mean_one": row(WsgnConfig(components=(_SOFTMAX,), softmax_scale="mean_one")),
    "SLoc, sum_one (paper)": row(
        WsgnConfig(
            components=(_SOFTMAX,), softmax_scale="sum_one", scoring_softmax_scale="sum_one"
        ),
    ),
    "complete, s = 0.5": row(WsgnConfig(initial_std=0.5)),
    "complete, s = 2": row(WsgnConfig(initial_std=2.0)),
    "complete, sigmoid": row(WsgnConfig(class_activation="sigmoid")),
    "complete, linear heads": row(WsgnConfig(hidden_layer=False)),
    "naive, linear heads": row(WsgnConfig(components=(), hidden_layer=False)),
    "wsgn+, hidden layer": plus(replace(_PLUS, hidden_layer=True)),
    "wsgn+, product": plus(replace(_PLUS, scoring_softmax_scale="max_one")),
    "wsgn+, all components": plus(replace(_PLUS, components=COMPONENTS)),
    "wsgn+ with CASL": plus(replace(_PLUS, coactivity_weight=0.5), pairs=3),
}

# Learning rate and dropout of each row: the best of the search (--tune).
TUNED: dict[str, tuple[float, float]] = {
    "naive": (0.001, 0.5),
    "SLoc": (0.003, 0.5),
    "ZLoc": (0.003, 0.5),
    "GLoc": (0.001, 0.5),
    "SLoc + ZLoc": (0.003, 0.5),
    "SLoc + GLoc": (0.001, 0.5),
    "ZLoc + GLoc": (0.003, 0.5),
    "complete": (0.001, 0.5),
    "complete + CASL": (0.01, 0.5),
    "supervised": (0.01, 0.5),
    "UntrimmedNets": (0.003, 0.5),
    "STPN": (0.003, 0.0),
    "W-TALC, top-k": (0.003, 0.0),
    "W-TALC": (0.003, 0.0),
    "wsgn+": (0.01, 0.0),
}


def settings(name: str) -> tuple[float, float]:
    """Learning rate and dropout of a row; those of the open points take their parent's."""
    if "linear heads" in name:
        return TUNED["wsgn+"]
    parents = [key for key in TUNED if name == key or name.startswith((f"{key},", f"{key} with"))]
    return TUNED[max(parents, key=len)]
