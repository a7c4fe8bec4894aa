"""Names that documents hold, each set in one place."""

from __future__ import annotations

FORMAT_VERSION = 1
METADATA_KEY = "wsgn.manifest"

# The paper's: eq. 3, eq. 5, eq. 7.
COMPONENTS = ("local_gaussian", "global_gaussian", "temporal_softmax")
# A snippet's own weight, sigmoid(x), as in STPN; it stands alone.
ATTENTION = "attention"
SELECTIONS = (*COMPONENTS, ATTENTION)
# What a component's weights are scaled to: mean 1 over the video (the weighted average of the
# probabilities), or each as its equation stands (eq. 2).
AVERAGE, PER_FRAME = "average", "per_frame"
WEIGHT_SCALES = (AVERAGE, PER_FRAME)
# Of the temporal softmax under PER_FRAME.
SOFTMAX_SCALES = ("sum_one", "mean_one", "max_one")
# With SOFT_GATE, which is for scoring only: m / (m + GATE_HALF) for m the mean_one weight.
SOFT_GATE = "soft_gate"
SCORING_SCALES = (*SOFTMAX_SCALES, SOFT_GATE)
# The share of an even spread of weight at which the soft gate is half open.
GATE_HALF = 0.1
# What becomes of a weight w before it meets the probability: w; min(w, 1); w / (w + level);
# 1 or 0 as w reaches the level; the PER_FRAME weight at max_one.
GATES = ("none", "cut", "soft", "hard", "product")
CLASS_ACTIVATIONS = ("softmax", "sigmoid")
# Class logits as they are: top-k pooling scores with them.
IDENTITY = "identity"
ACTIVATIONS = (*CLASS_ACTIVATIONS, IDENTITY)
# How a video's score is pooled of its snippets, of what, and what is applied to it.
POOLINGS = ("frame_scores", "weighted", "top")
POOLED = ("probabilities", "logits")
VIDEO_ACTIVATIONS = ("none", "sigmoid", "softmax")
RESIZE_MODES = ("stretch", "centre_crop")
# How optical flow is computed, by OpenCV: as published for I3D, or far faster.
FLOW_METHODS = ("tvl1", "dis")
# What an engine's graph computes: logits of snippets, which is what wsgn-run takes, scores of whole
# videos, or scores of streams whose state goes in and out.
GRAPHS = ("snippet", "whole-video", "streaming")
# What an engine was trained on, in its provenance, where nothing of it was filmed.
SYNTHETIC = ("synthetic videos", "synthetic features")
