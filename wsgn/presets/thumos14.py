"""THUMOS14 on feature files."""

from __future__ import annotations

from wsgn.config import TrainConfig
from wsgn.methods.config import WsgnConfig
from wsgn.presets.preset import Preset

THUMOS14 = Preset(
    description="THUMOS14 on features such as I3D",
    method=WsgnConfig(),
    train=TrainConfig(
        num_steps=2000,
        batch_videos=16,
        thinning=1,
        learning_rate=1e-4,
        gradient_clip=5.0,
    ),
    dropout=0.5,
)
