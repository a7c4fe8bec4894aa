"""A small network on single frames, whose maps are compared within a snippet.

Every frame goes through the same two-dimensional convolutions by itself. Only then do the frames of
a snippet meet: what leaves is how far each place of the maps strays from its mean over the snippet.
A background that stands still gives nothing, so a video cannot be told by its scene, by which a
network on lone frames learns the training videos by heart (docs/features.md has the measurement).
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from wsgn.backbones.compact import compact_blocks
from wsgn.backbones.config import CompactConfig
from wsgn.backbones.pixels import require_frames

# Grey levels that become 1: about the deviation within a frame.
_CONTRAST = 64.0


class FrameInput(nn.Module):
    """Frames (N, L, H, W, 3) uint8 -> single images (N L, 3, H, W), each less its mean colour."""

    def forward(self, frames: Tensor) -> Tensor:
        """Every frame for itself: a brighter image is the same image."""
        require_frames(frames, 3)
        x = frames.flatten(0, 1).float().permute(0, 3, 1, 2)  # (N L, 3, H, W)
        return (x - x.mean(dim=(2, 3), keepdim=True)) / _CONTRAST


class FrameByFrameBackbone(nn.Module):
    """Frames (N, L, H, W, 3) uint8 -> features (N, D)."""

    def __init__(self, config: CompactConfig) -> None:
        super().__init__()
        self.images = FrameInput()
        self.blocks = compact_blocks(3, config.channels)
        self.project = nn.Linear(2 * config.channels[-1], config.feature_size)

    def forward(self, frames: Tensor) -> Tensor:
        """Mean and maximum over space of the maps' mean deviation over the snippet, projected."""
        images = self.images(frames).contiguous(memory_format=torch.channels_last)
        maps = self.blocks(images).unflatten(0, (-1, frames.shape[1]))  # (N, L, C, H / 8, W / 8)
        deviation = (maps - maps.mean(dim=1, keepdim=True)).abs().mean(dim=1)
        x = deviation.flatten(2)  # (N, C, H W / 64)
        pooled = torch.cat([x.mean(dim=2), x.amax(dim=2)], dim=1)
        return torch.relu(self.project(pooled))
