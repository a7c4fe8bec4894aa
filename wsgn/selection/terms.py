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
# over the number of snippets that attain the maximum). Under the weighted average z and l have the
# mean 1 here, and p is less its own average, mean p z or mean p l, which then follows as well.
LOCAL_SLOPE, LOCAL_CURVE, GLOBAL_SLOPE, GLOBAL_CURVE, SOFTMAX_SHARE = range(4, 9)
LOCAL_SHARE, GLOBAL_SHARE = range(9, 11)
# Of the weighted average alone: 1 / mean z and 1 / mean l, by which both are multiplied, and then
# mean z u, mean z u^2, mean l v, mean l v^2.
LOCAL_FACTOR, GLOBAL_FACTOR = range(11, 13)
LOCAL_MEAN_U, LOCAL_MEAN_U2, GLOBAL_MEAN_V, GLOBAL_MEAN_V2 = range(13, 17)
NUM_STATISTICS = LOCAL_SHARE
NUM_STATISTICS_OF_AVERAGE = 17

# A Gaussian whose mean over a video is less than the smallest normal number of float32 selects
# nothing, whatever the type: its factor is 0, and so are its weight and its gradient.
SMALLEST_MEAN = torch.finfo(torch.float32).tiny


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
    weight_scale: str = "per_frame"
    # Of the frame scores that are returned.
    gate: str = "none"
    gate_level: float = 0.1

    @property
    def arguments(self) -> tuple[object, ...]:
        """The fields, as the custom operators take them."""
        return (
            self.num_classes, self.use_local, self.use_global, self.use_softmax,
            self.softmax_scale, self.class_activation, self.epsilon,
            self.weight_scale, self.gate, self.gate_level,
        )  # fmt: skip

    @property
    def num_components(self) -> int:
        """k, by which the sum of the components is divided."""
        return self.use_local + self.use_global + self.use_softmax

    @property
    def max_one(self) -> bool:
        """Whether the gradient of the softmax goes through the maximum."""
        return self.softmax_scale == "max_one" and not self.average

    @property
    def mean_one(self) -> bool:
        """Whether the temporal softmax has the mean 1 in each video."""
        return self.softmax_scale == "mean_one" or self.average

    @property
    def average(self) -> bool:
        """Whether every component has the mean 1 in each video."""
        return self.weight_scale == "average"

    @property
    def num_statistics(self) -> int:
        """Rows of `ForwardResult.statistics`."""
        return NUM_STATISTICS_OF_AVERAGE if self.average else NUM_STATISTICS

    @property
    def results(self) -> slice:
        """Those of them that a gradient of the frame scores replaces by its own."""
        return slice(LOCAL_SLOPE, LOCAL_FACTOR if self.average else NUM_STATISTICS)


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
    # but for the softmax over classes; (num_statistics, B, C).
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
    """p (N, C) from class logits: softmax over classes, sigmoid for multi-label data, or h."""
    if class_activation == "softmax":
        return class_logits.softmax(dim=1)
    return class_logits.sigmoid() if class_activation == "sigmoid" else class_logits
