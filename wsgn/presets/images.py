"""End-to-end training of a network per frame, at the paper's settings (section 4)."""

from __future__ import annotations

from wsgn.backbones.config import ResNetConfig
from wsgn.config import TrainConfig
from wsgn.presets.preset import Preset

IMAGES = Preset(
    description="ResNet34 on frames, end to end; for VGG16 add --backbone vgg16 "
    "--learning-rate 0.001. Give its --backbone-weights, --height, --width, "
    "--frame-rate 25, --snippet-length 1 and --snippet-stride 1",
    backbone=ResNetConfig(depth=34),
    train=TrainConfig(
        num_steps=5000,
        batch_videos=4,
        thinning=5,
        start_range=15,
        learning_rate=1e-4,
        backbone_snippets=32,
        accumulate_snippets=512,
    ),
    dropout=0.5,
)
