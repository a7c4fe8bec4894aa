"""Co-activity similarity loss (CASL): where two videos show a class, their features agree.

Paul, Roy, Roy-Chowdhury: W-TALC, ECCV 2018, section 3.4. For a pair of videos (i, j) and a class
that both have, the attention a = softmax over time of the class's logits gives a high feature
sum_t a_t x_t, where the class probably is, and a low one, sum_t (1 - a_t) x_t / (T - 1), where it
is not. With the cosine distance d = 1 - cos, the high features shall lie nearer to each other than
either to the other's low feature, by a margin:

    1/2 max(0, d(high_i, high_j) - d(high_i, low_j) + margin)
  + 1/2 max(0, d(high_i, high_j) - d(low_i, high_j) + margin).
"""

from __future__ import annotations

import torch
from torch import Tensor
from torch.nn.functional import relu

from wsgn.selection.packing import check_offsets

# Squared length under which a feature counts as zero, so that its direction has no gradient; far
# below any feature of use (ReLU units are of order 1).
_SMALLEST_SQUARE = 1e-8


def coactivity_losses(
    hidden: Tensor,
    attention_logits: Tensor,
    cu_seqlens: Tensor,
    labels: Tensor,
    pairs: Tensor,
    *,
    margin: float = 0.5,
) -> Tensor:
    """The loss (P,) of each pair of videos, mean over the classes that both have.

    `hidden` (N, H) and `attention_logits` (N, C) are of a packed batch of B videos with `labels`
    (B, C); `pairs` (P, 2) are indices of videos. A pair without a common class, or with a video
    of one snippet, which has no low feature, is 0. Computed in float32 or better.
    """
    check_offsets(cu_seqlens, len(hidden))
    if pairs.ndim != 2 or pairs.shape[1] != 2:
        raise ValueError(f"pairs must be (P, 2), got {tuple(pairs.shape)}.")
    if len(pairs) == 0:
        return hidden.new_zeros(0, dtype=_exact(hidden.dtype))
    with torch.autocast(hidden.device.type, enabled=False):
        high, low = _pair_features(hidden, attention_logits, cu_seqlens, pairs)  # (P, 2, C, H)
        together = _cosine_distance(high[:, 0], high[:, 1])  # (P, C)
        first = relu(together - _cosine_distance(high[:, 0], low[:, 1]) + margin)
        second = relu(together - _cosine_distance(low[:, 0], high[:, 1]) + margin)
        counted = _counted(cu_seqlens, labels, pairs).to(together.dtype)
        total = ((first + second) / 2 * counted).sum(dim=1)
        return total / counted.sum(dim=1).clamp(min=1)


def _pair_features(
    hidden: Tensor, attention_logits: Tensor, cu_seqlens: Tensor, pairs: Tensor
) -> tuple[Tensor, Tensor]:
    """High and low features (P, 2, C, H)."""
    # One matrix product for each video of a pair: a packed reduction would need (N, C, H) values.
    offsets: list[int] = cu_seqlens.tolist()
    features = []
    for video in pairs.flatten().tolist():
        rows = slice(offsets[video], offsets[video + 1])
        attention = attention_logits[rows].to(_exact(attention_logits.dtype)).softmax(dim=0)
        low_attention = (1 - attention) / max(1, len(attention) - 1)
        weights = torch.cat([attention, low_attention], dim=1)  # (T, 2 C)
        snippets = hidden[rows].to(weights.dtype)
        features.append(weights.T @ snippets)
    num_classes = attention_logits.shape[1]
    stacked = torch.stack(features)  # (2 P, 2 C, H)
    high, low = stacked.view(len(pairs), 2, 2, num_classes, hidden.shape[1]).unbind(dim=2)
    return high, low


def _counted(cu_seqlens: Tensor, labels: Tensor, pairs: Tensor) -> Tensor:
    """(P, C): the classes that both videos have, none where one is too short."""
    long_enough = cu_seqlens.diff() >= 2  # (B,)
    present = (labels > 0) & long_enough[:, None]
    return present[pairs[:, 0]] & present[pairs[:, 1]]


def _cosine_distance(first: Tensor, second: Tensor) -> Tensor:
    """1 - cos along the last axis; 1 where one of them is zero."""
    return 1 - (_direction(first) * _direction(second)).sum(dim=-1)


def _direction(vectors: Tensor) -> Tensor:
    squares = vectors.square().sum(dim=-1, keepdim=True)
    # Both branches stay finite, as a gradient flows through both.
    safe = torch.where(squares > _SMALLEST_SQUARE, squares, torch.ones_like(squares))
    return torch.where(squares > _SMALLEST_SQUARE, vectors * safe.rsqrt(), vectors * 0)


def _exact(dtype: torch.dtype) -> torch.dtype:
    """float32, or the type itself where that is wider."""
    return torch.promote_types(dtype, torch.float32)
