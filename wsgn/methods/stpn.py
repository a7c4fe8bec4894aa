"""Sparse temporal pooling (STPN), reimplemented on features.

Nguyen, Liu, Prasad, Han: Weakly supervised action localization by sparse temporal pooling network,
CVPR 2018. An attention of two layers gives each snippet a weight lambda in (0, 1), the same for all
classes; features are averaged with these weights and classified; sigmoid and binary cross-entropy
per class, and the L1 norm of the attention keeps it sparse. Localisation is by the weighted
temporal class activation map psi = lambda * sigmoid(a), a = W x.

Deviations: where the paper samples 400 snippets of each video, all are used; so the weighted sum of
features is divided by T, and the norm counts as that of 400 snippets. A bias is added to the
video's logits, not to the activation map. Two streams enter as one feature vector instead of being
scored apart and joined. Not the paper's are a hidden layer under all, and an attention that starts
near 1 (`initial_attention_logit`): standardised features have mean 0, so that lambda and 1 - lambda
say the same of a video, and some trainings that start at 1/2 end upside down.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn
from torch.nn.functional import binary_cross_entropy_with_logits, relu

from wsgn.methods.config import StpnConfig
from wsgn.methods.heads import initialised, shared_layer
from wsgn.methods.interface import HeadOutput, Losses, Targets
from wsgn.methods.pooling import at_least_single
from wsgn.selection.packing import check_offsets, mean_per_video


class Stpn(nn.Module):
    """Attention and classification layers; see `wsgn.methods.interface.Method`."""

    def __init__(self, config: StpnConfig, feature_size: int, num_classes: int) -> None:
        super().__init__()
        self.config = config
        self.num_classes = num_classes
        self.shared = shared_layer(feature_size, hidden_layer=config.hidden_layer)
        self.attention_hidden = initialised(nn.Linear(feature_size, config.attention_size))
        self.attention_output = initialised(nn.Linear(config.attention_size, 1))
        nn.init.constant_(self.attention_output.bias, config.initial_attention_logit)
        self.classifier = nn.Linear(feature_size, num_classes, bias=False)
        nn.init.xavier_uniform_(self.classifier.weight)
        self.class_bias = nn.Parameter(torch.zeros(num_classes))

    def heads(self, features: Tensor) -> HeadOutput:
        """Attention logits and class activations a of shared features (N, D)."""
        features = self.shared(features)
        logits = self.attention_output(relu(self.attention_hidden(features)))  # (N, 1)
        return HeadOutput(
            selection_logits=logits.expand(-1, self.num_classes),
            class_logits=self.classifier(features),
            hidden=features,
        )

    def losses(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Losses:
        """Binary cross-entropy, mean over classes, and the weighted norm of the attention."""
        classification = binary_cross_entropy_with_logits(
            self._video_logits(heads, cu_seqlens), targets.labels, reduction="none"
        ).mean(dim=1)
        mean_attention = mean_per_video(_attention(heads), cu_seqlens)[:, 0]  # (B,)
        sparsity = self.config.sparsity_snippets * mean_attention
        per_video = classification + self.config.sparsity_weight * sparsity
        return Losses(per_video=per_video, per_pair=per_video.new_zeros(0))

    def _video_logits(self, heads: HeadOutput, cu_seqlens: Tensor) -> Tensor:
        """(B, C): the classifier is linear, so it is pooled behind instead of before it."""
        check_offsets(cu_seqlens, len(heads.class_logits))
        weighted = _attention(heads) * self._activations(heads)
        return mean_per_video(weighted, cu_seqlens) + self.class_bias

    def _activations(self, heads: HeadOutput) -> Tensor:
        return at_least_single(heads.class_logits[:, : self.num_classes])


def _attention(heads: HeadOutput) -> Tensor:
    """lambda, (N, 1)."""
    return at_least_single(heads.selection_logits[:, :1]).sigmoid()
