"""Several backbones on the frames of one snippet, and networks on images that see a few of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Streams(nn.Module):
    """Frames (N, L, H, W, 3) -> features (N, D): those of each backbone, behind each other."""

    def __init__(self, backbones: Sequence[nn.Module]) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(backbones)

    def forward(self, frames: Tensor) -> Tensor:
        """All on the same frames."""
        return torch.cat([backbone(frames) for backbone in self.backbones], dim=1)


class FewImages(nn.Module):
    """A network on images that sees so many of a snippet's frames, evenly spread."""

    def __init__(self, backbone: nn.Module, num_images: int) -> None:
        super().__init__()
        self.backbone = backbone
        self.num_images = num_images

    def forward(self, frames: Tensor) -> Tensor:
        """The middle frame of each of `num_images` equal parts of the snippet."""
        length = frames.shape[1]
        picked = [
            (2 * part + 1) * length // (2 * self.num_images) for part in range(self.num_images)
        ]
        seen = [frames[:, index : index + 1] for index in picked]
        features: Tensor = self.backbone(seen[0] if len(seen) == 1 else torch.cat(seen, dim=1))
        return features
