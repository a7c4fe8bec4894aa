"""The operator behind `wsgn.selection.api`: an autograd function, and custom operators.

Eager PyTorch runs the autograd function, compilers and traces meet custom operators, which cost
more than twice as much of the host's time (docs/gpu.md) and are opaque to them. Both run the same
implementation: plain PyTorch, unless `implement` has another for the device. On a CPU a compiler is
given the formulas of video scores instead, of which it makes faster code.

`wsgn::video_selection` pools without writing frame scores, `wsgn::frame_selection` returns both.
Beside their scores they return what the backward needs of the forward; nobody else should use it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from wsgn.selection import formulas
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
    "implement",
    "select",
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
        _require_gradient(options, grad_scores)
        got = backward(inputs, options, row_numbers, statistics, grad_scores, grad_video_scores)
        return got.x, got.h, got.mu, got.sigma

    return run


def _require_gradient(options: Options, grad_scores: Tensor | None) -> None:
    if grad_scores is not None and options.gate != "none":
        raise ValueError(
            f"frame scores behind the gate '{options.gate}' have no gradient: train on those with "
            "the gate 'none', or on the video scores."
        )


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


@dataclass(frozen=True, kw_only=True)
class _Implementation:
    forward: Callable[..., ForwardResult]
    backward: Callable[..., Gradients]


_REFERENCE = _Implementation(forward=forward, backward=backward)
# By the type of the device.
_IMPLEMENTATIONS: dict[str, _Implementation] = {}


def implement(
    device_type: str,
    forward: Callable[..., ForwardResult],
    backward: Callable[..., Gradients],
) -> None:
    """Let tensors on a type of device be computed by these, made like those of the reference."""
    frame_selection_operator.register_kernel(device_type)(both_scores_by(forward))
    video_selection_operator.register_kernel(device_type)(video_scores_by(forward))
    frame_selection_backward.register_kernel(device_type)(gradients_by(backward))
    _IMPLEMENTATIONS[device_type] = _Implementation(forward=forward, backward=backward)


def select(inputs: Inputs, options: Options, *, frame_scores: bool) -> tuple[Tensor, Tensor | None]:
    """Video scores (B, C), and frame scores (N, C) where they are asked for; differentiable."""
    tensors = (inputs.x, inputs.h, inputs.cu_seqlens, inputs.mu, inputs.sigma)
    # A subclass is a tensor without values, or a compiler's.
    if not torch.compiler.is_compiling() and type(inputs.x) in (Tensor, torch.nn.Parameter):
        found: tuple[Tensor, Tensor | None] = _Selection.apply(  # type: ignore[no-untyped-call]
            *tensors, options, frame_scores
        )
        return found
    if torch.compiler.is_compiling() and inputs.x.device.type == "cpu" and not frame_scores:
        return formulas.video_scores(inputs, options), None
    arguments = (*tensors, *options.arguments)
    if frame_scores:
        scores, video_scores, _, _ = frame_selection_operator(*arguments)
        return video_scores, scores
    return video_selection_operator(*arguments)[0], None


class _Selection(torch.autograd.Function):
    """What the custom operators do, without their wrappers."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        h: Tensor,
        cu_seqlens: Tensor,
        mu: Tensor,
        sigma: Tensor,
        options: Options,
        frame_scores: bool,
    ) -> tuple[Tensor, Tensor | None]:
        implementation = _IMPLEMENTATIONS.get(x.device.type, _REFERENCE)
        inputs = Inputs(x=x, h=h, cu_seqlens=cu_seqlens, mu=mu, sigma=sigma)
        result = implementation.forward(inputs, options, frame_scores=frame_scores)
        # A score that the loss does not use arrives as None: no zeros (N, C), and the single walk.
        ctx.set_materialize_grads(False)
        kept = (result.row_numbers, result.statistics)
        ctx.save_for_backward(x, h, cu_seqlens, mu, sigma, *kept)
        ctx.options, ctx.backward_by = options, implementation.backward
        return result.video_scores, result.scores

    @staticmethod
    def backward(
        ctx: Any, grad_video_scores: Tensor | None, grad_scores: Tensor | None
    ) -> tuple[Tensor | None, ...]:
        _require_gradient(ctx.options, grad_scores)
        x, h, cu_seqlens, mu, sigma, *kept = ctx.saved_tensors
        inputs = Inputs(x=x, h=h, cu_seqlens=cu_seqlens, mu=mu, sigma=sigma)
        with torch.no_grad():
            got = ctx.backward_by(inputs, ctx.options, *kept, grad_scores, grad_video_scores)
        dx, dh, d_mu, d_sigma = got.x, got.h, got.mu, got.sigma
        if torch.is_grad_enabled():
            dx, dh, d_mu, d_sigma = _Once.apply(  # type: ignore[no-untyped-call]
                dx, dh, d_mu, d_sigma, x, h, mu, sigma
            )
        return dx, dh, None, d_mu, d_sigma, None, None


class _Once(torch.autograd.Function):
    """Gradients in a graph of gradients: what they depend on is known, and its refusal, no more."""

    @staticmethod
    def forward(ctx: Any, *tensors: Tensor) -> tuple[Tensor, ...]:
        return tuple(tensor.clone() for tensor in tensors[:4])

    @staticmethod
    def backward(ctx: Any, *_: Tensor) -> tuple[Tensor | None, ...]:
        raise RuntimeError("the frame selection has a first derivative only.")
