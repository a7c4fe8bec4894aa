"""From stored pixels to the numbers that a published network was trained on, inside the graph.

| network | input | becomes |
|---|---|---|
| I3D, RGB | uint8 0 to 255 | v / 127.5 - 1, in [-1, 1] |
| I3D, flow, uint8 | 0 to 255 stands for -20 to 20 pixels per frame | v / 127.5 - 1 |
| I3D, flow, floating point | pixels per frame | clipped to [-20, 20], divided by 20 |
| ResNet, VGG | uint8 0 to 255 RGB | v / 255, less the mean, by the deviation of ImageNet |
| EfficientNet-Lite | uint8 0 to 255 RGB | (v - 127) / 128 |
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor, nn

from wsgn.errors import UsageError

# Mean and standard deviation of ImageNet's R, G, B in [0, 1], as torchvision's weights expect.
IMAGENET_MEAN = (0.485, 0.456, 0.406)
IMAGENET_STD = (0.229, 0.224, 0.225)
# Pixels per frame to which optical flow was clipped for I3D (kinetics-i3d, README).
FLOW_LIMIT_PIXELS = 20.0


class SymmetricInput(nn.Module):
    """Frames or flow (N, L, H, W, C) -> (N, C, L, H, W) in [-1, 1], as I3D was trained."""

    def __init__(self, num_channels: int) -> None:
        super().__init__()
        self.num_channels = num_channels

    def forward(self, frames: Tensor) -> Tensor:
        """uint8 over its whole range; floating-point flow in pixels, clipped."""
        require_frames(frames, self.num_channels)
        if self.num_channels == 2 and frames.is_floating_point():
            x = frames.clamp(-FLOW_LIMIT_PIXELS, FLOW_LIMIT_PIXELS) / FLOW_LIMIT_PIXELS
        else:
            x = frames.float() / 127.5 - 1
        return x.permute(0, 4, 1, 2, 3)  # (N, C, L, H, W)


class ImageInput(nn.Module):
    """Frames (N, L, H, W, 3) -> single images (N L, 3, H, W), (v / 255 - mean) / deviation."""

    scale: Tensor
    offset: Tensor

    def __init__(self, mean: Sequence[float], deviation: Sequence[float]) -> None:
        super().__init__()
        # In NumPy: arithmetic of tensors on the device that takes no memory loads a compiler.
        means = np.array(mean, dtype=np.float32)
        deviations = np.array(deviation, dtype=np.float32)
        # As one multiplication and one addition.
        self.register_buffer("scale", torch.from_numpy(1 / (255 * deviations)), persistent=False)
        self.register_buffer("offset", torch.from_numpy(-means / deviations), persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """Every frame for itself."""
        require_frames(frames, 3)
        x = frames.flatten(0, 1).float() * self.scale + self.offset
        return x.permute(0, 3, 1, 2)  # (N L, 3, H, W)


class ImageNetInput(ImageInput):
    """Normalised as on ImageNet by torchvision."""

    def __init__(self) -> None:
        super().__init__(IMAGENET_MEAN, IMAGENET_STD)


class ByteInput(ImageInput):
    """(v - 127) / 128, by which EfficientNet-Lite was trained (efficientnet_lite_builder.py)."""

    def __init__(self) -> None:
        super().__init__((127 / 255,) * 3, (128 / 255,) * 3)


def mean_over_frames(features: Tensor, snippet_length: int) -> Tensor:
    """Features of single frames (N L, D) -> of snippets (N, D)."""
    return features.reshape(-1, snippet_length, features.shape[1]).mean(dim=1)


def require_frames(frames: Tensor, num_channels: int) -> None:
    """Refuse what is not (N, L, H, W, num_channels)."""
    if frames.dim() != 5 or frames.shape[-1] != num_channels:
        raise UsageError(
            f"the backbone takes frames (N, L, H, W, {num_channels}), got the shape "
            f"{tuple(frames.shape)}."
        )
