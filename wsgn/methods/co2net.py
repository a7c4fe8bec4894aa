"""Cross-modal consensus network (CO2-Net), reimplemented on features of two streams.

Hong, Feng, Xu, Shan, Zheng: Cross-modal consensus network for weakly supervised temporal action
localization, ACM Multimedia 2021. In the cross-modal consensus module each stream is the main one
once: its channels are filtered by sigmoid(g * l), g from itself and l from the other stream, and
an attention looks at what is left. The filtered streams are joined and classified into C actions
and a background; lambda is the mean of both attentions. Losses, all with the weights of the paper:
cross-entropy of the mean of the k = ceil(T / 7) largest activations, where the background is always
there, and of the activations times lambda, where it never is; the mean of the attentions; their
distance from 1 - p(background); and the mutual loss, in which each attention follows the other.

Deviations: g is of the snippet itself instead of the whole video's mean, and temporal convolutions
of width 3 are linear layers, as every snippet is to be scored alone; the co-activity loss is left
out. Features of one stream are taken as two halves. Activations times lambda under 0 count as 0
when segments are cut; video scores are their softmax over the C actions, without the background.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy, leaky_relu

from wsgn.errors import UsageError
from wsgn.methods.basnet import SLOPE, SuppressedOutput
from wsgn.methods.config import Co2netConfig
from wsgn.methods.heads import initialised
from wsgn.methods.interface import HeadOutput, Losses, Targets
from wsgn.methods.losses import labels_with_background
from wsgn.methods.pooling import at_least_single, top_mean
from wsgn.selection.packing import check_offsets, mean_per_video


@dataclass(frozen=True, kw_only=True)
class ConsensusOutput(SuppressedOutput):
    """With the attentions of both streams apart; `attention_logits` is the mean of their logits."""

    # (N, 2) in (0, 1).
    stream_attentions: Tensor


class StreamFilter(nn.Module):
    """The consensus of one stream with the other, and the attention of what is left."""

    def __init__(self, main_size: int, other_size: int, attention_size: int) -> None:
        super().__init__()
        self.own = initialised(nn.Linear(main_size, main_size))
        self.other = initialised(nn.Linear(other_size, main_size))
        self.attention_hidden = initialised(nn.Linear(main_size, attention_size))
        self.attention_output = initialised(nn.Linear(attention_size, 1))
        self.dropout = nn.Dropout(0.5)

    def forward(self, main: Tensor, other: Tensor) -> tuple[Tensor, Tensor]:
        """Filtered features (N, M) of the main stream, and their attention logits (N, 1)."""
        own = self.dropout(leaky_relu(self.own(main), SLOPE))
        given = self.dropout(leaky_relu(self.other(other), SLOPE))
        filtered = (own * given).sigmoid() * main
        hidden = self.dropout(leaky_relu(self.attention_hidden(filtered), SLOPE))
        return filtered, at_least_single(self.attention_output(hidden))


class Co2net(nn.Module):
    """Two filtered streams under one classifier; see `wsgn.methods.interface.Method`."""

    def __init__(self, config: Co2netConfig, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        first = config.first_stream_size or feature_size // 2
        if not 0 < first < feature_size:
            raise UsageError(
                f"co2net takes two streams: the first cannot have {first} of the features' "
                f"{feature_size} channels."
            )
        self.stream_sizes = [first, feature_size - first]
        self.first = StreamFilter(first, feature_size - first, config.attention_size)
        self.second = StreamFilter(feature_size - first, first, config.attention_size)
        self.fusion: nn.Linear | None = None
        if config.hidden_layer:
            self.fusion = initialised(nn.Linear(feature_size, feature_size))
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = initialised(nn.Linear(feature_size, num_classes + 1))

    def heads(self, features: Tensor) -> HeadOutput:
        """Attentions, and activations of the actions and the background, of features (N, D)."""
        first, second = torch.split(features, self.stream_sizes, dim=1)
        one, first_logits = self.first(first, second)
        other, second_logits = self.second(second, first)
        hidden = torch.cat([one, other], dim=1)
        if self.fusion is not None:
            hidden = leaky_relu(self.fusion(hidden), SLOPE)
        hidden = self.dropout(hidden)
        base_logits = self.classifier(hidden)
        attentions = torch.cat([first_logits, second_logits], dim=1).sigmoid()  # (N, 2)
        # Not the logit of their mean, which near 0 and 1 would be rounding.
        attention_logits = (first_logits + second_logits) / 2  # (N, 1)
        return ConsensusOutput(
            selection_logits=attention_logits.expand(-1, self.num_classes),
            class_logits=(attentions.mean(dim=1, keepdim=True) * base_logits).to(base_logits.dtype),
            hidden=hidden,
            base_logits=base_logits,
            attention_logits=attention_logits,
            stream_attentions=attentions,
        )

    def losses(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Losses:
        """The terms named above, each a mean over snippets or a sum over classes."""
        assert isinstance(heads, ConsensusOutput)
        config, labels = self.config, targets.labels
        base_logits = at_least_single(heads.base_logits)
        per_video = self._branch_losses(base_logits, cu_seqlens, labels, 1.0)
        per_video = per_video + self._branch_losses(heads.class_logits, cu_seqlens, labels, 0.0)
        both = heads.stream_attentions
        attentions = torch.cat([both, both.mean(dim=1, keepdim=True)], dim=1)  # (N, 3)
        background = base_logits.softmax(dim=1)[:, -1:]
        terms = (
            torch.cat(
                [
                    config.sparsity_weight * attentions,
                    config.guide_weight * (1 - attentions - background).abs(),
                ],
                dim=1,
            ).sum(dim=1, keepdim=True)
            / 3
        )  # (N, 1)
        followed = (both - both.detach().flip(dims=(1,))).square().sum(dim=1, keepdim=True) / 2
        per_video = per_video + mean_per_video(terms + followed, cu_seqlens)[:, 0]
        return Losses(per_video=per_video, per_pair=per_video.new_zeros(0))

    def _branch_losses(
        self, logits: Tensor, cu_seqlens: Tensor, labels: Tensor, background: float
    ) -> Tensor:
        """(B,): cross-entropy with the labels divided by their sum."""
        check_offsets(cu_seqlens, len(logits))
        pooled = top_mean(at_least_single(logits), cu_seqlens, self.config.snippets_per_pick)
        wanted = labels_with_background(labels, background)
        return cross_entropy(pooled, wanted.to(pooled.dtype), reduction="none")
