"""Several backbones on the frames of one snippet, and networks on images that see a few of them."""

from __future__ import annotations

from collections.abc import Sequence

import torch
from torch import Tensor, nn


class Streams(nn.Module):
    """Frames (N, L, H, W, 3) -> features (N, D): those of each backbone, behind each other.

    Backbones `on_flow` see the flow (N, L, H, W, 2) in place of the frames.
    """

    def __init__(
        self, backbones: Sequence[nn.Module], on_flow: Sequence[bool] | None = None
    ) -> None:
        super().__init__()
        self.backbones = nn.ModuleList(backbones)
        self.on_flow = tuple(on_flow or [False] * len(backbones))

    def forward(self, frames: Tensor, flow: Tensor | None = None) -> Tensor:
        """All on the same snippets."""
        parts = [
            backbone(flow if on_flow else frames)
            for backbone, on_flow in zip(self.backbones, self.on_flow, strict=True)
        ]
        return parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)


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
