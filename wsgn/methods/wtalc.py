"""W-TALC: top-k multiple-instance learning and co-activity, reimplemented on features.

Paul, Roy, Roy-Chowdhury: W-TALC: weakly-supervised temporal activity localization and
classification, ECCV 2018. A hidden layer (linear, ReLU, dropout) and a linear classifier give class
activations; a video's activation is the mean of its k = ceil(T / 8) largest, its class
probabilities their softmax, and the loss lambda times their cross-entropy with the normalised
labels plus 1 - lambda times the co-activity loss (wsgn.methods.coactivity), lambda 0.5.

Deviations: all snippets of a video are used, where the paper samples from long ones. The
co-activity loss is averaged over classes within each pair, then over pairs. The paper cuts segments
from the activations themselves; here activations under 0 count as 0, as scores are not negative in
this harness. Two variants are not the paper's: no hidden layer, and in place of the cross-entropy a
binary one per class, summed over classes, with sigmoid activations as frame scores.
"""

from __future__ import annotations

from torch import Tensor, nn
from torch.nn.functional import (
    cross_entropy,
    relu,
)

from wsgn.methods.coactivity import coactivity_losses
from wsgn.methods.config import WtalcConfig
from wsgn.methods.heads import initialised
from wsgn.methods.interface import HeadOutput, Losses, Targets
from wsgn.methods.losses import logit_losses, normalised_labels
from wsgn.methods.pooling import at_least_single, top_mean
from wsgn.selection.packing import check_offsets


class Wtalc(nn.Module):
    """A hidden layer and class activations; see `wsgn.methods.interface.Method`."""

    def __init__(self, config: WtalcConfig, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.shared: nn.Linear | None = None
        if config.hidden_layer:
            self.shared = initialised(nn.Linear(feature_size, feature_size))
        self.dropout = nn.Dropout(config.dropout)
        self.classifier = initialised(nn.Linear(feature_size, num_classes))

    def heads(self, features: Tensor) -> HeadOutput:
        """Class activations of shared features (N, D); they are the attention logits too."""
        hidden = features
        if self.shared is not None:
            hidden = self.dropout(relu(self.shared(features)))
        activations = self.classifier(hidden)
        return HeadOutput(selection_logits=activations, class_logits=activations, hidden=hidden)

    def losses(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Losses:
        """Cross-entropy with the normalised labels, and the co-activity of the pairs."""
        weight = self.config.coactivity_weight
        pooled = self._pooled(heads, cu_seqlens)
        if self.config.loss == "sigmoid":
            per_video = logit_losses(pooled, targets.labels)
        else:
            per_video = cross_entropy(pooled, normalised_labels(targets.labels), reduction="none")
        per_pair = per_video.new_zeros(0)
        if weight > 0:
            per_pair = weight * coactivity_losses(
                heads.hidden, self._activations(heads), cu_seqlens, targets.labels, targets.pairs
            )
        return Losses(per_video=(1 - weight) * per_video, per_pair=per_pair)

    def _pooled(self, heads: HeadOutput, cu_seqlens: Tensor) -> Tensor:
        """(B, C): the mean of each class's largest activations."""
        check_offsets(cu_seqlens, len(heads.class_logits))
        return top_mean(self._activations(heads), cu_seqlens, self.config.snippets_per_pick)

    def _activations(self, heads: HeadOutput) -> Tensor:
        return at_least_single(heads.class_logits[:, : self.num_classes])
