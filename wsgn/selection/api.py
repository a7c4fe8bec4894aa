"""The frame-selection operator: from selection and class logits to frame and video scores.

Behind it stand an autograd function and, for compilers, torch.library custom operators. Their plain
PyTorch implementation with a closed-form backward is the reference on every device; `wsgn.kernels`
has a faster one.

For one video with T snippets and one class, x the selection logits and p the class probabilities:

    local_gaussian    z = exp(-u^2), u = (x - mean_t x) / sqrt(var_t x + epsilon)         (eq. 3)
    global_gaussian   l = exp(-v^2), v = (x - mu) / sigma                                 (eq. 5)
    temporal_softmax  q = softmax_t x, times T (mean_one) or over its maximum (max_one)   (eq. 7)
    scores            w p with w the mean of the chosen ones;  video score (1/T) sum_t w p  (eq. 2)

That is the weight scale `per_frame`. Under `average` each of the three is divided by its mean over
the video, so that w has the mean 1, the softmax needs no scale, and the video score is a weighted
average of the p_t, with the weights a_t = w_t / T = (z_t / sum z + l_t / sum l + softmax x_t) / 3.
A Gaussian that is 0 everywhere, its mean below the smallest normal number of float32, counts 0.

A gate changes w in the frame scores that are returned, never in the video scores:

    cut               min(w, 1) p
    soft              w / (w + level) p
    hard              p where w >= level, else 0
    product           the `per_frame` w of max_one times p; under `average` alone
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from wsgn.manifest import ACTIVATIONS, COMPONENTS, GATES, SOFTMAX_SCALES, WEIGHT_SCALES
from wsgn.selection.operator import select
from wsgn.selection.packing import check_offsets
from wsgn.selection.terms import Inputs, Options


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
    weight_scale: str = "per_frame",
    class_activation: str = "softmax",
    gate: str = "none",
    gate_level: float = 0.1,
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
        softmax_scale: one of `wsgn.manifest.SOFTMAX_SCALES`; of `per_frame` alone.
        weight_scale: one of `wsgn.manifest.WEIGHT_SCALES`.
        class_activation: one of `wsgn.manifest.ACTIVATIONS`; with `identity` p is h, and scores may
            be negative.
        gate: one of `wsgn.manifest.GATES`. Frame scores behind any but `none` have no gradient:
            a backward through them raises a ValueError.
        gate_level: of the gates `soft` (positive) and `hard`.
        epsilon: added to the variance of the local Gaussian; positive.

    Returns:
        Scores in float32, or in float64 for float64 logits.

    Raises:
        ValueError: on shapes, types, offsets or names that do not fit; it says what was given.
    """
    tensors = (selection_logits, class_logits, cu_seqlens, mu, sigma)
    names = softmax_scale, class_activation, weight_scale, gate
    options = _checked_options(tensors, num_classes, components, names, epsilon, gate_level)
    video_scores, scores = select(_inputs(tensors), options, frame_scores=True)
    assert scores is not None
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
    weight_scale: str = "per_frame",
    class_activation: str = "softmax",
    epsilon: float = 1e-6,
) -> Tensor:
    """Pool the video scores of `frame_selection`, which no gate touches, without its frame scores.

    Args:
        selection_logits, class_logits, cu_seqlens, mu, sigma: as in `frame_selection`.
        num_classes, components, softmax_scale, weight_scale, class_activation, epsilon: likewise.

    Returns:
        Video scores (B, C), in float32, or in float64 for float64 logits.

    Raises:
        ValueError: as in `frame_selection`.
    """
    tensors = (selection_logits, class_logits, cu_seqlens, mu, sigma)
    names = softmax_scale, class_activation, weight_scale, "none"
    options = _checked_options(tensors, num_classes, components, names, epsilon, 0.0)
    return select(_inputs(tensors), options, frame_scores=False)[0]


def _inputs(tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor]) -> Inputs:
    x, h, cu_seqlens, mu, sigma = tensors
    return Inputs(x=x, h=h, cu_seqlens=cu_seqlens, mu=mu, sigma=sigma)


def _checked_options(
    tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    num_classes: int | None,
    components: tuple[str, ...],
    names: tuple[str, str, str, str],
    epsilon: float,
    gate_level: float,
) -> Options:
    _check_tensors(*tensors, num_classes)
    _check_names(components, names)
    if not 0 < epsilon < math.inf:
        raise ValueError(f"epsilon must be a positive number, got {epsilon}.")
    softmax_scale, class_activation, weight_scale, gate = names
    if not 0 <= gate_level < math.inf or (gate == "soft" and gate_level == 0):
        raise ValueError(f"gate_level must be a positive number, got {gate_level}.")
    use_local, use_global, use_softmax = (name in components for name in COMPONENTS)
    return Options(
        # mu has as many entries as there are classes.
        num_classes=len(tensors[3]),
        use_local=use_local,
        use_global=use_global,
        use_softmax=use_softmax,
        softmax_scale=softmax_scale,
        class_activation=class_activation,
        epsilon=epsilon,
        weight_scale=weight_scale,
        gate=gate,
        gate_level=gate_level,
    )


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


def _check_names(components: tuple[str, ...], names: tuple[str, str, str, str]) -> None:
    if not components or not set(components) <= set(COMPONENTS):
        raise ValueError(
            f"components must be a non-empty subset of {COMPONENTS}, got {components}."
        )
    softmax_scale, class_activation, weight_scale, gate = names
    for what, name, choices in (
        ("softmax_scale", softmax_scale, SOFTMAX_SCALES),
        ("class_activation", class_activation, ACTIVATIONS),
        ("weight_scale", weight_scale, WEIGHT_SCALES),
        ("gate", gate, GATES),
    ):
        if name not in choices:
            raise ValueError(f"{what} must be one of {choices}, got '{name}'.")
    if gate == "product" and weight_scale != "average":
        raise ValueError("the gate 'product' is of the weight_scale 'average' alone.")
