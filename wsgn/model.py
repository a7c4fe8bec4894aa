"""The network: shared features under a classification and a selection head (figure 2)."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from wsgn.backbones.compact import CompactBackbone
from wsgn.config import ModelConfig
from wsgn.packing import check_offsets, mean_per_video
from wsgn.selection import frame_selection
from wsgn.selection_operator import class_probabilities


@dataclass(frozen=True, kw_only=True)
class ModelOutput:
    """What a model says of a packed batch of B videos with N snippets."""

    # (N, C) logits x and h of the two heads.
    selection_logits: Tensor
    class_logits: Tensor
    # (N, C) frame scores and (B, C) video scores.
    scores: Tensor
    video_scores: Tensor


class Head(nn.Sequential):
    """Linear(D, D), ReLU, Linear(D, C), with Xavier-uniform weights and zero biases."""

    def __init__(self, feature_size: int, num_classes: int) -> None:
        super().__init__(
            nn.Linear(feature_size, feature_size), nn.ReLU(), nn.Linear(feature_size, num_classes)
        )
        for layer in self:
            if isinstance(layer, nn.Linear):
                nn.init.xavier_uniform_(layer.weight)
                nn.init.zeros_(layer.bias)


class WeakDetector(nn.Module):
    """WSGN, or the naive model of eq. 1 when the configuration names no components."""

    def __init__(self, config: ModelConfig) -> None:
        super().__init__()
        self.config = config
        num_classes = len(config.classes)
        self.backbone: nn.Module = nn.Identity()
        if config.frames is not None:
            self.backbone = CompactBackbone(config.backbone, config.sampling.snippet_length)
        self.dropout = nn.Dropout(config.dropout)
        self.class_head = Head(config.feature_size, num_classes)
        self.selection_head = Head(config.feature_size, num_classes)
        # The dataset-wide Gaussian of eq. 5: mu_l and s_l = exp(rho).
        self.global_mean = nn.Parameter(torch.zeros(num_classes))
        self.global_log_std = nn.Parameter(torch.zeros(num_classes))

    @property
    def global_std(self) -> Tensor:
        """s_l, (C)."""
        return self.global_log_std.exp()

    def logits(self, inputs: Tensor) -> tuple[Tensor, Tensor]:
        """Selection and class logits (N, C) of snippets: frames or features, N first."""
        features = self.dropout(self.backbone(inputs))  # (N, D)
        return self.selection_head(features), self.class_head(features)

    def forward(self, inputs: Tensor, cu_seqlens: Tensor) -> ModelOutput:
        """Scores of a packed batch; `cu_seqlens` (B + 1) says where each video begins."""
        selection_logits, class_logits = self.logits(inputs)
        scores, video_scores = self.select(
            selection_logits, class_logits, cu_seqlens, self.config.softmax_scale
        )
        return ModelOutput(
            selection_logits=selection_logits,
            class_logits=class_logits,
            scores=scores,
            video_scores=video_scores,
        )

    def select(
        self,
        selection_logits: Tensor,
        class_logits: Tensor,
        cu_seqlens: Tensor,
        softmax_scale: str,
    ) -> tuple[Tensor, Tensor]:
        """Frame scores (N, C) and video scores (B, C) from the heads' logits."""
        config = self.config
        if not config.components:
            check_offsets(cu_seqlens, len(class_logits))
            scores = class_probabilities(class_logits, config.class_activation)
            return scores, mean_per_video(scores, cu_seqlens)
        selection = frame_selection(
            selection_logits,
            class_logits,
            cu_seqlens,
            self.global_mean,
            self.global_std,
            components=config.components,
            softmax_scale=softmax_scale,
            class_activation=config.class_activation,
            epsilon=config.variance_epsilon,
        )
        return selection.scores, selection.video_scores
