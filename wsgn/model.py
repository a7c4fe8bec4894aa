"""The network: a backbone's shared features under the layers of a method (figure 2)."""

from __future__ import annotations

from torch import Tensor, nn

from wsgn.backbones.build import build_backbone
from wsgn.config import ModelConfig
from wsgn.methods.build import build_method
from wsgn.methods.interface import HeadOutput, Method
from wsgn.standardise import Standardise


class WeakDetector(nn.Module):
    """A backbone (nothing, where the input is features), dropout, and a method."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        self.backbone: nn.Module = nn.Identity()
        if config.frames is not None:
            self.backbone = build_backbone(config.backbone, config.sampling.snippet_length)
        self.standardise = Standardise(config.feature_size) if config.standardise else None
        self.dropout = nn.Dropout(config.dropout)
        self.method: Method = build_method(config.method, config.feature_size, len(config.classes))

    def forward(self, inputs: Tensor) -> HeadOutput:
        """What the layers say of N snippets (frames or features, N first), each on its own."""
        features = self.backbone(inputs)  # (N, D)
        if self.standardise is not None:
            features = self.standardise(features)
        return self.method.heads(self.dropout(features))
