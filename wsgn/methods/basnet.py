"""Background suppression network (BaS-Net), reimplemented on features.

Lee, Uh, Byun: Background suppression network for weakly-supervised temporal action localization,
AAAI 2020. Class activations have a background class beside the C actions. The same layers run
twice: the base branch on the features x_t, the suppression branch on lambda_t x_t, where a
filtering module of two layers gives lambda_t in (0, 1). A branch's video scores are the softmax
over C + 1 classes of the mean of each class's k = ceil(T / 8) largest activations. In the base
branch every video has the background, in the suppression branch none has it, which only a lambda
near 0 outside of actions can bring about. The loss is the sum of both branches' cross-entropies
and the L1 norm of lambda.

Deviations: temporal convolutions of width 3 are linear layers here, as every snippet is to be
scored alone, and one of them is left of two; without a hidden layer the classifier is linear. All
snippets are used instead of 750 of each video, so the norm counts as that of 750. Two streams
enter as one feature vector, as in the paper. Activations of the suppression branch under 0 count
as 0 when segments are cut, and its video scores are the softmax over the C actions, without the
background.
"""

from __future__ import annotations

from dataclasses import dataclass

from torch import Tensor, nn
from torch.nn.functional import leaky_relu

from wsgn.methods.config import BasnetConfig
from wsgn.methods.heads import initialised
from wsgn.methods.interface import HeadOutput, Losses, Targets
from wsgn.methods.losses import labels_with_background, score_losses
from wsgn.methods.pooling import at_least_single, top_mean
from wsgn.selection.packing import check_offsets, mean_per_video

# Of the leaky ReLUs (the authors' code).
SLOPE = 0.2


@dataclass(frozen=True, kw_only=True)
class SuppressedOutput(HeadOutput):
    """The class logits are those of the suppression branch, the background behind the C actions."""

    # (N, C + 1) of the base branch, and (N, 1) of lambda before the sigmoid.
    base_logits: Tensor
    attention_logits: Tensor


class Basnet(nn.Module):
    """Shared class layers and the filtering module; see `wsgn.methods.interface.Method`."""

    def __init__(self, config: BasnetConfig, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.hidden: nn.Linear | None = None
        if config.hidden_layer:
            self.hidden = initialised(nn.Linear(feature_size, feature_size))
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = nn.Linear(feature_size, num_classes + 1, bias=False)
        nn.init.xavier_uniform_(self.classifier.weight)
        self.filter_hidden = initialised(nn.Linear(feature_size, config.attention_size))
        self.filter_output = initialised(nn.Linear(config.attention_size, 1))

    def heads(self, features: Tensor) -> HeadOutput:
        """Both branches on shared features (N, D)."""
        filtered = leaky_relu(self.filter_hidden(features), SLOPE)
        attention_logits = self.filter_output(filtered)  # (N, 1)
        _, base_logits = self._class_layers(features)
        hidden, class_logits = self._class_layers(attention_logits.sigmoid() * features)
        return SuppressedOutput(
            selection_logits=attention_logits.expand(-1, self.num_classes),
            class_logits=class_logits,
            hidden=hidden,
            base_logits=base_logits,
            attention_logits=attention_logits,
        )

    def losses(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Losses:
        """Cross-entropy of both branches, and the weighted norm of lambda."""
        assert isinstance(heads, SuppressedOutput)
        per_video = self._branch_losses(heads.base_logits, cu_seqlens, targets.labels, 1.0)
        per_video = per_video + self._branch_losses(
            heads.class_logits, cu_seqlens, targets.labels, 0.0
        )
        attention = at_least_single(heads.attention_logits).sigmoid()
        norm = self.config.sparsity_snippets * mean_per_video(attention, cu_seqlens)[:, 0]  # (B,)
        per_video = per_video + self.config.sparsity_weight * norm
        return Losses(per_video=per_video, per_pair=per_video.new_zeros(0))

    def _class_layers(self, features: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden features (N, D), and activations of the actions and the background (N, C + 1)."""
        hidden = features
        if self.hidden is not None:
            hidden = leaky_relu(self.hidden(hidden), SLOPE)
        hidden = self.dropout(hidden)
        return hidden, self.classifier(hidden)

    def _branch_losses(
        self, logits: Tensor, cu_seqlens: Tensor, labels: Tensor, background: float
    ) -> Tensor:
        """(B,): binary cross-entropy of the softmax with the labels divided by their sum."""
        check_offsets(cu_seqlens, len(logits))
        pooled = top_mean(at_least_single(logits), cu_seqlens, self.config.snippets_per_pick)
        return score_losses(pooled.softmax(dim=1), labels_with_background(labels, background))
