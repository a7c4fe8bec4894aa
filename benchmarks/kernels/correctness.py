"""Results against float64: nothing that is wrong gets a speed.

The tolerance is a multiple of what the plain formulas lose in the same precision, so it follows
from the number format and the shape instead of being chosen; a ceiling keeps a broken yardstick
from allowing anything. The operator is judged by its outputs and gradients, the training step by
the losses of two steps and the gradients of the first.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.kernels.baselines import LOOPED
from benchmarks.kernels.step import StepPlan, TrainingStep
from benchmarks.kernels.workload import (
    Batch,
    Implementation,
    Layout,
    Outcome,
    Shape,
    evaluate,
)

# flash-attention allows 2 to 3 times for matrix products; here sums over up to 50,000 snippets and
# exponentials are taken in another order and with another approximation.
MULTIPLE = 4.0
# Where plain PyTorch happens to lose next to nothing: some roundings of float32. Short videos have
# gradients that are small differences of larger terms (at T = 2 the local Gaussian's vanishes), and
# a sum of T terms one after the other, as in index_add, loses about sqrt(T) roundings.
FEWEST_ROUNDINGS = 64
# dx and dh come back in the type of x; the yardstick's largest value may round well by luck.
IN_THE_INPUTS_TYPE = ("dx", "dh")
# float32 keeps 1e-3 on every tensor; the half types round the gradients they return to 2^-9.
CEILINGS = {torch.float32: 1e-3, torch.bfloat16: 2e-2, torch.float16: 1e-2}


@dataclass(frozen=True, kw_only=True)
class Verdict:
    """The tensor that is furthest from float64, measured by its tolerance."""

    tensor: str
    # Relative, of the worst video.
    difference: float
    tolerance: float

    @property
    def is_right(self) -> bool:
        """NaN is wrong."""
        return self.difference <= self.tolerance

    def __str__(self) -> str:
        word = "right" if self.is_right else "WRONG"
        return f"{word}: {self.tensor} off by {self.difference:.1e} (allowed {self.tolerance:.1e})"


def float64_outcome(batch: Batch, softmax_scale: str) -> Outcome:
    """The plain formulas in float64 on the very inputs that the others get."""
    return evaluate(LOOPED, batch.map(Tensor.double), softmax_scale)


def differences(outcome: Outcome, exact: Outcome, layout: Layout) -> dict[str, float]:
    """Relative difference of each tensor, of the worst video where it has videos.

    Taken per video because the gradients of a long one are smaller by its length, and an error
    there would drown in those of the short ones.
    """
    found: dict[str, float] = {}
    for name, value in outcome.named().items():
        groups: Sequence[int] = [len(value)]
        if name in IN_THE_INPUTS_TYPE:
            groups = layout.lengths
        elif name == "y":
            groups = [1] * len(value)
        found[name] = _worst_group(value, exact.named()[name], groups)
    return found


def _worst_group(value: Tensor, exact: Tensor, groups: Sequence[int]) -> float:
    if value.shape != exact.shape:
        return math.inf
    pairs = zip(
        torch.split(value.double(), list(groups)), torch.split(exact, list(groups)), strict=True
    )
    return float(torch.stack([relative_difference(a, b) for a, b in pairs]).amax())


def relative_difference(value: Tensor, exact: Tensor) -> Tensor:
    """The larger of the relative 2-norm and the relative maximum; NaN stays NaN."""
    # Where the exact value vanishes throughout, any difference is too large.
    smallest = torch.finfo(torch.float32).tiny
    off = value - exact
    by_norm = off.norm() / exact.norm().clamp(min=smallest)
    return torch.maximum(by_norm, off.abs().amax() / exact.abs().amax().clamp(min=smallest))


def tolerances(losses: Mapping[str, float], dtype: torch.dtype, longest: int) -> dict[str, float]:
    """What is allowed for each tensor, from what plain PyTorch loses in the same precision."""
    summed = max(FEWEST_ROUNDINGS, math.sqrt(longest)) * torch.finfo(torch.float32).eps
    rounded = max(summed, torch.finfo(dtype).eps)

    def allowed(name: str) -> float:
        smallest = rounded if name in IN_THE_INPUTS_TYPE else summed
        return min(max(MULTIPLE * losses[name], smallest), CEILINGS[dtype])

    return {name: allowed(name) for name in losses}


def judge(found: Mapping[str, float], allowed: Mapping[str, float]) -> Verdict:
    """The worst of an implementation's tensors; NaN is worse than anything."""

    def badness(name: str) -> float:
        share = found[name] / allowed[name]
        return math.inf if math.isnan(share) else share

    worst = max(found, key=badness)
    return Verdict(tensor=worst, difference=found[worst], tolerance=allowed[worst])


@dataclass(frozen=True, kw_only=True)
class Examiner:
    """Judges implementations on one batch."""

    batch: Batch
    exact: Outcome
    allowed: Mapping[str, float]
    softmax_scale: str

    def examine(self, implementation: Implementation) -> Verdict:
        """Run it once and compare."""
        return self.compare(evaluate(implementation, self.batch, self.softmax_scale))

    def compare(self, outcome: Outcome) -> Verdict:
        """Compare what was computed otherwise, by a CUDA graph say."""
        return judge(differences(outcome, self.exact, self.batch.layout), self.allowed)


def examiner(batch: Batch, softmax_scale: str) -> Examiner:
    """Take the yardstick: the plain formulas, video by video, in the batch's own precision."""
    exact = float64_outcome(batch, softmax_scale)
    losses = differences(evaluate(LOOPED, batch, softmax_scale), exact, batch.layout)
    return Examiner(
        batch=batch,
        exact=exact,
        allowed=tolerances(losses, batch.x.dtype, max(batch.layout.lengths)),
        softmax_scale=softmax_scale,
    )


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
    """Relative 2-norms: where bf16 turns a unit of ReLU off, a single entry is another one."""
    return {
        name: float((found[name] - value).norm() / value.norm())
        if found[name].shape == value.shape
        else math.inf
        for name, value in exact.items()
    }
