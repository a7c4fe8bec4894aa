"""What goes into the frame-selection operator and what comes out, whoever computes it.

Symbols are those of `wsgn.selection.api`.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor

# The rows of `ForwardResult.statistics`. Of the local Gaussian and the softmax:
MEAN, INVERSE_SD, MAXIMUM, SOFTMAX_FACTOR = range(4)
# Over time: mean p z u, mean p z u^2, mean p l v, mean p l v^2, and sum p s (max_one: sum p q
# over the number of snippets that attain the maximum).
LOCAL_SLOPE, LOCAL_CURVE, GLOBAL_SLOPE, GLOBAL_CURVE, SOFTMAX_SHARE = range(4, 9)
NUM_STATISTICS = 9


@dataclass(frozen=True)
class Options:
    """What the operator computes; the fields stand in the order of the operator's arguments."""

    num_classes: int
    use_local: bool
    use_global: bool
    use_softmax: bool
    softmax_scale: str
    class_activation: str
    epsilon: float

    @property
    def num_components(self) -> int:
        """k, by which the sum of the components is divided."""
        return self.use_local + self.use_global + self.use_softmax

    @property
    def max_one(self) -> bool:
        """Whether the gradient of the softmax goes through the maximum."""
        return self.softmax_scale == "max_one"


@dataclass(frozen=True, kw_only=True)
class Inputs:
    """The operator's tensors: x and h (N, W), offsets (B + 1), mu and sigma (C)."""

    x: Tensor
    h: Tensor
    cu_seqlens: Tensor
    mu: Tensor
    sigma: Tensor


@dataclass(frozen=True, kw_only=True)
class ForwardResult:
    """What the forward returns, in float32, or float64 for float64 inputs."""

    # (N, C), None where only video scores were asked for; (B, C).
    scores: Tensor | None
    video_scores: Tensor
    # Kept for the backward: (N, 2) maximum of h over classes and 1 / sum exp(h - maximum), empty
    # for the sigmoid; (NUM_STATISTICS, B, C).
    row_numbers: Tensor
    statistics: Tensor


@dataclass(frozen=True, kw_only=True)
class Gradients:
    """Of x and h (N, W), mu and sigma (C), in their types."""

    x: Tensor
    h: Tensor
    mu: Tensor
    sigma: Tensor


def accumulation_dtype(dtype: torch.dtype) -> torch.dtype:
    """Half precision is computed in float32."""
    return torch.float64 if dtype == torch.float64 else torch.float32


def class_probabilities(class_logits: Tensor, class_activation: str) -> Tensor:
    """p (N, C) from class logits: softmax over classes, or sigmoid for multi-label data."""
    if class_activation == "softmax":
        return class_logits.softmax(dim=1)
    return class_logits.sigmoid()
