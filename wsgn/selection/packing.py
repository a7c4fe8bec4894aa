"""Packed batches: videos of different lengths behind each other, told apart by offsets."""

from __future__ import annotations

import itertools

import torch
from torch import Tensor


class Packing:
    """Reductions over the snippets of each video of a packed batch."""

    def __init__(self, cu_seqlens: Tensor, num_snippets: int | None = None) -> None:
        """`num_snippets`, N, where it is known, spares an accelerator a synchronisation."""
        offsets = cu_seqlens.long()
        self.lengths = offsets.diff()  # (B,)
        videos = torch.arange(len(self.lengths), device=offsets.device)
        self.video = torch.repeat_interleave(videos, self.lengths, output_size=num_snippets)  # (N,)

    def sum(self, values: Tensor) -> Tensor:
        """(N, C) -> (B, C), each video by itself: what is not finite in one stays there."""
        zeros = values.new_zeros(len(self.lengths), values.shape[1])
        return zeros.index_add(0, self.video, values)

    def mean(self, values: Tensor) -> Tensor:
        """(N, C) -> (B, C)."""
        return self.sum(values) / self.lengths[:, None].to(values.dtype)

    def max(self, values: Tensor) -> Tensor:
        """(N, C) -> (B, C)."""
        start = values.new_full((len(self.lengths), values.shape[1]), -torch.inf)
        return start.scatter_reduce(
            0, self.video[:, None].expand_as(values), values, "amax", include_self=False
        )

    def spread(self, per_video: Tensor) -> Tensor:
        """(B, C) -> (N, C)."""
        return per_video.index_select(0, self.video)


def mean_per_video(values: Tensor, cu_seqlens: Tensor) -> Tensor:
    """(N, C) -> (B, C): the mean over each video's snippets."""
    return Packing(cu_seqlens, len(values)).mean(values)


def check_offsets(cu_seqlens: Tensor, num_snippets: int) -> None:
    """Refuse offsets that are not (B + 1) integers rising from 0 to N; skipped while tracing."""
    if cu_seqlens.ndim != 1 or len(cu_seqlens) < 2 or cu_seqlens.is_floating_point():
        raise ValueError(
            "cu_seqlens must be a vector of at least 2 integers, got "
            f"{tuple(cu_seqlens.shape)} {cu_seqlens.dtype}."
        )
    # Reading values would stop a trace, and cost a synchronisation on an accelerator.
    if torch.compiler.is_compiling() or cu_seqlens.device.type != "cpu":
        return
    offsets = cu_seqlens.tolist()
    rising = all(a < b for a, b in itertools.pairwise(offsets))
    if offsets[0] != 0 or offsets[-1] != num_snippets or not rising:
        raise ValueError(
            f"cu_seqlens must rise from 0 to N = {num_snippets} without empty videos, "
            f"got {offsets if len(offsets) <= 10 else [*offsets[:10], '...']}."
        )
