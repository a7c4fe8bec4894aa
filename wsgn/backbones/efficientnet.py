"""EfficientNet-Lite0 (Tan and Le 2019, arXiv 1905.11946; its variant for small devices).

Layers, padding (TensorFlow's SAME) and weights are those of efficientnet-lite-pytorch, whose names
are these with an underscore before them. No squeeze and excitation, ReLU6 throughout.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from wsgn.backbones.config import EfficientNetConfig
from wsgn.backbones.pixels import ByteInput, mean_over_frames
from wsgn.backbones.same import same_padding
from wsgn.backbones.stages import Stage, StagedNetwork, run_stages
from wsgn.errors import UsageError

# Blocks of each stage: expansion, output channels, how many, stride of the first, kernel.
_STAGES = (
    (1, 16, 1, 1, 3),
    (6, 24, 2, 2, 3),
    (6, 40, 2, 2, 5),
    (6, 80, 3, 2, 3),
    (6, 112, 3, 1, 5),
    (6, 192, 4, 2, 5),
    (6, 320, 1, 1, 3),
)
_STEM = 32
_EPSILON, _MOMENTUM = 1e-3, 0.01


class SameConv2d(nn.Conv2d):
    """A convolution without bias, padded with zeros as TensorFlow's SAME."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: int = 1, groups: int = 1
    ) -> None:
        super().__init__(in_channels, out_channels, kernel, stride, groups=groups, bias=False)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H / s), ceil(W / s))."""
        rows = same_padding(x.shape[2], self.kernel_size[0], self.stride[0])
        columns = same_padding(x.shape[3], self.kernel_size[1], self.stride[1])
        padding: tuple[int, int] = (rows[0], columns[0])
        if rows[0] != rows[1] or columns[0] != columns[1]:
            x, padding = F.pad(x, [*columns, *rows]), (0, 0)
        return F.conv2d(x, self.weight, None, self.stride, padding, groups=self.groups)


class MobileBlock(nn.Module):
    """Widen by 1 x 1, look around in each channel, narrow by 1 x 1; a shortcut where it fits."""

    def __init__(
        self, in_channels: int, out_channels: int, expansion: int, kernel: int, stride: int
    ) -> None:
        super().__init__()
        width = in_channels * expansion
        self.shortcut = stride == 1 and in_channels == out_channels
        self.expand_conv: nn.Module = nn.Identity()
        self.bn0: nn.Module = nn.Identity()
        if expansion > 1:
            self.expand_conv = SameConv2d(in_channels, width, 1)
            self.bn0 = _norm(width)
        self.relu0 = nn.ReLU6() if expansion > 1 else nn.Identity()
        self.depthwise_conv = SameConv2d(width, width, kernel, stride, groups=width)
        self.bn1 = _norm(width)
        self.project_conv = SameConv2d(width, out_channels, 1)
        self.bn2 = _norm(out_channels)

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', ceil(H / stride), ceil(W / stride))."""
        y: Tensor = self.relu0(self.bn0(self.expand_conv(x)))
        y = F.relu6(self.bn1(self.depthwise_conv(y)))
        y = self.bn2(self.project_conv(y))  # (N, C', H / stride, W / stride)
        return y + x if self.shortcut else y


class EfficientNetBackbone(StagedNetwork):
    """Frames (N, L, H, W, 3) uint8 -> features (N, 1280): the mean over space, then over frames."""

    config: EfficientNetConfig

    def __init__(self, config: EfficientNetConfig) -> None:
        super().__init__()
        self.config = config
        self.pixels = ByteInput()
        self.conv_stem = SameConv2d(3, _STEM, 3, 2)
        self.bn0 = _norm(_STEM)
        self.relu = nn.ReLU6()
        blocks, in_channels = [], _STEM
        for expansion, out_channels, count, stride, kernel in _STAGES:
            for index in range(count):
                step = stride if index == 0 else 1
                blocks.append(MobileBlock(in_channels, out_channels, expansion, kernel, step))
                in_channels = out_channels
        self.blocks = nn.ModuleList(blocks)
        self.conv_head = SameConv2d(in_channels, config.feature_size, 1)
        self.bn1 = _norm(config.feature_size)
        self.fc: nn.Module | None = None
        if config.num_logits:
            self.fc = nn.Linear(config.feature_size, config.num_logits)
        self.train()

    def stages(self) -> list[Stage]:
        """The stem, the seven stages of blocks, and the last convolution."""
        blocks, stages = list(self.blocks), []
        for _, _, count, _, _ in _STAGES:
            stages.append(blocks[:count])
            blocks = blocks[count:]
        stem = [self.conv_stem, self.bn0, self.relu]
        return [stem, *stages, [self.conv_head, self.bn1, self.relu]]

    def forward(self, frames: Tensor) -> Tensor:
        """Features of each frame, averaged over the snippet."""
        checkpointed = self.config.checkpoint_gradients and self.training
        x = self.pixels(frames)  # (N L, 3, H, W)
        x = run_stages(x, self.stages(), checkpoint_gradients=checkpointed)
        return mean_over_frames(x.mean(dim=(2, 3)), frames.shape[1])

    def logits(self, frames: Tensor) -> Tensor:
        """(N, num_logits) of the published classifier, averaged over the snippet's frames."""
        if self.fc is None:
            raise UsageError("this EfficientNet was built without a classifier; set num_logits.")
        # The classifier is linear: it may come after the mean.
        logits: Tensor = self.fc(self(frames))
        return logits


def _norm(num_channels: int) -> nn.BatchNorm2d:
    return nn.BatchNorm2d(num_channels, eps=_EPSILON, momentum=_MOMENTUM)
