"""wsgn+: beyond the paper, on features.

Class-wise attention (the temporal softmax with an average weight of 1 in training), linear heads,
and frame scores in which that attention is a soft gate on the class probabilities; docs/results.md
has the measurements that led there.
"""

from __future__ import annotations

from wsgn.config import TrainConfig
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.methods.config import WsgnConfig
from wsgn.presets.preset import Preset

WSGN_PLUS = Preset(
    description="wsgn+, beyond the paper: attention as a soft gate, linear heads",
    method=WsgnConfig(
        components=("temporal_softmax",),
        softmax_scale="mean_one",
        scoring_softmax_scale="soft_gate",
        hidden_layer=False,
    ),
    train=TrainConfig(num_steps=800, batch_videos=16, thinning=2, learning_rate=1e-2),
    standardise=True,
    dropout=0.0,
    smoothing_snippets=3,
    proposals=MultiThresholdRule(),
)
