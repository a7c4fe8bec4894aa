"""A small 3D network that sees motion only, for training from pixels on a CPU.

Frames enter as uint8; everything up to the features is inside the graph. The input of the first
convolution is the luma of each frame less the snippet's mean (what moves, where) and the difference
to the next frame: a still background vanishes, so a video cannot be told by its scene.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wsgn.config import CompactConfig

# ITU-R BT.601 luma of R, G, B.
_LUMA = (0.299, 0.587, 0.114)
# Brings the motion channels of ordinary videos to about unit variance.
_MOTION_SCALE = 8.0


class MotionInput(nn.Module):
    """Frames (N, L, H, W, 3) uint8 -> motion channels (N, 2, L, H, W)."""

    luma: Tensor

    def __init__(self) -> None:
        super().__init__()
        self.register_buffer("luma", torch.tensor(_LUMA) / 255, persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """The luma less its mean over the snippet, and its forward difference."""
        luma = (frames.float() * self.luma).sum(dim=-1)  # (N, L, H, W)
        centred = luma - luma.mean(dim=1, keepdim=True)
        following = torch.cat([luma[:, 1:], luma[:, -1:]], dim=1)
        return torch.stack([centred, following - luma], dim=1) * _MOTION_SCALE


class ConvolutionBlock(nn.Sequential):
    """A 3D convolution with stride, batch norm and ReLU."""

    def __init__(
        self, in_channels: int, out_channels: int, kernel: int, stride: tuple[int, int, int]
    ) -> None:
        super().__init__(
            nn.Conv3d(
                in_channels,
                out_channels,
                (3, kernel, kernel),
                stride=stride,
                padding=(1, kernel // 2, kernel // 2),
                bias=False,
            ),
            nn.BatchNorm3d(out_channels),
            nn.ReLU(),
        )


class CompactBackbone(nn.Module):
    """Frames (N, L, H, W, 3) uint8 -> features (N, D)."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.motion = MotionInput()
        blocks: list[nn.Module] = []
        in_channels = 2
        for index, out_channels in enumerate(config.channels):
            # Time is halved at the first and third block only: a snippet has few frames.
            time_stride = 2 if index in (0, 2) else 1
            kernel = 5 if index == 0 else 3
            blocks.append(ConvolutionBlock(in_channels, out_channels, kernel, (time_stride, 2, 2)))
            in_channels = out_channels
        self.blocks = nn.Sequential(*blocks)
        # Half the time of the default layout on a CPU.
        self.blocks.to(memory_format=torch.channels_last_3d)  # type: ignore[call-overload]
        self.project = nn.Linear(2 * in_channels, config.feature_size)

    def forward(self, frames: Tensor) -> Tensor:
        """Mean and maximum over space and time, projected."""
        motion = self.motion(frames).contiguous(memory_format=torch.channels_last_3d)
        x = self.blocks(motion).flatten(2)  # (N, C, L' H' W')
        pooled = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        return torch.relu(self.project(pooled))
