"""Plain PyTorch frame selection: the forward, and the backward in closed form.

The batch is walked block by block, so that temporaries never have N rows. Symbols are those of
`wsgn.selection.api`. With g = dL/d(score), divided by the number of components,

    dx = 2 (mean g p z u + u mean g p z u^2 - g p z u) / sd       through z
       - 2 g p l v / sigma                                        through l
       + g q p - q sum_t s p g, with s = softmax_t x              through q (sum_one, mean_one)
       + g q p - [x = max] / ties * sum_t g q p                   through q (max_one)
    dh = p (G - sum_c p G) with G = g (z + l + q)       (sigmoid: p (1 - p) G; identity: G)

The weighted average takes z / mean z in the place of z, whose mean every snippet moves: with
f = g p and Z = z / mean z, dL/dz = (f - mean f Z) / mean z, so that the first line holds with Z for
z and f - mean f Z for g p. Likewise l; q has the mean 1 already, and the third line is the same
thing said of x. All sums over time then follow from those of z, z u, z u^2 and of p times each,
because mean (p - a) Z u = mean p Z u - a mean Z u for the average a = mean p Z.

A loss on video scores has one g per video and class, which leaves every sum over time. The forward
takes the sums without g, and the backward is then a single walk.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsgn.selection.blocks import Block, block_groups
from wsgn.selection.terms import (
    GLOBAL_FACTOR,
    GLOBAL_SHARE,
    INVERSE_SD,
    LOCAL_CURVE,
    LOCAL_FACTOR,
    LOCAL_MEAN_U,
    LOCAL_SHARE,
    LOCAL_SLOPE,
    MAXIMUM,
    MEAN,
    NUM_STATISTICS,
    SMALLEST_MEAN,
    SOFTMAX_FACTOR,
    SOFTMAX_SHARE,
    ForwardResult,
    Gradients,
    Inputs,
    Options,
    accumulation_dtype,
    class_probabilities,
)

__all__ = [
    "LOCAL_SLOPE",
    "NUM_STATISTICS",
    "ForwardResult",
    "Gradients",
    "Inputs",
    "Options",
    "accumulation_dtype",
    "backward",
    "class_probabilities",
    "forward",
]


class _Walk:
    """The terms of any block, (R, C), in the type of accumulation."""

    def __init__(
        self, inputs: Inputs, options: Options, row_numbers: Tensor, statistics: Tensor
    ) -> None:
        self.options = options
        self.statistics = statistics
        self.row_numbers = row_numbers
        self.mu = inputs.mu.to(statistics.dtype)
        self.sigma = inputs.sigma.to(statistics.dtype)
        self._x = inputs.x[:, : options.num_classes]
        self._h = inputs.h[:, : options.num_classes]

    def spread(self, statistic: int, block: Block) -> Tensor:
        return block.spread(self.statistics[statistic, block.videos])

    def x(self, block: Block) -> Tensor:
        return self._x[block.rows].to(self.statistics.dtype)

    def probabilities(self, block: Block, *, first_time: bool) -> Tensor:
        """p, from the numbers kept of every row once they are there."""
        h = self._h[block.rows].to(self.statistics.dtype)
        if self.options.class_activation == "identity":
            # Callers write over it.
            return h.clone()
        if self.options.class_activation == "sigmoid":
            return h.sigmoid()
        numbers = self.row_numbers[block.rows]
        if first_time:
            numbers[:, :1] = h.amax(1, keepdim=True)
        p = (h - numbers[:, :1]).exp_()
        if first_time:
            numbers[:, 1:] = 1 / p.sum(1, keepdim=True)
        return p.mul_(numbers[:, 1:])

    def local_gaussian(self, x: Tensor, block: Block, *, averaged: bool) -> tuple[Tensor, Tensor]:
        """u and z, averaged: Z."""
        u = (x - self.spread(MEAN, block)).mul_(self.spread(INVERSE_SD, block))
        z = _bell(u)
        return u, z.mul_(self.spread(LOCAL_FACTOR, block)) if averaged else z

    def global_gaussian(self, x: Tensor, block: Block, *, averaged: bool) -> tuple[Tensor, Tensor]:
        """v and l, averaged: L."""
        v = (x - self.mu).div_(self.sigma)
        bell = _bell(v)
        return v, bell.mul_(self.spread(GLOBAL_FACTOR, block)) if averaged else bell

    def temporal_softmax(self, x: Tensor, block: Block, *, max_one: bool) -> Tensor:
        """q, at its own scale or with the maximum 1."""
        q = (x - self.spread(MAXIMUM, block)).exp_()
        return q if max_one else q.mul_(self.spread(SOFTMAX_FACTOR, block))

    def at_maximum(self, x: Tensor, block: Block) -> Tensor:
        """1 where x attains the maximum of its video, else 0."""
        return (x == self.spread(MAXIMUM, block)).to(x.dtype)


def _bell(values: Tensor) -> Tensor:
    return values.square().neg_().exp_()


def forward(inputs: Inputs, options: Options, *, frame_scores: bool) -> ForwardResult:
    """Scores, and what the backward needs beside the inputs."""
    x, num_classes = inputs.x, options.num_classes
    num_snippets, num_videos = x.shape[0], inputs.cu_seqlens.shape[0] - 1
    dtype = accumulation_dtype(x.dtype)
    softmax = options.class_activation == "softmax"
    row_numbers = x.new_empty(num_snippets if softmax else 0, 2, dtype=dtype)
    statistics = x.new_zeros(options.num_statistics, num_videos, num_classes, dtype=dtype)
    video_scores = x.new_empty(num_videos, num_classes, dtype=dtype)
    scores = x.new_empty(num_snippets, num_classes, dtype=dtype) if frame_scores else None
    walk = _Walk(inputs, options, row_numbers, statistics)
    for group in block_groups(inputs.cu_seqlens, num_classes):
        _describe(walk, group)
        if options.average:
            video_scores[group[0].videos] = _pool_average(walk, group)
        else:
            video_scores[group[0].videos] = _pool(walk, group, scores)
        # The average over a video must be known first; a gate is seldom, and never trained.
        if scores is not None and (options.average or options.gate != "none"):
            _score(walk, group, scores)
    return ForwardResult(
        scores=scores, video_scores=video_scores, row_numbers=row_numbers, statistics=statistics
    )


def _describe(walk: _Walk, group: tuple[Block, ...]) -> None:
    """Mean, spread, maximum and softmax factor of the videos of a group."""
    options = walk.options
    mean, inverse_sd, maximum, factor = walk.statistics[:4, group[0].videos]  # (V, C) each
    seen = group[0].counts * 0  # (V, 1)
    squares = torch.zeros_like(mean)  # Sum of squared distances from the mean.
    total = torch.zeros_like(mean)  # Sum of exp(x - maximum).
    if options.use_softmax:
        maximum.fill_(-torch.inf)
    for block in group:
        x, counts = walk.x(block), block.counts
        if options.use_local:
            # Moments of parts merge exactly (Chan, Golub and LeVeque, 1983).
            part_mean = block.sum(x) / counts
            squares += block.sum((x - block.spread(part_mean)).square_())
            distance = part_mean - mean
            squares += distance.square() * seen * counts / (seen + counts)
            mean += distance * counts / (seen + counts)
        if options.use_softmax:
            largest = torch.maximum(maximum, block.max(x))
            if not options.max_one:
                total *= (maximum - largest).exp()
                total += block.sum((x - block.spread(largest)).exp_())
            maximum.copy_(largest)
        seen = seen + counts
    if options.use_local:
        inverse_sd.copy_((squares / seen + options.epsilon).rsqrt())
    if options.use_softmax and not options.max_one:
        factor.copy_((seen if options.mean_one else 1) / total)


def _pool(walk: _Walk, group: tuple[Block, ...], scores: Tensor | None) -> Tensor:
    """Video scores (V, C) of a group; fills its frame scores and its sums for the backward."""
    num_components = walk.options.num_components
    sums = _Sums(walk, group)
    pooled = torch.zeros_like(sums.totals[0])  # (V, C)
    for block in group:
        p = walk.probabilities(block, first_time=True)
        block_scores = sums.add(block, p).mul_(p).div_(num_components)
        if scores is not None:
            scores[block.rows] = block_scores
        pooled += block.sum(block_scores)
    walk.statistics[walk.options.results, group[0].videos] = sums.finished()
    return pooled / sums.seen


def _pool_average(walk: _Walk, group: tuple[Block, ...]) -> Tensor:
    """Video scores (V, C) of a group; fills the statistics behind those of x."""
    options, statistics = walk.options, walk.statistics[:, group[0].videos]
    # Of both Gaussians the sums of z, z u, z u^2, and those times p.
    plain, weighted = statistics.new_zeros(2, 2, 3, *statistics.shape[1:])
    seen = group[0].counts * 0  # (V, 1)
    for block in group:
        x, p = walk.x(block), walk.probabilities(block, first_time=True)
        seen = seen + block.counts
        for index in _gaussians(options):
            gaussian = (walk.local_gaussian, walk.global_gaussian)[index]
            distance, term = gaussian(x, block, averaged=False)
            product = term * p
            for power in range(3):
                if power > 0:
                    term.mul_(distance)
                    product.mul_(distance)
                plain[index, power] += block.sum(term)
                weighted[index, power] += block.sum(product)
        if options.use_softmax:
            q = walk.temporal_softmax(x, block, max_one=False)
            statistics[SOFTMAX_SHARE] += block.sum(q.mul_(p))
    statistics[SOFTMAX_SHARE] /= seen
    video_scores = statistics[SOFTMAX_SHARE].clone()
    for index in _gaussians(options):
        means = plain[index] / seen
        there = means[0] >= SMALLEST_MEAN
        factor = torch.where(there, 1 / means[0], 0)
        # Not by the factor: so it lies between the smallest and the largest p.
        share = torch.where(there, weighted[index, 0] / plain[index, 0], 0)
        moments = means[1:] * factor
        slopes = weighted[index, 1:] / seen * factor - share * moments
        statistics[LOCAL_FACTOR + index] = factor
        statistics[LOCAL_SHARE + index] = share
        statistics[_of_gaussian(LOCAL_MEAN_U, index)] = moments
        statistics[_of_gaussian(LOCAL_SLOPE, index)] = slopes
        video_scores += share
    return video_scores / options.num_components


def _gaussians(options: Options) -> tuple[int, ...]:
    """Those in use: 0 is the local one, 1 the global one."""
    return (0,) * options.use_local + (1,) * options.use_global


def _of_gaussian(first: int, index: int) -> slice:
    """Two rows of one of the Gaussians, behind each other from `first` on."""
    return slice(first + 2 * index, first + 2 * index + 2)


def _score(walk: _Walk, group: tuple[Block, ...], scores: Tensor) -> None:
    """Fill the frame scores of a group whose statistics and row numbers are known."""
    for block in group:
        p = walk.probabilities(block, first_time=False)
        scores[block.rows] = _gated_weight(walk, block).mul_(p)


def _gated_weight(walk: _Walk, block: Block) -> Tensor:
    """What p is multiplied by in the frame scores, (R, C)."""
    options, x = walk.options, walk.x(block)
    product = options.gate == "product"
    averaged = options.average and not product
    weight = torch.zeros_like(x)
    if options.use_local:
        weight += walk.local_gaussian(x, block, averaged=averaged)[1]
    if options.use_global:
        weight += walk.global_gaussian(x, block, averaged=averaged)[1]
    if options.use_softmax:
        weight += walk.temporal_softmax(x, block, max_one=options.max_one or product)
    weight /= options.num_components
    if options.gate == "cut":
        return weight.clamp_(max=1)
    if options.gate == "soft":
        return weight.div_(weight + options.gate_level)
    if options.gate == "hard":
        return (weight >= options.gate_level).to(weight.dtype)
    return weight


class _Sums:
    """Sums over time for the backward, of the videos of a group."""

    def __init__(self, walk: _Walk, group: tuple[Block, ...]) -> None:
        self._walk = walk
        self._videos = group[0].videos
        # (5, V, C), of the weighted average (7, V, C).
        self.totals = torch.zeros_like(walk.statistics[walk.options.results, self._videos])
        self._ties = torch.zeros_like(self.totals[0])
        self.seen = group[0].counts * 0  # (V, 1)

    def add(self, block: Block, p: Tensor) -> Tensor:
        """Take the block with p, or with p g; returns z + l + q (R, C) of the components in use."""
        options, walk, totals = self._walk.options, self._walk, self.totals
        x = walk.x(block)
        weight = torch.zeros_like(x)
        self.seen = self.seen + block.counts
        if options.use_local:
            u, z = walk.local_gaussian(x, block, averaged=options.average)
            weight += z
            slope = z.mul_(p)
            if options.average:
                totals[LOCAL_SHARE - LOCAL_SLOPE] += block.sum(slope)
            slope.mul_(u)
            totals[0] += block.sum(slope)
            totals[1] += block.sum(slope.mul_(u))
        if options.use_global:
            v, bell = walk.global_gaussian(x, block, averaged=options.average)
            weight += bell
            slope = bell.mul_(p)
            if options.average:
                totals[GLOBAL_SHARE - LOCAL_SLOPE] += block.sum(slope)
            slope.mul_(v)
            totals[2] += block.sum(slope)
            totals[3] += block.sum(slope.mul_(v))
        if options.use_softmax:
            q = walk.temporal_softmax(x, block, max_one=options.max_one)
            weight += q
            totals[4] += block.sum(q.mul_(p))
            if options.max_one:
                self._ties += block.sum(walk.at_maximum(x, block))
        return weight

    def finished(self) -> Tensor:
        """Those statistics, (5 or 7, V, C)."""
        options, totals = self._walk.options, self.totals
        totals[:4] /= self.seen
        if options.use_softmax and options.max_one:
            totals[4] /= self._ties
        elif options.mean_one:
            totals[4] /= self.seen
        if options.average:
            shares = totals[5:]
            shares /= self.seen
            moments = self._walk.statistics[LOCAL_MEAN_U:, self._videos]
            totals[:4] -= shares.repeat_interleave(2, 0) * moments
        return totals


def backward(
    inputs: Inputs,
    options: Options,
    row_numbers: Tensor,
    statistics: Tensor,
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
) -> Gradients:
    """Gradients of a loss with these gradients of frame scores (N, C) and video scores (B, C)."""
    walk = _Walk(inputs, options, row_numbers, statistics)
    lengths = inputs.cu_seqlens.diff()[:, None]  # (B, 1)
    g = torch.zeros_like(statistics[0])
    if grad_video_scores is not None:
        g = grad_video_scores / (lengths * options.num_components)
    sums = statistics[options.results] * g  # (5 or 7, B, C)
    dx, dh = torch.zeros_like(inputs.x), torch.zeros_like(inputs.h)
    for group in block_groups(inputs.cu_seqlens, options.num_classes):
        if grad_scores is not None:
            weighted = _Sums(walk, group)
            for block in group:
                p = walk.probabilities(block, first_time=False)
                weighted.add(block, p.mul_(_gradient(block, g, grad_scores, options)))
            sums[:, group[0].videos] = weighted.finished()
        for block in group:
            block_g = _gradient(block, g, grad_scores, options)
            block_dx, block_dh = _block_gradients(walk, block, block_g, sums)
            dx[block.rows, : options.num_classes] = block_dx
            dh[block.rows, : options.num_classes] = block_dh
    d_mu = (2 * lengths * sums[2] / walk.sigma).sum(0)
    d_sigma = (2 * lengths * sums[3] / walk.sigma).sum(0)
    return Gradients(x=dx, h=dh, mu=d_mu.to(inputs.mu.dtype), sigma=d_sigma.to(inputs.sigma.dtype))


def _gradient(block: Block, g: Tensor, grad_scores: Tensor | None, options: Options) -> Tensor:
    """g (R, C) of a block, or (1, C) where it is one for the whole block."""
    of_video = block.spread(g[block.videos])
    if grad_scores is None:
        return of_video
    return torch.add(of_video, grad_scores[block.rows], alpha=1 / options.num_components)


def _block_gradients(walk: _Walk, block: Block, g: Tensor, sums: Tensor) -> tuple[Tensor, Tensor]:
    """dx and dh (R, C) from the sums (5 or 7, B, C) that already hold g."""
    options = walk.options

    def total(statistic: int) -> Tensor:
        return block.spread(sums[statistic - LOCAL_SLOPE, block.videos])

    x, p = walk.x(block), walk.probabilities(block, first_time=False)
    dw = p * g
    dx, weight = torch.zeros_like(x), torch.zeros_like(x)
    if options.use_local:
        u, z = walk.local_gaussian(x, block, averaged=options.average)
        weight += z
        z.mul_(dw - total(LOCAL_SHARE) if options.average else dw)
        z.sub_(total(LOCAL_CURVE)).mul_(u).sub_(total(LOCAL_SLOPE))
        dx.addcmul_(z, walk.spread(INVERSE_SD, block), value=-2)
    if options.use_global:
        v, bell = walk.global_gaussian(x, block, averaged=options.average)
        weight += bell
        bell.mul_(dw - total(GLOBAL_SHARE) if options.average else dw)
        dx.addcdiv_(bell.mul_(v), walk.sigma, value=-2)
    if options.use_softmax:
        q = walk.temporal_softmax(x, block, max_one=options.max_one)
        weight += q
        base = walk.at_maximum(x, block) if options.max_one else q
        dx.addcmul_(base, total(SOFTMAX_SHARE), value=-1)
        dx.addcmul_(q, dw)
    dp = weight.mul_(g)
    if options.class_activation == "softmax":
        dp -= (p * dp).sum(1, keepdim=True)
        return dx, dp.mul_(p)
    if options.class_activation == "identity":
        return dx, dp
    return dx, dp.mul_(p).mul_(1 - p)
