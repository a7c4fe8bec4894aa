"""WSGN: class predictions, weighed by selections that are normalised in up to three ways."""

from __future__ import annotations

import math
from typing import TypedDict

import torch
from torch import Tensor, nn

from wsgn.manifest import AVERAGE, IDENTITY
from wsgn.methods.coactivity import coactivity_losses
from wsgn.methods.config import WsgnConfig
from wsgn.methods.heads import Head
from wsgn.methods.interface import HeadOutput, Losses, Targets
from wsgn.methods.losses import logit_losses, score_losses
from wsgn.methods.pooling import at_least_single, top_mean
from wsgn.selection.api import frame_selection, video_selection
from wsgn.selection.operator import class_probabilities
from wsgn.selection.packing import check_offsets, mean_per_video


class SelectionOptions(TypedDict):
    """Keywords of the frame selection."""

    num_classes: int
    components: tuple[str, ...]
    softmax_scale: str
    weight_scale: str
    class_activation: str
    epsilon: float


class Wsgn(nn.Module):
    """The heads of figure 2 and the dataset-wide Gaussian; see `wsgn.methods.interface.Method`."""

    def __init__(self, config: WsgnConfig, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self._video_selection = video_selection
        hidden_layer = config.hidden_layer
        self.class_head = Head(feature_size, num_classes, hidden_layer=hidden_layer)
        self.selection_head = Head(feature_size, num_classes, hidden_layer=hidden_layer)
        # mu_l and s_l = exp(rho) of eq. 5.
        self.global_mean = nn.Parameter(torch.full((num_classes,), config.initial_mean))
        self.global_log_std = nn.Parameter(torch.full((num_classes,), math.log(config.initial_std)))

    def compile_selection(self) -> None:
        """Let a compiler make the code of the selection, as it is worth on a CPU."""
        self._video_selection = torch.compile(video_selection, dynamic=True)

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

    def losses(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Losses:
        """Cross-entropy of what is pooled, and of the frames where their labels are given."""
        config = self.config
        if config.trains_logits:
            per_video = self._losses_of_logits(heads, cu_seqlens, targets)
        elif targets.snippet_labels is None:
            per_video = score_losses(self._video_scores(heads, cu_seqlens), targets.labels)
        else:
            per_video = self._supervised(heads, cu_seqlens, targets.labels, targets.snippet_labels)
        if config.peak_weight > 0:
            peaks = self._peaks(heads, cu_seqlens)
            per_video = per_video + config.peak_weight * logit_losses(peaks, targets.labels)
        return Losses(per_video=per_video, per_pair=self._coactivity(heads, cu_seqlens, targets))

    def _losses_of_logits(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Tensor:
        """(B,): the video's logit is the weighted mean of its snippets'."""
        logits = self._logits(heads)
        pooled = (
            self._selected(heads, cu_seqlens, IDENTITY)
            if self.config.components
            else mean_per_video(logits, cu_seqlens)
        )
        per_video = logit_losses(pooled, targets.labels)
        if targets.snippet_labels is None:
            return per_video
        per_snippet = logit_losses(logits, targets.snippet_labels)  # (N,)
        return per_video + mean_per_video(per_snippet[:, None], cu_seqlens)[:, 0]

    def _peaks(self, heads: HeadOutput, cu_seqlens: Tensor) -> Tensor:
        """(B, C): what the largest logits of each class are."""
        if self.config.peak_pooling == "top_k":
            return top_mean(self._logits(heads), cu_seqlens, self.config.snippets_per_pick)
        options = self._options(IDENTITY)
        options["components"], options["weight_scale"] = ("temporal_softmax",), AVERAGE
        _, h, *others = self._operands(heads, cu_seqlens)
        return self._video_selection(h, h, *others, **options)

    def _supervised(
        self, heads: HeadOutput, cu_seqlens: Tensor, labels: Tensor, snippet_labels: Tensor
    ) -> Tensor:
        """(B,): the loss of section 4.3. Its frames' predictions are p, as w is 1 there.

        With weights per frame they are w p. Weights of mean 1 are none of a frame by itself.
        """
        config = self.config
        if not config.components or config.weighs_average:
            scores = self._probabilities(heads, cu_seqlens)
            video_scores = self._video_scores(heads, cu_seqlens)
        else:
            options = self._options(config.class_activation)
            selection = frame_selection(*self._operands(heads, cu_seqlens), **options)
            scores, video_scores = selection.scores, selection.video_scores
        per_snippet = score_losses(scores, snippet_labels)  # (N,)
        per_video = score_losses(video_scores, labels)
        return per_video + mean_per_video(per_snippet[:, None], cu_seqlens)[:, 0]

    def _coactivity(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Tensor:
        weight = self.config.coactivity_weight
        if weight == 0:
            return heads.hidden.new_zeros(0)
        attention_logits = heads.selection_logits[:, : self.num_classes]
        return weight * coactivity_losses(
            heads.hidden, attention_logits, cu_seqlens, targets.labels, targets.pairs
        )

    def _video_scores(self, heads: HeadOutput, cu_seqlens: Tensor) -> Tensor:
        """(B, C); eq. 1 where there are no components."""
        if not self.config.components:
            return mean_per_video(self._probabilities(heads, cu_seqlens), cu_seqlens)
        return self._selected(heads, cu_seqlens, self.config.class_activation)

    def _selected(self, heads: HeadOutput, cu_seqlens: Tensor, activation: str) -> Tensor:
        """(B, C): the mean of w times probabilities, or times logits under IDENTITY."""
        operands, options = self._operands(heads, cu_seqlens), self._options(activation)
        return self._video_selection(*operands, **options)

    def _probabilities(self, heads: HeadOutput, cu_seqlens: Tensor) -> Tensor:
        """(N, C)."""
        check_offsets(cu_seqlens, len(heads.class_logits))
        return class_probabilities(self._logits(heads), self.config.class_activation)

    def _logits(self, heads: HeadOutput) -> Tensor:
        """Class logits (N, C)."""
        return at_least_single(heads.class_logits[:, : self.num_classes])

    def _operands(
        self, heads: HeadOutput, cu_seqlens: Tensor
    ) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
        logits = heads.selection_logits, heads.class_logits
        return *logits, cu_seqlens, self.global_mean, self.global_std

    def _options(self, activation: str) -> SelectionOptions:
        config = self.config
        return SelectionOptions(
            num_classes=self.num_classes,
            components=config.components,
            softmax_scale=config.softmax_scale,
            weight_scale=config.weight_scale,
            class_activation=activation,
            epsilon=config.variance_epsilon,
        )
