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

from dataclasses import dataclass

from torch import Tensor

from wsgn.manifest import CLASS_ACTIVATIONS, COMPONENTS, SOFTMAX_SCALES
from wsgn.packing import check_offsets
from wsgn.selection_operator import frame_selection_operator


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
    softmax_scale: str = "max_one",
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
    _check_names(components, softmax_scale, class_activation)
    scores, video_scores = frame_selection_operator(
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
