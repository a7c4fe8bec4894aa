"""The custom operator behind `wsgn.selection`: plain PyTorch forward and closed-form backward.

Kept for the backward are the inputs alone; everything else is computed again. Symbols are those of
`wsgn.selection`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

from wsgn.packing import Packing


def class_probabilities(class_logits: Tensor, class_activation: str) -> Tensor:
    """p (N, C) from class logits: softmax over classes, or sigmoid for multi-label data."""
    if class_activation == "softmax":
        return class_logits.softmax(dim=1)
    return class_logits.sigmoid()


@dataclass(frozen=True, kw_only=True)
class _Terms:
    """Intermediates of the operator, (N, C) unless marked; None where a component is unused."""

    packing: Packing
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
    packing = Packing(cu_seqlens)
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
def frame_selection_operator(
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
    """Frame scores (N, C) and video scores (B, C); call it through `wsgn.selection`."""
    terms = _terms(
        x, h, cu_seqlens, mu, sigma, use_local, use_global, use_softmax,
        softmax_scale, class_activation, epsilon,
    )  # fmt: skip
    scores = terms.w * terms.p  # (N, C)
    return scores, terms.packing.mean(scores)


@frame_selection_operator.register_fake
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
    dw: Tensor, s: Tensor, q: Tensor, x: Tensor, packing: Packing, softmax_scale: str
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


frame_selection_operator.register_autograd(_backward, setup_context=_setup_context)
