"""Charades on feature files: 157 classes, many of them at the same time."""

from __future__ import annotations

from wsgn.config import TrainConfig
from wsgn.methods.config import WsgnConfig
from wsgn.presets.preset import Preset

CHARADES = Preset(
    description="Charades on features such as I3D; not tried on the real dataset yet",
    # Several classes share a frame, which a softmax over classes cannot say.
    method=WsgnConfig(class_activation="sigmoid"),
    train=TrainConfig(num_steps=10000, batch_videos=32, thinning=1, learning_rate=1e-4),
    dropout=0.5,
)
