"""The CUDA implementation of wsgn's frame-selection operators.

A GPU takes the kernels for half precision and float32; float64 and more than `MOST_CLASSES` classes
are left to the reference, which synchronises and is slow there.
"""

from __future__ import annotations

import torch
from torch import Tensor

from wsgn.selection import reference
from wsgn.selection.operator import implement
from wsgn.selection.reference import ForwardResult, Gradients, Inputs, Options

from . import launch


def register() -> None:
    """Let the operator run the kernels on CUDA tensors."""
    implement("cuda", forward, backward)


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
