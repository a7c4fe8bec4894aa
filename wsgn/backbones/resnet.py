"""ResNet of basic blocks (He et al. 2015, arXiv 1512.03385), weights named as in torchvision."""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn import functional as F

from wsgn.backbones.config import ResNetConfig
from wsgn.backbones.pixels import ImageNetInput, mean_over_frames
from wsgn.backbones.stages import Stage, StagedNetwork, run_stages
from wsgn.errors import UsageError

_CHANNELS = (64, 128, 256, 512)
# Blocks in each of the four layers, by depth.
_BLOCKS = {18: (2, 2, 2, 2), 34: (3, 4, 6, 3)}


class BasicBlock(nn.Module):
    """Two 3 x 3 convolutions beside a shortcut."""

    def __init__(self, in_channels: int, out_channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(in_channels, out_channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(out_channels)
        self.conv2 = nn.Conv2d(out_channels, out_channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(out_channels)
        self.downsample: nn.Module = nn.Identity()
        if stride != 1 or in_channels != out_channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(in_channels, out_channels, 1, stride, bias=False),
                nn.BatchNorm2d(out_channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        """(N, C, H, W) -> (N, C', H / stride, W / stride)."""
        y = F.relu(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        return F.relu(y + self.downsample(x))


def _layer(in_channels: int, out_channels: int, num_blocks: int, stride: int) -> nn.Sequential:
    first = BasicBlock(in_channels, out_channels, stride)
    rest = [BasicBlock(out_channels, out_channels, 1) for _ in range(num_blocks - 1)]
    return nn.Sequential(first, *rest)


class ResNetBackbone(StagedNetwork):
    """Frames (N, L, H, W, 3) uint8 -> features (N, 512): the mean over space, then over frames."""

    config: ResNetConfig

    def __init__(self, config: ResNetConfig) -> None:
        super().__init__()
        self.config = config
        blocks = _BLOCKS[config.depth]
        self.pixels = ImageNetInput()
        self.conv1 = nn.Conv2d(3, _CHANNELS[0], 7, 2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(_CHANNELS[0])
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, 2, padding=1)
        self.layer1 = _layer(_CHANNELS[0], _CHANNELS[0], blocks[0], 1)
        self.layer2 = _layer(_CHANNELS[0], _CHANNELS[1], blocks[1], 2)
        self.layer3 = _layer(_CHANNELS[1], _CHANNELS[2], blocks[2], 2)
        self.layer4 = _layer(_CHANNELS[2], _CHANNELS[3], blocks[3], 2)
        self.fc: nn.Module | None = None
        if config.num_logits:
            self.fc = nn.Linear(config.feature_size, config.num_logits)
        self.train()

    def stages(self) -> list[Stage]:
        """The stem and the four layers."""
        stem = [self.conv1, self.bn1, self.relu, self.maxpool]
        return [stem, [self.layer1], [self.layer2], [self.layer3], [self.layer4]]

    def forward(self, frames: Tensor) -> Tensor:
        """Features of each frame, averaged over the snippet."""
        checkpointed = self.config.checkpoint_gradients and self.training
        x = self.pixels(frames)  # (N L, 3, H, W)
        x = run_stages(x, self.stages(), checkpoint_gradients=checkpointed)
        features = x.mean(dim=(2, 3))  # (N L, 512)
        return mean_over_frames(features, frames.shape[1])

    def logits(self, frames: Tensor) -> Tensor:
        """(N, num_logits) of the published classifier, averaged over the snippet's frames."""
        if self.fc is None:
            raise UsageError("this ResNet was built without a classifier; set num_logits.")
        # The classifier is linear: it may come after the mean.
        logits: Tensor = self.fc(self(frames))
        return logits
