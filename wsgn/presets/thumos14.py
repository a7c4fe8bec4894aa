"""THUMOS14 on feature files, with the settings that a search on synthetic features chose."""

from __future__ import annotations

from wsgn.config import TrainConfig
from wsgn.methods.config import WsgnConfig
from wsgn.presets.preset import Preset

THUMOS14 = Preset(
    description="WSGN with all components on features such as I3D",
    method=WsgnConfig(),
    train=TrainConfig(num_steps=800, batch_videos=16, thinning=2, learning_rate=1e-3),
    standardise=True,
    dropout=0.5,
    smoothing_snippets=3,
)
