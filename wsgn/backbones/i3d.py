"""I3D: Inception-v1 inflated to three dimensions (Carreira and Zisserman 2017, arXiv 1705.07750).

The network as published in kinetics-i3d: 'SAME' padding worked out from the input size, batch
normalisation with epsilon 1e-3, the mean over 2 x 7 x 7 before the classifier, whose logits are
averaged over the time that is left.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from wsgn.backbones.config import I3dConfig
from wsgn.backbones.pixels import SymmetricInput
from wsgn.backbones.same import SameConv3d, SameMaxPool3d, Size3
from wsgn.backbones.stages import Stage, StagedNetwork, run_stages
from wsgn.errors import UsageError

# Sonnet's batch normalisation keeps 0.999 of its running statistics at each step.
_EPSILON, _MOMENTUM = 1e-3, 1e-3
# Window of the mean before the classifier: the last map of 16 frames of 224 x 224.
_POOL: Size3 = (2, 7, 7)
_ONE: Size3 = (1, 1, 1)
_THREE: Size3 = (3, 3, 3)
# Output channels of a mixed block: 1x1; 1x1 then 3x3; 1x1 then 3x3; pool then 1x1.
_MIXED = {
    "Mixed_3b": (64, 96, 128, 16, 32, 32),
    "Mixed_3c": (128, 128, 192, 32, 96, 64),
    "Mixed_4b": (192, 96, 208, 16, 48, 64),
    "Mixed_4c": (160, 112, 224, 24, 64, 64),
    "Mixed_4d": (128, 128, 256, 24, 64, 64),
    "Mixed_4e": (112, 144, 288, 32, 64, 64),
    "Mixed_4f": (256, 160, 320, 32, 128, 128),
    "Mixed_5b": (256, 160, 320, 32, 128, 128),
    "Mixed_5c": (384, 192, 384, 48, 128, 128),
}
# The end points under their published names, stage by stage.
STAGES = (
    ("Conv3d_1a_7x7", "MaxPool3d_2a_3x3"),
    ("Conv3d_2b_1x1", "Conv3d_2c_3x3", "MaxPool3d_3a_3x3"),
    ("Mixed_3b", "Mixed_3c", "MaxPool3d_4a_3x3"),
    ("Mixed_4b", "Mixed_4c", "Mixed_4d", "Mixed_4e", "Mixed_4f", "MaxPool3d_5a_2x2"),
    ("Mixed_5b", "Mixed_5c"),
)


class Unit3d(nn.Module):
    """Convolution, batch normalisation, ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: Size3, stride: Size3 = _ONE
    ) -> None:
        super().__init__()
        self.conv = SameConv3d(in_channels, out_channels, kernel, stride)
        self.norm = nn.BatchNorm3d(out_channels, eps=_EPSILON, momentum=_MOMENTUM)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, C', ceil(T / s), ceil(H / s), ceil(W / s))."""
        return F.relu(self.norm(self.conv(x)))


class Mixed(nn.Module):
    """Four branches side by side, joined along the channels."""

    def __init__(self, in_channels: int, sizes: tuple[int, ...]) -> None:
        super().__init__()
        self.branch_0 = Unit3d(in_channels, sizes[0], _ONE)
        self.branch_1 = nn.Sequential(
            Unit3d(in_channels, sizes[1], _ONE), Unit3d(sizes[1], sizes[2], _THREE)
        )
        self.branch_2 = nn.Sequential(
            Unit3d(in_channels, sizes[3], _ONE), Unit3d(sizes[3], sizes[4], _THREE)
        )
        self.branch_3 = nn.Sequential(
            SameMaxPool3d(_THREE, _ONE), Unit3d(in_channels, sizes[5], _ONE)
        )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, T, H, W) -> (N, C', T, H, W)."""
        return torch.cat(
            [self.branch_0(x), self.branch_1(x), self.branch_2(x), self.branch_3(x)], dim=1
        )


def _layers(in_channels: int) -> nn.ModuleDict:
    layers: dict[str, nn.Module] = {
        "Conv3d_1a_7x7": Unit3d(in_channels, 64, (7, 7, 7), (2, 2, 2)),
        "MaxPool3d_2a_3x3": SameMaxPool3d((1, 3, 3), (1, 2, 2)),
        "Conv3d_2b_1x1": Unit3d(64, 64, _ONE),
        "Conv3d_2c_3x3": Unit3d(64, 192, _THREE),
        "MaxPool3d_3a_3x3": SameMaxPool3d((1, 3, 3), (1, 2, 2)),
        "MaxPool3d_4a_3x3": SameMaxPool3d(_THREE, (2, 2, 2)),
        "MaxPool3d_5a_2x2": SameMaxPool3d((2, 2, 2), (2, 2, 2)),
    }
    channels = 192
    for name, sizes in _MIXED.items():
        layers[name] = Mixed(channels, sizes)
        channels = sizes[0] + sizes[2] + sizes[4] + sizes[5]
    return nn.ModuleDict({name: layers[name] for stage in STAGES for name in stage})


class I3dBackbone(StagedNetwork):
    """Frames (N, L, H, W, 3) or flow (N, L, H, W, 2) -> features (N, 1024).

    Any L, H and W will do; under 9 frames or 193 pixels the last map is smaller than the published
    window of the mean, which then shrinks with it.
    """

    config: I3dConfig

    def __init__(self, config: I3dConfig) -> None:
        super().__init__()
        self.config = config
        channels = 3 if config.stream == "rgb" else 2
        self.pixels = SymmetricInput(channels)
        self.layers = _layers(channels)
        self.classifier: nn.Module | None = None
        if config.num_logits:
            self.classifier = nn.Conv3d(config.feature_size, config.num_logits, 1)
        self.train()

    def stages(self) -> list[Stage]:
        """The layers, stage by stage."""
        return [[self.layers[name] for name in stage] for stage in STAGES]

    def forward(self, frames: Tensor) -> Tensor:
        """The mean before the classifier, averaged over what is left of time and space."""
        return self._pooled(frames).mean(dim=(2, 3, 4))  # (N, 1024)

    def logits(self, frames: Tensor) -> Tensor:
        """(N, num_logits) of the published classifier."""
        if self.classifier is None:
            raise UsageError("this I3D was built without a classifier; set num_logits.")
        logits: Tensor = self.classifier(self._pooled(frames))
        return logits.mean(dim=(2, 3, 4))

    def end_points(self, frames: Tensor) -> dict[str, Tensor]:
        """Every layer's output (N, C, T, H, W) under its published name."""
        x, outputs = self.pixels(frames), {}
        for name, layer in self.layers.items():
            outputs[name] = x = layer(x)
        return outputs

    def _pooled(self, frames: Tensor) -> Tensor:
        """(N, 1024, T, H, W), where 16 frames of 224 x 224 have T = H = W = 1."""
        checkpointed = self.config.checkpoint_gradients and self.training
        x = run_stages(self.pixels(frames), self.stages(), checkpoint_gradients=checkpointed)
        window = [min(size, limit) for size, limit in zip(x.shape[2:], _POOL, strict=True)]
        return F.avg_pool3d(x, window, stride=1)
