"""WSGN: class probabilities, weighed by selections that are normalised in up to three ways."""

from __future__ import annotations

import math
from typing import TypedDict

import torch
from torch import Tensor, nn

from wsgn.manifest import GATE_HALF, SOFT_GATE
from wsgn.methods.coactivity import coactivity_losses
from wsgn.methods.config import WsgnConfig
from wsgn.methods.heads import Head
from wsgn.methods.interface import HeadOutput, Losses, Targets
from wsgn.methods.losses import score_losses
from wsgn.selection.api import frame_selection, video_selection
from wsgn.selection.operator import class_probabilities
from wsgn.selection.packing import Packing, check_offsets, mean_per_video


class SelectionOptions(TypedDict):
    """Keywords of the frame selection."""

    num_classes: int
    components: tuple[str, ...]
    softmax_scale: str
    class_activation: str
    epsilon: float


class Wsgn(nn.Module):
    """The heads of figure 2 and the dataset-wide Gaussian; see `wsgn.methods.interface.Method`."""

    def __init__(self, config: WsgnConfig, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        hidden_layer = config.hidden_layer
        self.class_head = Head(feature_size, num_classes, hidden_layer=hidden_layer)
        self.selection_head = Head(feature_size, num_classes, hidden_layer=hidden_layer)
        # mu_l and s_l = exp(rho) of eq. 5.
        self.global_mean = nn.Parameter(torch.full((num_classes,), config.initial_mean))
        self.global_log_std = nn.Parameter(torch.full((num_classes,), math.log(config.initial_std)))

    @property
    def global_std(self) -> Tensor:
        """s_l, (C)."""
        return self.global_log_std.exp()

    def heads(self, features: Tensor) -> HeadOutput:
        """Both heads on shared features (N, D); the selection head's hidden layer is compared."""
        hidden, selection_logits = self.selection_head(features)
        _, class_logits = self.class_head(features)
        return HeadOutput(
            selection_logits=selection_logits, class_logits=class_logits, hidden=hidden
        )

    def frame_scores(self, heads: HeadOutput, cu_seqlens: Tensor) -> Tensor:
        """(N, C) at the scale for scoring."""
        if self.config.scoring_softmax_scale == SOFT_GATE:
            return self._gated_scores(heads, cu_seqlens)
        return self._frame_scores(heads, cu_seqlens, self.config.scoring_softmax_scale)[0]

    def video_scores(self, heads: HeadOutput, cu_seqlens: Tensor) -> Tensor:
        """(B, C) at the scale for scoring."""
        if self.config.scoring_softmax_scale == SOFT_GATE:
            return mean_per_video(self._gated_scores(heads, cu_seqlens), cu_seqlens)
        return self._video_scores(heads, cu_seqlens, self.config.scoring_softmax_scale)

    def losses(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Losses:
        """Cross-entropy of the video scores; of the frame scores where their labels are given."""
        scale = self.config.softmax_scale
        if targets.snippet_labels is None:
            video_scores = self._video_scores(heads, cu_seqlens, scale)
            per_video = score_losses(video_scores, targets.labels)
        else:
            scores, video_scores = self._frame_scores(heads, cu_seqlens, scale)
            per_snippet = score_losses(scores, targets.snippet_labels)  # (N,)
            per_video = score_losses(video_scores, targets.labels)
            per_video = per_video + mean_per_video(per_snippet[:, None], cu_seqlens)[:, 0]
        return Losses(per_video=per_video, per_pair=self._coactivity(heads, cu_seqlens, targets))

    def _coactivity(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Tensor:
        weight = self.config.coactivity_weight
        if weight == 0:
            return heads.hidden.new_zeros(0)
        attention_logits = heads.selection_logits[:, : self.num_classes]
        return weight * coactivity_losses(
            heads.hidden, attention_logits, cu_seqlens, targets.labels, targets.pairs
        )

    def _frame_scores(
        self, heads: HeadOutput, cu_seqlens: Tensor, scale: str
    ) -> tuple[Tensor, Tensor]:
        """Scores (N, C) and video scores (B, C)."""
        if not self.config.components:
            scores = self._probabilities(heads, cu_seqlens)
            return scores, mean_per_video(scores, cu_seqlens)
        selection = frame_selection(*self._operands(heads, cu_seqlens), **self._options(scale))
        return selection.scores, selection.video_scores

    def _video_scores(self, heads: HeadOutput, cu_seqlens: Tensor, scale: str) -> Tensor:
        if not self.config.components:
            return mean_per_video(self._probabilities(heads, cu_seqlens), cu_seqlens)
        return video_selection(*self._operands(heads, cu_seqlens), **self._options(scale))

    def _gated_scores(self, heads: HeadOutput, cu_seqlens: Tensor) -> Tensor:
        """(N, C): the temporal softmax as a soft gate, averaged with the other components."""
        probabilities = self._probabilities(heads, cu_seqlens)
        components = self.config.components
        if "temporal_softmax" not in components:
            return self._frame_scores(heads, cu_seqlens, "max_one")[0]
        logits = heads.selection_logits[:, : self.num_classes].float()
        packing = Packing(cu_seqlens)
        weights = (logits - packing.spread(packing.max(logits))).exp()
        weights = weights / packing.spread(packing.mean(weights))  # (N, C), mean 1 in each video
        scores = weights / (weights + GATE_HALF) * probabilities
        others = tuple(name for name in components if name != "temporal_softmax")
        if others:
            options = self._options("max_one") | {"components": others}
            selected = frame_selection(*self._operands(heads, cu_seqlens), **options)
            scores = scores + len(others) * selected.scores
        return scores / len(components)

    def _probabilities(self, heads: HeadOutput, cu_seqlens: Tensor) -> Tensor:
        """The weights of the naive model are 1: class probabilities (N, C)."""
        check_offsets(cu_seqlens, len(heads.class_logits))
        logits = heads.class_logits[:, : self.num_classes].float()
        return class_probabilities(logits, self.config.class_activation)

    def _operands(
        self, heads: HeadOutput, cu_seqlens: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        logits = heads.selection_logits, heads.class_logits
        return *logits, cu_seqlens, self.global_mean, self.global_std

    def _options(self, scale: str) -> SelectionOptions:
        config = self.config
        return SelectionOptions(
            num_classes=self.num_classes,
            components=config.components,
            softmax_scale=scale,
            class_activation=config.class_activation,
            epsilon=config.variance_epsilon,
        )
