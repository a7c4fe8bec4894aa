"""The custom operators behind `wsgn.selection.api`, with their plain PyTorch implementation.

`wsgn::video_selection` pools without writing frame scores, `wsgn::frame_selection` returns both.
Beside their scores they return what the backward needs of the forward; nobody else should use it.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor

from wsgn.selection.reference import (
    ForwardResult,
    Gradients,
    Inputs,
    Options,
    accumulation_dtype,
    backward,
    class_probabilities,
    forward,
)

__all__ = [
    "both_scores_by",
    "class_probabilities",
    "frame_selection_backward",
    "frame_selection_operator",
    "gradients_by",
    "video_scores_by",
    "video_selection_operator",
]

# The arguments of every operator: the fields of Inputs, then those of Options in their order.
_ARGUMENTS = (
    "Tensor x, Tensor h, Tensor cu_seqlens, Tensor mu, Tensor sigma, SymInt num_classes, "
    "bool use_local, bool use_global, bool use_softmax, str softmax_scale, str class_activation, "
    "float epsilon, str weight_scale, str gate, float gate_level"
)
_KEPT = "Tensor? grad_scores, Tensor? grad_video_scores, Tensor row_numbers, Tensor statistics"
_NUM_TENSORS = 5


def split_arguments(arguments: tuple[Any, ...]) -> tuple[Inputs, Options]:
    """The operators' plain arguments as what they are."""
    x, h, cu_seqlens, mu, sigma = arguments[:_NUM_TENSORS]
    inputs = Inputs(x=x, h=h, cu_seqlens=cu_seqlens, mu=mu, sigma=sigma)
    return inputs, Options(*arguments[_NUM_TENSORS:])


def both_scores_by(
    forward: Callable[..., ForwardResult],
) -> Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]:
    """An implementation of `frame_selection_operator`, from one of `reference.forward`.

    It returns frame scores (N, C), video scores (B, C), row numbers and statistics.
    """

    def run(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        result = forward(*split_arguments(arguments), frame_scores=True)
        assert result.scores is not None
        return result.scores, result.video_scores, result.row_numbers, result.statistics

    return run


def video_scores_by(
    forward: Callable[..., ForwardResult],
) -> Callable[..., tuple[Tensor, Tensor, Tensor]]:
    """An implementation of `video_selection_operator`, from one of `reference.forward`.

    It returns video scores (B, C), row numbers and statistics.
    """

    def run(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
        result = forward(*split_arguments(arguments), frame_scores=False)
        return result.video_scores, result.row_numbers, result.statistics

    return run


def gradients_by(
    backward: Callable[..., Gradients],
) -> Callable[..., tuple[Tensor, Tensor, Tensor, Tensor]]:
    """An implementation of `frame_selection_backward`, from one of `reference.backward`.

    It returns the gradients of x, h, mu and sigma; without a gradient of frame scores it takes a
    single walk.

    Raises:
        ValueError: a gradient of frame scores that have passed a gate.
    """

    def run(
        grad_scores: Tensor | None,
        grad_video_scores: Tensor | None,
        row_numbers: Tensor,
        statistics: Tensor,
        *arguments: Any,
    ) -> tuple[Tensor, Tensor, Tensor, Tensor]:
        inputs, options = split_arguments(arguments)
        if grad_scores is not None and options.gate != "none":
            raise ValueError(
                f"frame scores behind the gate '{options.gate}' have no gradient: train on those "
                "with the gate 'none', or on the video scores."
            )
        got = backward(inputs, options, row_numbers, statistics, grad_scores, grad_video_scores)
        return got.x, got.h, got.mu, got.sigma

    return run


frame_selection_operator = torch.library.custom_op(
    "wsgn::frame_selection",
    both_scores_by(forward),
    mutates_args=(),
    schema=f"({_ARGUMENTS}) -> (Tensor, Tensor, Tensor, Tensor)",
)
video_selection_operator = torch.library.custom_op(
    "wsgn::video_selection",
    video_scores_by(forward),
    mutates_args=(),
    schema=f"({_ARGUMENTS}) -> (Tensor, Tensor, Tensor)",
)
frame_selection_backward = torch.library.custom_op(
    "wsgn::frame_selection_backward",
    gradients_by(backward),
    mutates_args=(),
    schema=f"({_KEPT}, {_ARGUMENTS}) -> (Tensor, Tensor, Tensor, Tensor)",
)


@video_selection_operator.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor]:
    result = _empty_result(*split_arguments(arguments))
    return result.video_scores, result.row_numbers, result.statistics


@frame_selection_operator.register_fake
def _(*arguments: Any) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs, options = split_arguments(arguments)
    result = _empty_result(inputs, options)
    shape = (inputs.x.shape[0], options.num_classes)
    scores = inputs.x.new_empty(shape, dtype=accumulation_dtype(inputs.x.dtype))
    return scores, result.video_scores, result.row_numbers, result.statistics


def _empty_result(inputs: Inputs, options: Options) -> ForwardResult:
    """The outputs' shapes, on every device."""
    x = inputs.x
    dtype = accumulation_dtype(x.dtype)
    shape = (inputs.cu_seqlens.shape[0] - 1, options.num_classes)
    rows = x.shape[0] if options.class_activation == "softmax" else 0
    return ForwardResult(
        scores=None,
        video_scores=x.new_empty(shape, dtype=dtype),
        row_numbers=x.new_empty((rows, 2), dtype=dtype),
        statistics=x.new_empty((options.num_statistics, *shape), dtype=dtype),
    )


@frame_selection_backward.register_fake
def _(
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
    row_numbers: Tensor,
    statistics: Tensor,
    *arguments: Any,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs, _ = split_arguments(arguments)
    return (
        inputs.x.new_empty(inputs.x.shape),
        inputs.h.new_empty(inputs.h.shape),
        inputs.mu.new_empty(inputs.mu.shape),
        inputs.sigma.new_empty(inputs.sigma.shape),
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
