"""Features brought to mean 0 and deviation 1 per channel, by statistics of the training videos."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from wsgn.data.samples import VideoSource

# So many snippets are enough for a mean and a deviation; a large dataset is not read whole.
_SNIPPETS = 100_000
# Added to the variance of a channel that may be constant.
_EPSILON = 1e-6


class Standardise(nn.Module):
    """(x - mean) / deviation per channel; both stay as they are in training."""

    mean: Tensor
    deviation: Tensor

    def __init__(self, feature_size: int) -> None:
        super().__init__()
        self.register_buffer("mean", torch.zeros(feature_size))
        self.register_buffer("deviation", torch.ones(feature_size))

    def forward(self, features: Tensor) -> Tensor:
        """Features (N, D)."""
        return (features - self.mean) / self.deviation

    def fit(self, source: VideoSource, seed: int) -> None:
        """Take the statistics of a source's videos, in a random order until there are enough."""
        count, total, squares = 0, np.zeros(len(self.mean)), np.zeros(len(self.mean))
        for video in np.random.default_rng(seed).permutation(len(source.videos)).tolist():
            features = source.load(video).inputs.double().numpy()  # (T, D)
            count += len(features)
            total += features.sum(axis=0)
            squares += np.square(features).sum(axis=0)
            if count >= _SNIPPETS:
                break
        mean = total / count
        variance = np.maximum(squares / count - np.square(mean), 0)
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(np.sqrt(variance + _EPSILON)))
