"""The frame-selection operator: from selection and class logits to frame and video scores.

Behind it stand torch.library custom operators. Their plain PyTorch implementation with a
closed-form backward is the reference on every device; `wsgn.kernels` registers a faster one.

For one video with T snippets and one class, x the selection logits and p the class probabilities:

    local_gaussian    z = exp(-u^2), u = (x - mean_t x) / sqrt(var_t x + epsilon)         (eq. 3)
    global_gaussian   l = exp(-v^2), v = (x - mu) / sigma                                 (eq. 5)
    temporal_softmax  q = softmax_t x, times T (mean_one) or over its maximum (max_one)   (eq. 7)
    scores            w p with w the mean of the chosen ones;  video score (1/T) sum_t w p  (eq. 2)
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wsgn.manifest import CLASS_ACTIVATIONS, COMPONENTS, SOFTMAX_SCALES
from wsgn.selection.operator import frame_selection_operator, video_selection_operator
from wsgn.selection.packing import check_offsets


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
    num_classes: int | None = None,
    components: tuple[str, ...] = COMPONENTS,
    softmax_scale: str = "max_one",
    class_activation: str = "softmax",
    epsilon: float = 1e-6,
) -> Selection:
    """Select frames in a packed batch of B videos and pool their scores.

    Where only the video scores are used, call `video_selection`: it writes no (N, C) tensor.

    Args:
        selection_logits: x, (N, W), floating point; any row stride, adjacent columns.
        class_logits: h, (N, W), same dtype and device.
        cu_seqlens: (B + 1) offsets of the videos, from 0 to N, rising; int32 or int64. Values on
            an accelerator are not checked, because reading them would wait for it.
        mu, sigma: (C) mean and spread of the global Gaussian.
        num_classes: C, at most W (default: W). Columns beyond it are ignored and get the gradient
            zero, so that a padded linear layer needs no copy.
        components: non-empty subset of `wsgn.manifest.COMPONENTS` whose mean is the weight.
        softmax_scale: one of `wsgn.manifest.SOFTMAX_SCALES`.
        class_activation: one of `wsgn.manifest.CLASS_ACTIVATIONS`.
        epsilon: added to the variance of the local Gaussian; positive.

    Returns:
        Scores in float32, or in float64 for float64 logits.

    Raises:
        ValueError: on shapes, types, offsets or names that do not fit; it says what was given.
    """
    tensors = (selection_logits, class_logits, cu_seqlens, mu, sigma)
    arguments = _checked_arguments(
        tensors, num_classes, components, softmax_scale, class_activation, epsilon
    )
    scores, video_scores, _, _ = frame_selection_operator(*arguments)
    return Selection(scores=scores, video_scores=video_scores)


def video_selection(
    selection_logits: Tensor,
    class_logits: Tensor,
    cu_seqlens: Tensor,
    mu: Tensor,
    sigma: Tensor,
    *,
    num_classes: int | None = None,
    components: tuple[str, ...] = COMPONENTS,
    softmax_scale: str = "max_one",
    class_activation: str = "softmax",
    epsilon: float = 1e-6,
) -> Tensor:
    """Pool the video scores of `frame_selection` without its frame scores.

    Args:
        selection_logits, class_logits, cu_seqlens, mu, sigma: as in `frame_selection`.
        num_classes, components, softmax_scale, class_activation, epsilon: likewise.

    Returns:
        Video scores (B, C) of eq. 2, in float32, or in float64 for float64 logits.

    Raises:
        ValueError: as in `frame_selection`.
    """
    tensors = (selection_logits, class_logits, cu_seqlens, mu, sigma)
    arguments = _checked_arguments(
        tensors, num_classes, components, softmax_scale, class_activation, epsilon
    )
    video_scores: Tensor = video_selection_operator(*arguments)[0]
    return video_scores


def _checked_arguments(
    tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    num_classes: int | None,
    components: tuple[str, ...],
    softmax_scale: str,
    class_activation: str,
    epsilon: float,
) -> tuple[object, ...]:
    """The operators' plain arguments."""
    _check_tensors(*tensors, num_classes)
    _check_names(components, softmax_scale, class_activation)
    if not 0 < epsilon < math.inf:
        raise ValueError(f"epsilon must be a positive number, got {epsilon}.")
    used = (name in components for name in COMPONENTS)
    # mu has as many entries as there are classes.
    return (*tensors, len(tensors[3]), *used, softmax_scale, class_activation, epsilon)


def _check_tensors(
    x: Tensor, h: Tensor, cu_seqlens: Tensor, mu: Tensor, sigma: Tensor, num_classes: int | None
) -> None:
    if x.ndim != 2 or x.shape != h.shape or x.dtype != h.dtype or not x.is_floating_point():
        raise ValueError(
            "selection_logits and class_logits must be floating point (N, C) of one dtype, got "
            f"{tuple(x.shape)} {x.dtype} and {tuple(h.shape)} {h.dtype}."
        )
    num_classes = x.shape[1] if num_classes is None else num_classes
    if not 1 <= num_classes <= x.shape[1]:
        raise ValueError(f"num_classes must be from 1 to W = {x.shape[1]}, got {num_classes}.")
    for name, logits in (("selection_logits", x), ("class_logits", h)):
        if x.shape[1] > 1 and logits.stride(1) != 1:
            raise ValueError(
                f"{name} must have adjacent columns, got strides {logits.stride()}: call "
                "contiguous()."
            )
    if mu.shape != (num_classes,) or sigma.shape != (num_classes,):
        raise ValueError(
            f"mu and sigma must have shape ({num_classes},), got {tuple(mu.shape)} and "
            f"{tuple(sigma.shape)}."
        )
    if not (mu.is_floating_point() and sigma.is_floating_point()):
        raise ValueError(f"mu and sigma must be floating point, got {mu.dtype} and {sigma.dtype}.")
    if len({tensor.device for tensor in (x, h, cu_seqlens, mu, sigma)}) > 1:
        raise ValueError(
            "all tensors must be on one device, got selection_logits on "
            f"{x.device}, class_logits on {h.device}, cu_seqlens on {cu_seqlens.device}, mu on "
            f"{mu.device} and sigma on {sigma.device}."
        )
    if cu_seqlens.dtype not in (torch.int32, torch.int64):
        raise ValueError(f"cu_seqlens must be integers, int32 or int64, got {cu_seqlens.dtype}.")
    check_offsets(cu_seqlens, x.shape[0])


def _check_names(components: tuple[str, ...], softmax_scale: str, class_activation: str) -> None:
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
