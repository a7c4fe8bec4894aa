"""The network: a backbone's shared features under the layers of a method (figure 2)."""

from __future__ import annotations

import numpy as np
import torch
from torch import Tensor, nn

from wsgn.backbones.build import build_backbone
from wsgn.backbones.parts import features_in_parts
from wsgn.config import ModelConfig
from wsgn.data.samples import VideoSource
from wsgn.methods.basnet import Basnet
from wsgn.methods.co2net import Co2net
from wsgn.methods.config import (
    BasnetConfig,
    Co2netConfig,
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.methods.interface import HeadOutput, Method
from wsgn.methods.stpn import Stpn
from wsgn.methods.untrimmednets import UntrimmedNets
from wsgn.methods.wsgn import Wsgn
from wsgn.methods.wtalc import Wtalc

# So many snippets are enough for a mean and a deviation; a large dataset is not read whole.
_STANDARDISE_SNIPPETS = 100_000
# Added to the variance of a channel that may be constant.
_STANDARDISE_EPSILON = 1e-6
# Of features that are prepared at a time: with their noise they fit a level-2 cache.
_BLOCK_ELEMENTS = 65536


class WeakDetector(nn.Module):
    """A backbone (nothing, where the input is features), dropout, and a method."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        # Snippets that go through the backbone at a time; 0: all.
        self.backbone_snippets = 0
        self.backbone: nn.Module = nn.Identity()
        if config.frames is not None:
            self.backbone = build_backbone(config.backbone, config.sampling.snippet_length)
        self.standardise = Standardise(config.feature_size) if config.standardise else None
        self.dropout = nn.Dropout(config.dropout)
        self.method: Method = _build_method(config.method, config.feature_size, len(config.classes))

    def forward(self, inputs: Tensor) -> HeadOutput:
        """What the layers say of N snippets (frames or features, N first), each on its own."""
        features = features_in_parts(self.backbone, inputs, self.backbone_snippets)  # (N, D)
        if self._takes_one_pass(features):
            features = _prepared(features, self.standardise, self.dropout.p)
        else:
            if self.standardise is not None:
                features = self.standardise(features)
            elif features.dtype == torch.float16:
                # As they are stored.
                features = features.float()
            features = self.dropout(features)
        return self.method.heads(features)

    def _takes_one_pass(self, features: Tensor) -> bool:
        """Whether given features are trained on, on a CPU, by eager PyTorch."""
        return (
            self.training
            and features.device.type == "cpu"
            and features.dtype in (torch.float16, torch.float32)
            and not features.requires_grad
            and not torch.compiler.is_compiling()
        )


class Standardise(nn.Module):
    """(x - mean) / deviation per channel, by statistics of the training videos that stay fixed."""

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
            features = source.load(video).inputs.cpu().double().numpy()  # (T, D)
            count += len(features)
            total += features.sum(axis=0)
            squares += np.square(features).sum(axis=0)
            if count >= _STANDARDISE_SNIPPETS:
                break
        mean = total / count
        variance = np.maximum(squares / count - np.square(mean), 0)
        self.mean.copy_(torch.from_numpy(mean))
        self.deviation.copy_(torch.from_numpy(np.sqrt(variance + _STANDARDISE_EPSILON)))


def _prepared(features: Tensor, standardise: Standardise | None, dropout: float) -> Tensor:
    """Features (N, D) in float32, standardised, a share of them dropped, block by block in a cache.

    Whether one is dropped is a uniform number's matter: PyTorch's own draw takes five times as
    long, on one core.
    """
    result = torch.empty(features.shape)
    rows = max(1, _BLOCK_ELEMENTS // features.shape[1])
    noise = torch.empty(rows, features.shape[1])
    for part, place in zip(*(torch.split(v, rows) for v in (features, result)), strict=True):
        if standardise is None:
            place.copy_(part)
        else:
            torch.sub(part, standardise.mean, out=place).div_(standardise.deviation)
        if dropout > 0:
            place.mul_(noise[: len(part)].uniform_().ge_(dropout).mul_(1 / (1 - dropout)))
    return result


def _build_method(config: MethodConfig, feature_size: int, num_classes: int) -> Method:
    """The layers of a method on features of D channels; an nn.Module too."""
    match config:
        case WsgnConfig():
            return Wsgn(config, feature_size, num_classes)
        case UntrimmedNetsConfig():
            return UntrimmedNets(config, feature_size, num_classes)
        case StpnConfig():
            return Stpn(config, feature_size, num_classes)
        case WtalcConfig():
            return Wtalc(config, feature_size, num_classes)
        case BasnetConfig():
            return Basnet(config, feature_size, num_classes)
        case Co2netConfig():
            return Co2net(config, feature_size, num_classes)
