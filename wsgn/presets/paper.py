"""The paper as it stands in print: section 4's settings, eq. 7 unscaled, its rule for segments."""

from __future__ import annotations

from dataclasses import replace

from wsgn.config import TrainConfig
from wsgn.methods.config import WsgnConfig
from wsgn.presets.preset import Preset

_BATCH_VIDEOS = 128
_EPOCHS = 80

_METHOD = WsgnConfig(softmax_scale="sum_one", scoring_softmax_scale="sum_one")
_TRAIN = TrainConfig(
    # Two updates for 200 videos, 80 times.
    num_steps=_EPOCHS * 2,
    batch_videos=_BATCH_VIDEOS,
    # About four videos of 3.5 minutes at every 5th of 25 frames per second: the paper's sub-batch.
    accumulate_snippets=4200,
    thinning=5,
    start_range=15,
    learning_rate=1e-4,
    weight_decay=5e-4,
    schedule="constant",
    warmup_steps=0,
    gradient_clip=0,
)

PAPER_THUMOS14 = Preset(
    description="the literal paper on THUMOS14 (I3D features)",
    method=_METHOD,
    train=_TRAIN,
    dropout=0.8,
    time_unit="frame",
    smoothing_snippets=1,
    peak_gate=0,
)

PAPER_THUMOS14_CASL = replace(
    PAPER_THUMOS14,
    description="the literal paper on THUMOS14 with the co-activity loss",
    method=replace(_METHOD, coactivity_weight=0.5),
    train=replace(_TRAIN, batch_pairs=3),
)

PAPER_CHARADES = replace(
    PAPER_THUMOS14,
    description="the literal paper on Charades (I3D features)",
    # 63 updates for 7,985 videos, 80 times.
    train=replace(_TRAIN, num_steps=_EPOCHS * 63),
)
