"""Pooling over the snippets of each video, which the baselines share."""

from __future__ import annotations

import math

import torch
from torch import Tensor
from torch.nn.functional import avg_pool1d, pad

from wsgn.selection.packing import Packing

# Neighbours of a running mean on a GPU, one shift of the whole batch each.
_MOST_SHIFTS = 33


def at_least_single(values: Tensor) -> Tensor:
    """The values in float32, or as they are where that is wider: losses know no half precision."""
    return values.to(torch.promote_types(values.dtype, torch.float32))


def temporal_softmax(logits: Tensor, cu_seqlens: Tensor) -> Tensor:
    """(N, C) -> (N, C): the softmax over each video's snippets."""
    packing = Packing(cu_seqlens, len(logits))
    # The largest cancels; without it the exponential would overflow.
    exponentials = (logits - packing.spread(packing.max(logits).detach())).exp()
    return exponentials / packing.spread(packing.sum(exponentials))


def top_mean(values: Tensor, cu_seqlens: Tensor, snippets_per_pick: int) -> Tensor:
    """(N, C) -> (B, C): per class the mean of the k = ceil(T / snippets_per_pick) largest."""
    pooled = []
    # One video after the other: sorting the whole batch took 4 to 7 times as long.
    for snippets in torch.split(values, cu_seqlens.diff().tolist()):
        picks = math.ceil(len(snippets) / snippets_per_pick)
        pooled.append(snippets.topk(picks, dim=0).values.mean(dim=0))
    return torch.stack(pooled)


def running_mean(values: Tensor, cu_seqlens: Tensor, num_snippets: int) -> Tensor:
    """(N, C) -> (N, C): the mean of each and its neighbours in its video, `num_snippets` (odd).

    Neighbours beyond the ends of a video do not exist and do not count.
    """
    if num_snippets == 1:
        return values
    if values.is_cuda and num_snippets <= _MOST_SHIFTS:
        return _shifted_mean(values, cu_seqlens, num_snippets)
    means = [
        avg_pool1d(snippets.T[None], num_snippets, 1, num_snippets // 2, count_include_pad=False)[
            0
        ].T
        for snippets in torch.split(values, cu_seqlens.diff().tolist())
    ]
    return torch.cat(means)


def _shifted_mean(values: Tensor, cu_seqlens: Tensor, num_snippets: int) -> Tensor:
    """The same without a look at the offsets, for which a GPU would be waited for."""
    video = Packing(cu_seqlens, len(values)).video  # (N,)
    total, count = values, torch.ones_like(values[:, :1])
    for shift in range(1, min(num_snippets // 2, len(values) - 1) + 1):
        same = (video[shift:] == video[:-shift]).to(values.dtype)[:, None]  # (N - shift, 1)
        # Behind and before; what is not finite stays in its video.
        for part, ends in ((values[:-shift], (shift, 0)), (values[shift:], (0, shift))):
            total = total + pad(torch.where(same > 0, part, 0), (0, 0, *ends))
            count = count + pad(same, (0, 0, *ends))
    return total / count
