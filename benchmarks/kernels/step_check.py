"""The training step against float64: the losses of two steps and the gradients of the first."""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.kernels.correctness import MULTIPLE, Verdict, judge, relative_difference
from benchmarks.kernels.shapes import Shape
from benchmarks.kernels.step import StepPlan, TrainingStep

# A loss is one number and may be right by luck in the yardstick; what it loses with certainty is
# some roundings of the type that the heads compute in (Adam's first updates are signs of gradients,
# which magnify those of float32).
SMALLEST_TOLERANCES = {torch.float32: 1e-4, torch.bfloat16: 2.0**-7}
# Rounding a logit to bf16 moves it by up to 2^-9 of itself, which the narrow Gaussians magnify.
CEILINGS = {torch.float32: 1e-2, torch.bfloat16: 0.25}


def step_results(training: TrainingStep, step: Callable[[], Tensor]) -> dict[str, Tensor]:
    """Run two steps from the first weights on; `step` gives the loss."""
    training.reset()
    first = step().clone()
    gradients = training.gradients()
    return {"loss": first, "second loss": step().clone(), **gradients}


@dataclass(frozen=True, kw_only=True)
class StepExaminer:
    """Judges variants of the step on one shape."""

    exact: Mapping[str, Tensor]
    allowed: Mapping[str, float]

    def compare(self, results: Mapping[str, Tensor]) -> Verdict:
        """The worst tensor of a variant."""
        return judge(_differences(results, self.exact), self.allowed)


def step_examiner(
    exact: Mapping[str, Tensor], yardstick: Mapping[str, Tensor], dtype: torch.dtype
) -> StepExaminer:
    """Tolerances from what the plain step loses in the same precision."""
    smallest, ceiling = SMALLEST_TOLERANCES[dtype], CEILINGS[dtype]
    losses = _differences(yardstick, exact)
    allowed = {name: min(max(MULTIPLE * v, smallest), ceiling) for name, v in losses.items()}
    return StepExaminer(exact=exact, allowed=allowed)


def exact_step(
    shape: Shape, width: int, features: Tensor, device: torch.device, softmax_scale: str
) -> dict[str, Tensor]:
    """The step in float64 throughout, with the plain formulas video by video."""
    plan = StepPlan(name="float64", operator="loop")
    training = TrainingStep(
        plan, shape, width, dtype=torch.float64, device=device, softmax_scale=softmax_scale
    )
    inputs = features.to(device, torch.float64)
    return step_results(training, lambda: training.run(inputs))


def _differences(found: Mapping[str, Tensor], exact: Mapping[str, Tensor]) -> dict[str, float]:
    return {
        name: float(relative_difference(found[name].double(), value))
        if found[name].shape == value.shape
        else math.inf
        for name, value in exact.items()
    }
