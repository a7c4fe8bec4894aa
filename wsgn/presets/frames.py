"""A small network on single frames, trained from pixels and nothing else on a CPU.

docs/features.md has what it reaches beside chance, and what lone frames do not.
"""

from __future__ import annotations

from wsgn.backbones.config import CompactConfig
from wsgn.config import TrainConfig
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.methods.config import WtalcConfig
from wsgn.presets.preset import Preset

FRAMES = Preset(
    description="a small network on single frames, end to end on a CPU; give --frame-rate 5, "
    "--snippet-length 5, --snippet-stride 2, --height 24 and --width 32",
    backbone=CompactConfig(frame_by_frame=True, channels=(32, 64, 64, 96)),
    # Top-k pooling alone: the co-activity loss needs pairs. More dropout leaves too little of the
    # few features.
    method=WtalcConfig(coactivity_weight=0.0, dropout=0.3),
    train=TrainConfig(num_steps=1000, batch_videos=8, thinning=4, learning_rate=2e-3),
    proposals=MultiThresholdRule(smoothing_snippets=5),
)
