"""The selection as plain formulas of whole batches, for compilers on a CPU.

What `wsgn.selection.reference` computes block by block in closed form, a compiler makes of these
formulas and their derivative in a third of the time: it writes loops that hold an element in
registers, where eager PyTorch writes each intermediate to memory. Without one they are slower.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsgn.selection.packing import Packing
from wsgn.selection.terms import (
    SMALLEST_MEAN,
    Inputs,
    Options,
    accumulation_dtype,
    class_probabilities,
)


def video_scores(inputs: Inputs, options: Options) -> Tensor:
    """Video scores (B, C), differentiable; see `wsgn.selection.api`."""
    dtype = accumulation_dtype(inputs.x.dtype)
    x, h = (values[:, : options.num_classes].to(dtype) for values in (inputs.x, inputs.h))
    packing = Packing(inputs.cu_seqlens, x.shape[0])
    parts = []
    if options.use_local:
        parts.append(_averaged(_local(x, packing, options.epsilon), packing, options))
    if options.use_global:
        gaussian = ((x - inputs.mu.to(dtype)) / inputs.sigma.to(dtype)).square().neg().exp()
        parts.append(_averaged(gaussian, packing, options))
    if options.use_softmax:
        parts.append(_temporal_softmax(x, packing, options))
    weight = torch.stack(parts).sum(dim=0) if len(parts) > 1 else parts[0]
    p = class_probabilities(h, options.class_activation)
    return packing.mean(weight * p) / options.num_components


def _local(x: Tensor, packing: Packing, epsilon: float) -> Tensor:
    """z, eq. 3."""
    distance = x - packing.spread(packing.mean(x))
    inverse_sd = (packing.mean(distance.square()) + epsilon).rsqrt()
    return (distance * packing.spread(inverse_sd)).square().neg().exp()


def _averaged(gaussian: Tensor, packing: Packing, options: Options) -> Tensor:
    """A Gaussian with the mean 1 in each video, where weights are averages."""
    if not options.average:
        return gaussian
    mean = packing.mean(gaussian)
    there = mean >= SMALLEST_MEAN
    factor = torch.where(there, 1 / torch.where(there, mean, 1), 0)
    return gaussian * packing.spread(factor)


def _temporal_softmax(x: Tensor, packing: Packing, options: Options) -> Tensor:
    """q, eq. 7, at the scale asked for."""
    largest = packing.max(x)
    if options.max_one:
        return (x - packing.spread(largest)).exp()
    # The largest cancels; without it the exponential would overflow.
    exponentials = (x - packing.spread(largest.detach())).exp()
    factor = 1 / packing.sum(exponentials)
    if options.mean_one:
        factor = factor * packing.lengths[:, None].to(x.dtype)
    return exponentials * packing.spread(factor)
