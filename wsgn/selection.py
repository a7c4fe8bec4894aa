"""The frame-selection operator: from selection and class logits to frame and video scores.

`frame_selection` is a torch.library custom operator. What stands here is its plain PyTorch
implementation with a closed-form backward; it is the reference on every device, and faster
implementations may be registered for the same operator.

For one video with T snippets and one class, x the selection logits and p the class probabilities:

    local_gaussian    z = exp(-u^2), u = (x - mean_t x) / sqrt(var_t x + epsilon)         (eq. 3)
    global_gaussian   l = exp(-v^2), v = (x - mu) / sigma                                 (eq. 5)
    temporal_softmax  q = softmax_t x, times T (mean_one) or over its maximum (max_one)   (eq. 7)
    scores            w p with w the mean of the chosen ones;  video score (1/T) sum_t w p  (eq. 2)
"""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor

from wsgn.manifest import CLASS_ACTIVATIONS, COMPONENTS, SOFTMAX_SCALES


@dataclass(frozen=True, kw_only=True)
class Selection:
    """Result of the operator on a packed batch."""

    # (N, C) and (B, C).
    scores: Tensor
    video_scores: Tensor


def frame_selection(
    selection_logits: Tensor,
    class_logits: Tensor,
    cu_seqlens: Tensor,
    mu: Tensor,
    sigma: Tensor,
    *,
    components: tuple[str, ...] = COMPONENTS,
    softmax_scale: str = "mean_one",
    class_activation: str = "softmax",
    epsilon: float = 1e-6,
) -> Selection:
    """Select frames in a packed batch of B videos and pool their scores.

    Args:
        selection_logits: x, (N, C), floating point.
        class_logits: h, (N, C), same dtype and device.
        cu_seqlens: (B + 1) integer offsets of the videos, from 0 to N, rising.
        mu, sigma: (C) mean and spread of the global Gaussian.
        components: non-empty subset of `wsgn.manifest.COMPONENTS` whose mean is the weight.
        softmax_scale: one of `wsgn.manifest.SOFTMAX_SCALES`.
        class_activation: one of `wsgn.manifest.CLASS_ACTIVATIONS`.
        epsilon: added to the variance of the local Gaussian.

    Raises:
        ValueError: on shapes, offsets or names that do not fit; the message says what was given.
    """
    _check(selection_logits, class_logits, cu_seqlens, mu, sigma)
    if not components or not set(components) <= set(COMPONENTS):
        raise ValueError(
            f"components must be a non-empty subset of {COMPONENTS}, got {components}."
        )
    if softmax_scale not in SOFTMAX_SCALES:
        raise ValueError(f"softmax_scale must be one of {SOFTMAX_SCALES}, got '{softmax_scale}'.")
    if class_activation not in CLASS_ACTIVATIONS:
        raise ValueError(
            f"class_activation must be one of {CLASS_ACTIVATIONS}, got '{class_activation}'."
        )
    scores, video_scores = torch.ops.wsgn.frame_selection(
        selection_logits,
        class_logits,
        cu_seqlens,
        mu,
        sigma,
        "local_gaussian" in components,
        "global_gaussian" in components,
        "temporal_softmax" in components,
        softmax_scale,
        class_activation,
        epsilon,
    )
    return Selection(scores=scores, video_scores=video_scores)


def class_probabilities(class_logits: Tensor, class_activation: str) -> Tensor:
    """p (N, C) from class logits: softmax over classes, or sigmoid for multi-label data."""
    if class_activation == "softmax":
        return class_logits.softmax(dim=1)
    return class_logits.sigmoid()


def mean_per_video(values: Tensor, cu_seqlens: Tensor) -> Tensor:
    """(N, C) -> (B, C): the mean over each video's snippets."""
    return _Packing(cu_seqlens).mean(values)


def _check(x: Tensor, h: Tensor, cu_seqlens: Tensor, mu: Tensor, sigma: Tensor) -> None:
    if x.ndim != 2 or x.shape != h.shape or x.dtype != h.dtype or not x.is_floating_point():
        raise ValueError(
            "selection_logits and class_logits must be floating point (N, C) of one dtype, got "
            f"{tuple(x.shape)} {x.dtype} and {tuple(h.shape)} {h.dtype}."
        )
    if mu.shape != x.shape[1:] or sigma.shape != x.shape[1:]:
        raise ValueError(
            f"mu and sigma must have shape ({x.shape[1]},), got {tuple(mu.shape)} and "
            f"{tuple(sigma.shape)}."
        )
    check_offsets(cu_seqlens, x.shape[0])


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


class _Packing:
    """Reductions over the snippets of each video of a packed batch."""

    def __init__(self, cu_seqlens: Tensor) -> None:
        offsets = cu_seqlens.long()
        self.lengths = offsets.diff()  # (B,)
        videos = torch.arange(len(self.lengths), device=offsets.device)
        self.video = torch.repeat_interleave(videos, self.lengths)  # (N,)

    def sum(self, values: Tensor) -> Tensor:
        """(N, C) -> (B, C)."""
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
        return per_video[self.video]


@dataclass(frozen=True, kw_only=True)
class _Terms:
    """Intermediates of the operator, (N, C) unless marked; None where a component is unused."""

    packing: _Packing
    p: Tensor
    w: Tensor
    num_components: int
    # Local Gaussian: u, z and the standard deviation.
    u: Tensor | None = None
    z: Tensor | None = None
    sd: Tensor | None = None
    # Global Gaussian.
    v: Tensor | None = None
    l: Tensor | None = None  # noqa: E741 (the paper's symbol)
    # Temporal softmax, unscaled and scaled.
    s: Tensor | None = None
    q: Tensor | None = None


def _terms(
    x: Tensor,
    h: Tensor,
    cu_seqlens: Tensor,
    mu: Tensor,
    sigma: Tensor,
    use_local: bool,
    use_global: bool,
    use_softmax: bool,
    softmax_scale: str,
    class_activation: str,
    epsilon: float,
) -> _Terms:
    packing = _Packing(cu_seqlens)
    x = _accumulating(x)
    terms: dict[str, Tensor] = {}
    total = torch.zeros_like(x)
    if use_local:
        centred = x - packing.spread(packing.mean(x))
        variance = packing.mean(centred.square())
        terms["sd"] = packing.spread((variance + epsilon).sqrt())
        terms["u"] = centred / terms["sd"]
        terms["z"] = (-terms["u"].square()).exp()
        total = total + terms["z"]
    if use_global:
        terms["v"] = (x - mu.to(x.dtype)) / sigma.to(x.dtype)
        terms["l"] = (-terms["v"].square()).exp()
        total = total + terms["l"]
    if use_softmax:
        from_max = (x - packing.spread(packing.max(x))).exp()
        terms["s"] = from_max / packing.spread(packing.sum(from_max))
        if softmax_scale == "max_one":
            terms["q"] = from_max
        elif softmax_scale == "mean_one":
            terms["q"] = terms["s"] * packing.lengths.to(x.dtype)[packing.video, None]
        else:
            terms["q"] = terms["s"]
        total = total + terms["q"]
    num_components = use_local + use_global + use_softmax
    p = class_probabilities(_accumulating(h), class_activation)
    return _Terms(
        packing=packing, p=p, w=total / num_components, num_components=num_components, **terms
    )


def _accumulating(values: Tensor) -> Tensor:
    """Half precision is computed in float32."""
    return values if values.dtype == torch.float64 else values.float()


@torch.library.custom_op("wsgn::frame_selection", mutates_args=())
def _frame_selection(
    x: Tensor,
    h: Tensor,
    cu_seqlens: Tensor,
    mu: Tensor,
    sigma: Tensor,
    use_local: bool,
    use_global: bool,
    use_softmax: bool,
    softmax_scale: str,
    class_activation: str,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    terms = _terms(
        x, h, cu_seqlens, mu, sigma, use_local, use_global, use_softmax,
        softmax_scale, class_activation, epsilon,
    )  # fmt: skip
    scores = terms.w * terms.p  # (N, C)
    return scores, terms.packing.mean(scores)


@_frame_selection.register_fake
def _(
    x: Tensor, h: Tensor, cu_seqlens: Tensor, mu: Tensor, sigma: Tensor, *_: object
) -> tuple[Tensor, Tensor]:
    dtype = torch.float64 if x.dtype == torch.float64 else torch.float32
    num_videos = cu_seqlens.shape[0] - 1
    return x.new_empty(x.shape, dtype=dtype), x.new_empty((num_videos, x.shape[1]), dtype=dtype)


@torch.library.custom_op("wsgn::frame_selection_backward", mutates_args=())
def _frame_selection_backward(
    grad_scores: Tensor,
    grad_video_scores: Tensor,
    x: Tensor,
    h: Tensor,
    cu_seqlens: Tensor,
    mu: Tensor,
    sigma: Tensor,
    use_local: bool,
    use_global: bool,
    use_softmax: bool,
    softmax_scale: str,
    class_activation: str,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    terms = _terms(
        x, h, cu_seqlens, mu, sigma, use_local, use_global, use_softmax,
        softmax_scale, class_activation, epsilon,
    )  # fmt: skip
    packing, p = terms.packing, terms.p
    per_snippet = grad_video_scores / packing.lengths[:, None].to(grad_video_scores.dtype)
    g = grad_scores + packing.spread(per_snippet)  # (N, C)
    dw = g * p / terms.num_components
    dx = torch.zeros_like(p)
    if terms.u is not None and terms.z is not None and terms.sd is not None:
        a = -2 * dw * terms.z * terms.u
        mean_a = packing.spread(packing.mean(a))
        dx = dx + (a - mean_a - terms.u * packing.spread(packing.mean(a * terms.u))) / terms.sd
    d_mu, d_sigma = torch.zeros_like(mu), torch.zeros_like(sigma)
    if terms.v is not None and terms.l is not None:
        dv = -2 * dw * terms.l * terms.v / sigma.to(p.dtype)
        dx = dx + dv
        d_mu = -dv.sum(dim=0).to(mu.dtype)
        d_sigma = -(dv * terms.v).sum(dim=0).to(sigma.dtype)
    if terms.q is not None and terms.s is not None:
        dx = dx + _softmax_gradient(dw, terms.s, terms.q, x, packing, softmax_scale)
    dp = g * terms.w
    if class_activation == "softmax":
        dh = p * (dp - (p * dp).sum(dim=1, keepdim=True))
    else:
        dh = p * (1 - p) * dp
    return dx.to(x.dtype), dh.to(h.dtype), d_mu, d_sigma


def _softmax_gradient(
    dw: Tensor, s: Tensor, q: Tensor, x: Tensor, packing: _Packing, softmax_scale: str
) -> Tensor:
    if softmax_scale != "max_one":
        return q * (dw - packing.spread(packing.sum(s * dw)))
    # The maximum is subtracted: its own gradient is shared by the snippets that attain it.
    largest = (x == packing.spread(packing.max(x))).to(dw.dtype)
    share = largest / packing.spread(packing.sum(largest))
    return q * dw - share * packing.spread(packing.sum(q * dw))


@_frame_selection_backward.register_fake
def _(
    grad_scores: Tensor,
    grad_video_scores: Tensor,
    x: Tensor,
    h: Tensor,
    cu_seqlens: Tensor,
    mu: Tensor,
    sigma: Tensor,
    *_: object,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    return (
        x.new_empty(x.shape),
        h.new_empty(h.shape),
        mu.new_empty(mu.shape),
        sigma.new_empty(sigma.shape),
    )


def _setup_context(
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple[object, ...], output: object
) -> None:
    ctx.save_for_backward(*inputs[:5])  # type: ignore[arg-type]
    ctx.options = inputs[5:]  # type: ignore[attr-defined]


def _backward(
    ctx: torch.autograd.function.FunctionCtx, grad_scores: Tensor, grad_video_scores: Tensor
) -> tuple[Tensor | None, ...]:
    x, h, cu_seqlens, mu, sigma = ctx.saved_tensors  # type: ignore[attr-defined]
    dx, dh, d_mu, d_sigma = torch.ops.wsgn.frame_selection_backward(
        grad_scores.contiguous(), grad_video_scores.contiguous(), x, h, cu_seqlens, mu, sigma,
        *ctx.options,  # type: ignore[attr-defined]
    )  # fmt: skip
    return dx, dh, None, d_mu, d_sigma, *(None for _ in range(6))


_frame_selection.register_autograd(_backward, setup_context=_setup_context)
