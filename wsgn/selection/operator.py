"""The custom operators behind `wsgn.selection.api`, with their plain PyTorch implementation.

`wsgn::video_selection` pools without writing frame scores, `wsgn::frame_selection` returns both.
Beside their scores they return what the backward needs of the forward; nobody else should use it.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsgn.selection.reference import (
    NUM_STATISTICS,
    ForwardResult,
    Inputs,
    Options,
    accumulation_dtype,
    backward,
    class_probabilities,
    forward,
)

__all__ = [
    "class_probabilities",
    "frame_selection_backward",
    "frame_selection_operator",
    "video_selection_operator",
]

_NUM_TENSORS = 5


@torch.library.custom_op("wsgn::frame_selection", mutates_args=())
def frame_selection_operator(
    x: Tensor,
    h: Tensor,
    cu_seqlens: Tensor,
    mu: Tensor,
    sigma: Tensor,
    num_classes: int,
    use_local: bool,
    use_global: bool,
    use_softmax: bool,
    softmax_scale: str,
    class_activation: str,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Frame scores (N, C), video scores (B, C), row numbers and statistics."""
    options = Options(
        num_classes, use_local, use_global, use_softmax, softmax_scale, class_activation, epsilon
    )
    inputs = Inputs(x=x, h=h, cu_seqlens=cu_seqlens, mu=mu, sigma=sigma)
    result = forward(inputs, options, frame_scores=True)
    assert result.scores is not None
    return result.scores, result.video_scores, result.row_numbers, result.statistics


@torch.library.custom_op("wsgn::video_selection", mutates_args=())
def video_selection_operator(
    x: Tensor,
    h: Tensor,
    cu_seqlens: Tensor,
    mu: Tensor,
    sigma: Tensor,
    num_classes: int,
    use_local: bool,
    use_global: bool,
    use_softmax: bool,
    softmax_scale: str,
    class_activation: str,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Video scores (B, C), row numbers and statistics."""
    options = Options(
        num_classes, use_local, use_global, use_softmax, softmax_scale, class_activation, epsilon
    )
    inputs = Inputs(x=x, h=h, cu_seqlens=cu_seqlens, mu=mu, sigma=sigma)
    result = forward(inputs, options, frame_scores=False)
    return result.video_scores, result.row_numbers, result.statistics


@torch.library.custom_op("wsgn::frame_selection_backward", mutates_args=())
def frame_selection_backward(
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
    row_numbers: Tensor,
    statistics: Tensor,
    x: Tensor,
    h: Tensor,
    cu_seqlens: Tensor,
    mu: Tensor,
    sigma: Tensor,
    num_classes: int,
    use_local: bool,
    use_global: bool,
    use_softmax: bool,
    softmax_scale: str,
    class_activation: str,
    epsilon: float,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Gradients of x, h, mu and sigma; without a gradient of frame scores in a single walk."""
    options = Options(
        num_classes, use_local, use_global, use_softmax, softmax_scale, class_activation, epsilon
    )
    inputs = Inputs(x=x, h=h, cu_seqlens=cu_seqlens, mu=mu, sigma=sigma)
    got = backward(inputs, options, row_numbers, statistics, grad_scores, grad_video_scores)
    return got.x, got.h, got.mu, got.sigma


@video_selection_operator.register_fake
def _(
    x: Tensor, h: Tensor, cu_seqlens: Tensor, mu: Tensor, sigma: Tensor, *options: object
) -> tuple[Tensor, Tensor, Tensor]:
    result = _empty_result(x, cu_seqlens, Options(*options))  # type: ignore[arg-type]
    return result.video_scores, result.row_numbers, result.statistics


@frame_selection_operator.register_fake
def _(
    x: Tensor, h: Tensor, cu_seqlens: Tensor, mu: Tensor, sigma: Tensor, *options: object
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    known = Options(*options)  # type: ignore[arg-type]
    result = _empty_result(x, cu_seqlens, known)
    scores = x.new_empty((x.shape[0], known.num_classes), dtype=accumulation_dtype(x.dtype))
    return scores, result.video_scores, result.row_numbers, result.statistics


def _empty_result(x: Tensor, cu_seqlens: Tensor, options: Options) -> ForwardResult:
    """The outputs' shapes, on every device."""
    dtype = accumulation_dtype(x.dtype)
    shape = (cu_seqlens.shape[0] - 1, options.num_classes)
    rows = x.shape[0] if options.class_activation == "softmax" else 0
    return ForwardResult(
        scores=None,
        video_scores=x.new_empty(shape, dtype=dtype),
        row_numbers=x.new_empty((rows, 2), dtype=dtype),
        statistics=x.new_empty((NUM_STATISTICS, *shape), dtype=dtype),
    )


@frame_selection_backward.register_fake
def _(
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
    row_numbers: Tensor,
    statistics: Tensor,
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
    ctx: torch.autograd.function.FunctionCtx, inputs: tuple[object, ...], output: tuple[Tensor, ...]
) -> None:
    row_numbers, statistics = output[-2:]
    ctx.mark_non_differentiable(row_numbers, statistics)
    # A score that the loss does not use arrives as None: no zeros (N, C), and the single walk.
    ctx.set_materialize_grads(False)
    ctx.save_for_backward(row_numbers, statistics, *inputs[:_NUM_TENSORS])  # type: ignore[arg-type]
    ctx.options = inputs[_NUM_TENSORS:]  # type: ignore[attr-defined]


def _frame_backward(
    ctx: torch.autograd.function.FunctionCtx,
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
    *_: None,
) -> tuple[Tensor | None, ...]:
    dx, dh, d_mu, d_sigma = frame_selection_backward(
        grad_scores,
        grad_video_scores,
        *ctx.saved_tensors,  # type: ignore[attr-defined]
        *ctx.options,  # type: ignore[attr-defined]
    )
    return dx, dh, None, d_mu, d_sigma, *(None for _ in ctx.options)  # type: ignore[attr-defined]


def _video_backward(
    ctx: torch.autograd.function.FunctionCtx, grad_video_scores: Tensor | None, *_: None
) -> tuple[Tensor | None, ...]:
    return _frame_backward(ctx, None, grad_video_scores)


frame_selection_operator.register_autograd(_frame_backward, setup_context=_setup_context)
video_selection_operator.register_autograd(_video_backward, setup_context=_setup_context)
