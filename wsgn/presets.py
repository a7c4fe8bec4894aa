"""Presets of `wsgn-train --preset`: templates of the configuration, without what a dataset brings.

docs/training.md says what each is for, and docs/results.md has the measurements behind them.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from wsgn.backbones.config import CompactConfig, ResNetConfig
from wsgn.config import ModelSettings, TrainConfig
from wsgn.errors import UsageError
from wsgn.manifest import PER_FRAME, MultiThresholdRule
from wsgn.methods.config import WsgnConfig, WtalcConfig


@dataclass(frozen=True, kw_only=True)
class Preset:
    """Settings that belong together: everything about a training but the dataset."""

    # A line for people who choose.
    description: str
    # Whether a backbone is trained on the pixels of videos, in place of layers on features.
    on_pixels: bool = False
    model: ModelSettings = field(default_factory=ModelSettings)
    train: TrainConfig = field(default_factory=TrainConfig)


# Its figures in docs/results.md are of weights per frame.
_VIDEOS = Preset(
    description="pixels through the compact backbone, for drawn videos and small devices",
    on_pixels=True,
    model=ModelSettings(method=WsgnConfig(weight_scale=PER_FRAME)),
)

# docs/features.md has what it reaches beside chance, and what lone frames do not.
_FRAMES = Preset(
    description="a small network on single frames, end to end on a CPU; give --frame-rate 5, "
    "--snippet-length 5, --snippet-stride 2, --height 24 and --width 32",
    on_pixels=True,
    model=ModelSettings(
        backbone=CompactConfig(frame_by_frame=True, channels=(32, 64, 64, 96)),
        # Top-k pooling alone: the co-activity loss needs pairs. More dropout leaves too little of
        # the few features.
        method=WtalcConfig(coactivity_weight=0.0, dropout=0.3),
        proposals=MultiThresholdRule(),
    ),
    train=TrainConfig(num_steps=1000, batch_videos=8, thinning=4, learning_rate=2e-3),
)

# The paper's settings for a network per frame (section 4).
_IMAGES = Preset(
    description="ResNet34 on frames, end to end; for VGG16 add --backbone vgg16 "
    "--learning-rate 0.001. Give its --backbone-weights, --height, --width, "
    "--frame-rate 25, --snippet-length 1 and --snippet-stride 1",
    on_pixels=True,
    model=ModelSettings(backbone=ResNetConfig(depth=34), dropout=0.5),
    train=TrainConfig(
        num_steps=5000,
        batch_videos=4,
        thinning=5,
        start_range=15,
        learning_rate=1e-4,
        backbone_snippets=32,
        accumulate_snippets=512,
    ),
)

# Two losses on one class head, both of logits averaged over two seconds: of the peaks of each
# class, under their own softmax over time, which pushes down what looks most like a class where it
# is not, and of WSGN's weighted average. Chosen on held-out thirds of the training videos of three
# sets of real actions (docs/results.md); nothing is left to choose for a dataset.
_WSGN = Preset(
    description="WSGN's selection and each class's own peaks, on features (the default)",
    model=ModelSettings(
        method=WsgnConfig(
            class_activation="sigmoid",
            scoring="probabilities",
            pooling="logits",
            peak_weight=1.0,
            peak_pooling="softmax",
        ),
        standardise=True,
        dropout=0.5,
        smoothing_seconds=1.4,
        proposals=MultiThresholdRule(),
    ),
    train=TrainConfig(
        num_steps=400,
        batch_videos=16,
        thinning=2,
        learning_rate=3e-3,
        weight_decay=2e-2,
        loss_smoothing_seconds=2.0,
    ),
)

# A search on synthetic features chose the settings.
_THUMOS14 = Preset(
    description="the paper's model with all components on features such as I3D",
    model=ModelSettings(standardise=True, dropout=0.5),
    train=TrainConfig(num_steps=800, batch_videos=16, thinning=2, learning_rate=1e-3),
)

# Beyond the paper: class-wise attention (the temporal softmax with an average weight of 1 in
# training), linear heads, and frame scores in which that attention is a soft gate on the class
# probabilities. Its smoothing was chosen on synthetic features, on which none is best.
_WSGN_PLUS = Preset(
    description="wsgn+, beyond the paper: attention as a soft gate, linear heads",
    model=ModelSettings(
        method=WsgnConfig(
            components=("temporal_softmax",),
            weight_scale=PER_FRAME,
            softmax_scale="mean_one",
            scoring_softmax_scale="soft_gate",
            hidden_layer=False,
        ),
        standardise=True,
        dropout=0.0,
        smoothing_seconds=0.0,
        proposals=MultiThresholdRule(),
    ),
    train=TrainConfig(num_steps=800, batch_videos=16, thinning=2, learning_rate=1e-2),
)

_CHARADES = Preset(
    description="Charades on features such as I3D; not tried on the real dataset yet",
    # Several classes share a frame, which a softmax over classes cannot say.
    model=ModelSettings(method=WsgnConfig(class_activation="sigmoid"), dropout=0.5),
    train=TrainConfig(num_steps=10000, batch_videos=32, thinning=1, learning_rate=1e-4),
)

# Section 4's settings and the equations as they stand in print. How segments are cut is this
# project's decision, but for "longer than 1 s": the paper names no threshold.
_PAPER_METHOD = WsgnConfig(
    weight_scale=PER_FRAME, softmax_scale="sum_one", scoring_softmax_scale="sum_one"
)
_PAPER_EPOCHS = 80
_PAPER_MODEL = ModelSettings(
    method=_PAPER_METHOD, dropout=0.8, time_unit="frame", smoothing_seconds=0, peak_gate=0
)
_PAPER_TRAIN = TrainConfig(
    # Two updates for 200 videos, 80 times.
    num_steps=_PAPER_EPOCHS * 2,
    batch_videos=128,
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

# Of `wsgn-train`, and of a --backbone of it.
DEFAULT_PRESET = "wsgn"
DEFAULT_PIXEL_PRESET = "videos"

PRESETS = {
    "videos": _VIDEOS,
    "frames": _FRAMES,
    "images": _IMAGES,
    "wsgn": _WSGN,
    "thumos14": _THUMOS14,
    "wsgn+": _WSGN_PLUS,
    "charades": _CHARADES,
    "paper-thumos14": Preset(
        description="the paper's equations and settings to the letter, on THUMOS14 (I3D features)",
        model=_PAPER_MODEL,
        train=_PAPER_TRAIN,
    ),
    "paper-thumos14-casl": Preset(
        description="paper-thumos14 with the co-activity loss",
        model=replace(_PAPER_MODEL, method=replace(_PAPER_METHOD, coactivity_weight=0.5)),
        train=replace(_PAPER_TRAIN, batch_pairs=3),
    ),
    "paper-charades": Preset(
        description="the same on Charades (I3D features)",
        model=_PAPER_MODEL,
        # 63 updates for 7,985 videos, 80 times.
        train=replace(_PAPER_TRAIN, num_steps=_PAPER_EPOCHS * 63),
    ),
}


def preset(name: str) -> Preset:
    """The settings of `wsgn-train --preset`: a template of the configuration (docs/training.md).

    Args:
        name: a key of `wsgn.presets.PRESETS`, such as 'videos', 'thumos14' or 'wsgn+'.

    Raises:
        UsageError: there is no such preset; it lists those that there are.
    """
    if name not in PRESETS:
        raise UsageError(f"there is no preset '{name}'; there are {', '.join(PRESETS)}.")
    return PRESETS[name]
