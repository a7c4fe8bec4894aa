"""What moves in a snippet, and where to, without anything learned: normal flow by direction.

Between two neighbouring frames, grey, scaled and smoothed, the flow along the gradient is
n = -It grad I / (|grad I|^2 + c), all that one pixel can tell (Horn and Schunck 1981). Its parts in
8 directions and |It| are averaged in 4 x 4 cells, then over the snippet's pairs of frames. Scaling
and smoothing are products with fixed matrices, everything else is arithmetic of single pixels and
means: an exported graph holds it as it is, and no library for optical flow is needed.
"""

from __future__ import annotations

import math

import numpy as np
import torch
from torch import Tensor, nn

from wsgn.backbones.config import MotionConfig
from wsgn.backbones.pixels import require_frames
from wsgn.support.arrays import FloatingArray

# ITU-R BT.601 luma of R, G, B.
_LUMA = (0.299, 0.587, 0.114)
# The fourth row of Pascal's triangle, close to a Gaussian with a deviation of one pixel.
_BINOMIAL = np.array([1, 4, 6, 4, 1]) / 16
# c, (grey levels per pixel)^2: gradients below 5 are noise.
_NOISE = 25.0
# Grey levels of |It| that count as much as a flow of one pixel.
_CHANGE = 20.0
# Keeps the slope of the root finite, so that rounding does not become motion.
_ROOT = 1e-4


class MotionBackbone(nn.Module):
    """Frames (N, L, H, W, 3) uint8, L of 2 or more -> features (N, cells^2 (directions + 1))."""

    luma: Tensor
    cosines: Tensor
    sines: Tensor

    def __init__(self, config: MotionConfig) -> None:
        super().__init__()
        self.config = config
        angles = np.arange(config.directions) * 2 * math.pi / config.directions
        for name, values in (
            ("luma", np.array(_LUMA)), ("cosines", np.cos(angles)), ("sines", np.sin(angles))
        ):  # fmt: skip
            array = torch.from_numpy(values.astype(np.float32))
            self.register_buffer(name, array, persistent=False)

    def forward(self, frames: Tensor) -> Tensor:
        """The square root of the mean of each direction, and of the change, in each cell."""
        require_frames(frames, 3)
        grey = (frames.float() * self.luma).sum(dim=-1)  # (N, L, H, W)
        small = self._scaled(grey)  # (N, L, S + 2, S + 2)
        before, after = small[:, :-1], small[:, 1:]
        mean = (before + after) / 2
        change = (after - before)[..., 1:-1, 1:-1]  # (N, L - 1, S, S)
        right = (mean[..., 1:-1, 2:] - mean[..., 1:-1, :-2]) / 2
        down = (mean[..., 2:, 1:-1] - mean[..., :-2, 1:-1]) / 2
        normal = -change / (right.square() + down.square() + _NOISE)
        u, v = normal * right, normal * down  # pixels per frame
        cosines, sines = (one.view(-1, 1, 1, 1, 1) for one in (self.cosines, self.sines))
        moving = torch.relu(u * cosines + v * sines)  # (directions, N, L - 1, S, S)
        values = torch.cat([moving, (change.abs() / _CHANGE).unsqueeze(0)])
        return ((self._cells(values) + _ROOT).sqrt() - math.sqrt(_ROOT)).flatten(1)

    def _scaled(self, grey: Tensor) -> Tensor:
        """Smoothed pictures of side S + 2: one more on each side, for the gradients."""
        size = self.config.side + 2
        rows = scaling_matrix(grey.shape[2], size)
        columns = scaling_matrix(grey.shape[3], size)
        motion_rows = torch.from_numpy(rows).to(grey.device)
        motion_columns = torch.from_numpy(columns.T.copy()).to(grey.device)
        return motion_rows @ (grey @ motion_columns)

    def _cells(self, values: Tensor) -> Tensor:
        """Means over pairs of frames and over cells: (K, N, L - 1, S, S) -> (N, K, cells^2)."""
        cells = self.config.cells
        means = values.mean(dim=2)  # (K, N, S, S)
        height = self.config.side // cells
        means = means.reshape(*means.shape[:2], cells, height, cells, height).mean(dim=(3, 5))
        return means.flatten(2).transpose(0, 1)


def scaling_matrix(size: int, scaled: int) -> FloatingArray:
    """(scaled, size) float32: means of the pixels under each target pixel, then smoothed.

    A pixel that lies under two counts for each by its share. Behind the edge its pixels repeat.
    """
    edges = np.arange(scaled + 1) * size / scaled
    pixels = np.arange(size)
    shared = np.minimum(edges[1:, None], pixels + 1) - np.maximum(edges[:-1, None], pixels)
    means = np.maximum(shared, 0) * scaled / size  # (scaled, size)
    reach = len(_BINOMIAL) // 2
    padded = np.pad(means, ((reach, reach), (0, 0)), mode="edge")
    smooth = sum(weight * padded[start : start + scaled] for start, weight in enumerate(_BINOMIAL))
    return np.asarray(smooth, dtype=np.float32)
