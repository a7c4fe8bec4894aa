"""The network: a backbone's shared features under the layers of a method (figure 2)."""

from __future__ import annotations

from torch import Tensor, nn

from wsgn.backbones.build import build_backbone
from wsgn.backbones.parts import features_in_parts
from wsgn.config import ModelConfig
from wsgn.methods.build import build_method
from wsgn.methods.interface import HeadOutput, Method
from wsgn.standardise import Standardise


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
        self.method: Method = build_method(config.method, config.feature_size, len(config.classes))

    def forward(self, inputs: Tensor) -> HeadOutput:
        """What the layers say of N snippets (frames or features, N first), each on its own."""
        features = features_in_parts(self.backbone, inputs, self.backbone_snippets)  # (N, D)
        if self.standardise is not None:
            features = self.standardise(features)
        return self.method.heads(self.dropout(features))
