"""The operator as one would write it in plain PyTorch, in three ways, and the fused one.

All take selection logits x and class logits h, mu and sigma (C), and give video scores y (B, C) of
all three components with a softmax over classes. The plain ones are left to autograd and written
without a synchronisation, so that only the arithmetic and the traffic differ. They compute in
float32 or better, as autocast does.
"""

from __future__ import annotations

import torch
from torch import Tensor

from benchmarks.kernels.workload import EPSILON, Implementation, Layout, VideoScores
from wsgn.selection.api import video_selection


def _accumulating(values: Tensor) -> Tensor:
    return values if values.dtype == torch.float64 else values.float()


def _gaussian(values: Tensor) -> Tensor:
    return torch.exp(-values.square())


def packed_scores(
    x: Tensor, h: Tensor, mu: Tensor, sigma: Tensor, layout: Layout, softmax_scale: str
) -> Tensor:
    """Sums over the snippets of each video by index_add, statistics spread by index_select.

    The backward of index_select is index_add; that of an index in brackets sorts first.
    """
    x, h = _accumulating(x), _accumulating(h)
    video, count = layout.video, layout.num_snippets.to(x.dtype)
    zeros = x.new_zeros(len(count), x.shape[1])

    def sum_per_video(values: Tensor) -> Tensor:
        return zeros.index_add(0, video, values)

    def mean_per_video(values: Tensor) -> Tensor:
        return sum_per_video(values) / count

    def spread(per_video: Tensor) -> Tensor:
        return per_video.index_select(0, video)

    centred = x - spread(mean_per_video(x))
    deviation = (mean_per_video(centred.square()) + EPSILON).sqrt()
    z = _gaussian(centred / spread(deviation))
    l = _gaussian((x - mu) / sigma)  # noqa: E741 (the paper's symbol)
    largest = torch.full_like(zeros, -torch.inf).scatter_reduce(
        0, video[:, None].expand_as(x), x, "amax", include_self=False
    )
    q = (x - spread(largest)).exp()
    if softmax_scale != "max_one":
        q = q / spread(sum_per_video(q))
    if softmax_scale == "mean_one":
        q = q * spread(count)
    return mean_per_video((z + l + q) / 3 * h.softmax(dim=1))


def padded_scores(
    x: Tensor, h: Tensor, mu: Tensor, sigma: Tensor, layout: Layout, softmax_scale: str
) -> Tensor:
    """Masked sums over dimension 1 of (B, Tmax, C)."""
    x, h = _accumulating(x), _accumulating(h)
    mask, count = layout.mask, layout.num_snippets[:, :, None].to(x.dtype)

    def mean_per_video(values: Tensor) -> Tensor:
        return (values * mask).sum(dim=1, keepdim=True) / count

    centred = x - mean_per_video(x)
    z = _gaussian(centred / (mean_per_video(centred.square()) + EPSILON).sqrt())
    l = _gaussian((x - mu) / sigma)  # noqa: E741
    q = _softmax(x.masked_fill(~mask, -torch.inf), 1, count, softmax_scale)
    return mean_per_video((z + l + q) / 3 * h.softmax(dim=2))[:, 0]


def looped_scores(
    x: Tensor, h: Tensor, mu: Tensor, sigma: Tensor, layout: Layout, softmax_scale: str
) -> Tensor:
    """One video after the other."""
    lengths = list(layout.lengths)
    parts = zip(torch.split(x, lengths), torch.split(h, lengths), strict=True)
    return torch.stack([_video_score(a, b, mu, sigma, softmax_scale) for a, b in parts])


def _video_score(x: Tensor, h: Tensor, mu: Tensor, sigma: Tensor, softmax_scale: str) -> Tensor:
    """(T, C) -> (C)."""
    x, h = _accumulating(x), _accumulating(h)
    centred = x - x.mean(dim=0)
    z = _gaussian(centred / (centred.square().mean(dim=0) + EPSILON).sqrt())
    l = _gaussian((x - mu) / sigma)  # noqa: E741
    q = _softmax(x, 0, len(x), softmax_scale)
    return ((z + l + q) / 3 * h.softmax(dim=1)).mean(dim=0)


def _softmax(x: Tensor, dim: int, count: Tensor | int, softmax_scale: str) -> Tensor:
    if softmax_scale == "max_one":
        return (x - x.amax(dim=dim, keepdim=True)).exp()
    return x.softmax(dim=dim) * (count if softmax_scale == "mean_one" else 1)


def fused_scores(
    x: Tensor, h: Tensor, mu: Tensor, sigma: Tensor, layout: Layout, softmax_scale: str
) -> Tensor:
    """The product's operator; on a GPU the fused kernels, once `wsgn.kernels` is imported.

    x and h may have more columns than mu (C): those are ignored.
    """
    return video_selection(
        x, h, layout.cu_seqlens, mu, sigma,
        num_classes=len(mu), softmax_scale=softmax_scale, epsilon=EPSILON,
    )  # fmt: skip


PACKED = Implementation(name="eager, packed", video_scores=packed_scores)
PADDED = Implementation(name="eager, padded", video_scores=padded_scores, is_padded=True)
LOOPED = Implementation(name="eager, loop", video_scores=looped_scores)
FUSED = Implementation(name="ours", video_scores=fused_scores)


def compiled_operator() -> Implementation:
    """The product's operator under `wsgn-train --compile` on a CPU; one code for all shapes."""
    compiled: VideoScores = torch.compile(fused_scores, dynamic=True)
    return Implementation(name="ours, compiled", video_scores=compiled, is_compiled=True)


def compiled_baseline() -> Implementation:
    """torch.compile of the packed formulas for one shape alone, which is the best it can get."""
    torch._dynamo.reset()
    compiled: VideoScores = torch.compile(packed_scores, dynamic=False, fullgraph=True)
    return Implementation(name="torch.compile, packed", video_scores=compiled, is_compiled=True)
