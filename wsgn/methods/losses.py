"""Losses on the scores or logits of videos, and of frames for the supervised variant."""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import binary_cross_entropy_with_logits

# Scores are kept this far from 0 and 1, where the logarithm ends.
_MARGIN = 1e-7


def score_losses(scores: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of scores in [0, 1], mean over classes: a loss per row (section 3.4).

    Both are (B, C) of videos, or (N, C) of snippets. `mean_one` scaling can lift a score over 1;
    it counts as 1 then. What is not a number stays so, where PyTorch's own function would stop.
    """
    clamped = scores.clamp(_MARGIN, 1 - _MARGIN)
    return -(labels * clamped.log() + (1 - labels) * (-clamped).log1p()).mean(dim=1)


def logit_losses(logits: Tensor, labels: Tensor) -> Tensor:
    """Binary cross-entropy of the sigmoid of logits, summed over classes: a loss per row.

    Both are (B, C) of videos, or (N, C) of snippets. A mean would weaken the loss, beside the decay
    of the weights, the more the more classes there are.
    """
    losses = binary_cross_entropy_with_logits(logits, labels.to(logits.dtype), reduction="none")
    return losses.sum(dim=1)


def labels_with_background(labels: Tensor, background: float) -> Tensor:
    """Labels (B, C) and one of the background behind them (B, C + 1), divided by their sum."""
    column = torch.full_like(labels[:, :1], background)
    return normalised_labels(torch.cat([labels, column], dim=1))


def normalised_labels(labels: Tensor) -> Tensor:
    """0/1 labels (B, C) divided by their sum; a row without labels stays zero."""
    return labels / labels.sum(dim=1, keepdim=True).clamp(min=1)
