"""The CUDA implementation of wsgn's frame-selection operators.

A GPU takes the kernels for half precision and float32; float64 and more than `MOST_CLASSES` classes
are left to the reference, which synchronises and is slow there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsgn.selection import reference
from wsgn.selection.operator import (
    frame_selection_backward,
    frame_selection_operator,
    video_selection_operator,
)
from wsgn.selection.reference import ForwardResult, Gradients, Inputs, Options

from . import launch

_NUM_TENSORS = 5


def register() -> None:
    """Let the operators run the kernels on CUDA tensors."""
    frame_selection_operator.register_kernel("cuda")(_frame_selection)
    video_selection_operator.register_kernel("cuda")(_video_selection)
    frame_selection_backward.register_kernel("cuda")(_frame_selection_backward)


def forward(inputs: Inputs, options: Options, *, frame_scores: bool) -> ForwardResult:
    """By the kernels where they support the inputs, else by the reference."""
    if not launch.supports(inputs.x, options):
        return reference.forward(inputs, options, frame_scores=frame_scores)
    # Triton launches on the current device, which need not be the tensors'.
    with torch.cuda.device_of(inputs.x):  # type: ignore[no-untyped-call]
        return launch.forward(inputs, options, frame_scores=frame_scores)


def backward(
    inputs: Inputs,
    options: Options,
    row_numbers: Tensor,
    statistics: Tensor,
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
) -> Gradients:
    """By the implementation that ran forward."""
    kept = (row_numbers, statistics, grad_scores, grad_video_scores)
    if not launch.supports(inputs.x, options):
        return reference.backward(inputs, options, *kept)
    with torch.cuda.device_of(inputs.x):  # type: ignore[no-untyped-call]
        return launch.backward(inputs, options, *kept)


def _split(arguments: tuple[object, ...]) -> tuple[Inputs, Options]:
    x, h, cu_seqlens, mu, sigma = arguments[:_NUM_TENSORS]
    inputs = Inputs(x=x, h=h, cu_seqlens=cu_seqlens, mu=mu, sigma=sigma)  # type: ignore[arg-type]
    return inputs, Options(*arguments[_NUM_TENSORS:])  # type: ignore[arg-type]


def _frame_selection(*arguments: object) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    result = forward(*_split(arguments), frame_scores=True)
    assert result.scores is not None
    return result.scores, result.video_scores, result.row_numbers, result.statistics


def _video_selection(*arguments: object) -> tuple[Tensor, Tensor, Tensor]:
    result = forward(*_split(arguments), frame_scores=False)
    return result.video_scores, result.row_numbers, result.statistics


def _frame_selection_backward(
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
    row_numbers: Tensor,
    statistics: Tensor,
    *arguments: object,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    inputs, options = _split(arguments)
    got = backward(inputs, options, row_numbers, statistics, grad_scores, grad_video_scores)
    return got.x, got.h, got.mu, got.sigma
