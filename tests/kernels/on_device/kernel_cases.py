"""Cases for the kernels: inputs, a run with poisoned outputs, the error that a format allows."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import torch
from kernel_device import DEVICE, ROUNDINGS
from plain_formulas import Expected, Formula, expected_results
from torch import Tensor

from wsgn.kernels.launch import Plan
from wsgn.manifest import COMPONENTS
from wsgn.selection.reference import ForwardResult, Gradients, Inputs, Options

# Few rows in a chunk, so that short videos already have several chunks and several merges.
SMALL = Plan(
    chunk=16, warps=8, describe_held=1, pool_held=1, gradient_held=1, score_held=1, block=8
)
# Several rows, chunks and videos for each warp in a turn.
SEVERAL = Plan(
    chunk=16, warps=4, describe_held=2, pool_held=2, gradient_held=2, score_held=2, block=8
)
# Many rows in a tile: an interpreter pays for operations. No GPU has programs of so many warps.
LARGE = Plan(
    chunk=1024, warps=256, describe_held=1, pool_held=1, gradient_held=1, score_held=1, block=256
)


@dataclass(frozen=True, kw_only=True)
class Case:
    """One problem; the defaults are the common one."""

    # One snippet, two, two chunks of which the last is not full.
    lengths: tuple[int, ...] = (1, 2, 19)
    num_classes: int = 20
    # Columns of a row, and columns from a row to the next.
    width: int | None = None
    stride: int | None = None
    dtype: torch.dtype = torch.float32
    offsets_dtype: torch.dtype = torch.int64
    components: tuple[str, ...] = COMPONENTS
    softmax_scale: str = "mean_one"
    weight_scale: str = "per_frame"
    gate: str = "none"
    gate_level: float = 0.7
    activation: str = "softmax"
    epsilon: float = 1e-6
    frame_gradient: bool = False
    # x is shift + spread * normal, h is h_spread * normal.
    shift: float = 0.0
    spread: float = 2.0
    h_spread: float = 2.0
    plan: Plan | None = SMALL

    @property
    def options(self) -> Options:
        used = (name in self.components for name in COMPONENTS)
        return Options(
            self.num_classes, *used, self.softmax_scale, self.activation, self.epsilon,
            self.weight_scale, self.gate, self.gate_level,
        )  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class Problem:
    """The tensors of a case."""

    inputs: Inputs
    grad_scores: Tensor | None
    grad_video_scores: Tensor


def make_problem(case: Case, seed: int = 0) -> Problem:
    """Random, the same for a seed on every device."""
    generator = torch.Generator().manual_seed(seed)

    def normal(*shape: int) -> Tensor:
        return torch.randn(shape, generator=generator)

    num_classes, width = case.num_classes, case.width or case.num_classes
    total, num_videos = sum(case.lengths), len(case.lengths)
    stride = case.stride or width
    # Both start inside their buffers, at an odd address where the stride leaves room.
    inside = slice(stride - width, stride)
    x = case.shift + case.spread * normal(total, stride)
    h = case.h_spread * normal(total, stride)
    inputs = Inputs(
        x=x.to(DEVICE, case.dtype)[:, inside],
        h=h.to(DEVICE, case.dtype)[:, inside],
        cu_seqlens=torch.tensor([0, *case.lengths]).cumsum(0).to(DEVICE, case.offsets_dtype),
        mu=(case.shift + case.spread * normal(num_classes)).to(DEVICE),
        sigma=(case.spread * (0.5 + torch.rand(num_classes, generator=generator))).to(DEVICE),
    )
    return Problem(
        inputs=inputs,
        grad_scores=normal(total, num_classes).to(DEVICE) if case.frame_gradient else None,
        grad_video_scores=normal(num_videos, num_classes).to(DEVICE),
    )


@contextmanager
def poisoned() -> Iterator[None]:
    """Every new tensor is full of NaN until it is written."""
    earlier = torch.are_deterministic_algorithms_enabled()
    fills = torch.utils.deterministic.fill_uninitialized_memory
    torch.use_deterministic_algorithms(True, warn_only=True)
    torch.utils.deterministic.fill_uninitialized_memory = True
    try:
        assert torch.zeros(3).new_empty(3).isnan().all()
        yield
    finally:
        torch.use_deterministic_algorithms(earlier)
        torch.utils.deterministic.fill_uninitialized_memory = fills


def run_kernels(
    kernels: ModuleType, case: Case, problem: Problem, **launch: Any
) -> tuple[ForwardResult, Gradients]:
    """Forward and backward; frame scores are written where they have a gradient."""
    with poisoned():
        result = kernels.forward(
            problem.inputs, case.options, frame_scores=case.frame_gradient, plan=case.plan, **launch
        )
        gradients = kernels.backward(
            problem.inputs, case.options, result.row_numbers, result.statistics,
            problem.grad_scores, problem.grad_video_scores, plan=case.plan, **launch,
        )  # fmt: skip
    return result, gradients


def expected_of(case: Case, problem: Problem) -> Expected:
    """By the plain formulas."""
    inputs = problem.inputs
    tensors = (inputs.x, inputs.h, inputs.cu_seqlens, inputs.mu, inputs.sigma)
    return expected_results(
        tensors, problem.grad_scores, problem.grad_video_scores, formula_of(case.options)
    )


def formula_of(options: Options) -> Formula:
    """The same in the words of the plain formulas."""
    used = (options.use_local, options.use_global, options.use_softmax)
    return Formula(
        components=tuple(name for name, there in zip(COMPONENTS, used, strict=True) if there),
        scale="average" if options.average else options.softmax_scale,
        activation=options.class_activation,
        epsilon=options.epsilon,
        gate=options.gate,
        gate_level=options.gate_level,
    )


def spreads(case: Case, problem: Problem) -> Tensor:
    """Standard deviations (B, C) of the local Gaussian, float64."""
    x = problem.inputs.x[:, : case.num_classes].double()
    lengths = problem.inputs.cu_seqlens.diff().tolist()
    parts = [part.var(0, correction=0) for part in x.split(lengths)]
    return (torch.stack(parts) + case.epsilon).sqrt()


def conditioning(case: Case, problem: Problem) -> float:
    """How much a rounding error of x grows in (x - mean) / sd and (x - mu) / sigma."""
    found = spreads(case, problem)
    # A video with one value has u = 0, which the kernels find without an error.
    found = found[found > 2 * case.epsilon**0.5]
    smallest = torch.cat([found, problem.inputs.sigma.double()]).min()
    largest = problem.inputs.x[:, : case.num_classes].double().abs().max()
    return max(1.0, (largest / smallest).item() / 8)


def term_sizes(case: Case, problem: Problem) -> tuple[Tensor, Tensor]:
    """Bounds (N, W) of the terms whose sums are dx and dh: rounding errors come from the terms.

    The sums themselves may cancel to nothing, as for two snippets or a saturated softmax.
    """
    inputs = problem.inputs
    lengths = inputs.cu_seqlens.diff()[:, None]  # (B, 1)
    g = problem.grad_video_scores.double().abs() / lengths  # (B, C)
    steepest = 1 / spreads(case, problem) + 1 / inputs.sigma.double()
    softmax = lengths.double() if case.options.mean_one else torch.ones_like(g)
    # Of the weighted average a snippet may have all weight by any component.
    bells = lengths.double() if case.options.average else torch.ones_like(g)
    if case.activation == "identity":
        g = g * inputs.h[:, : case.num_classes].double().abs().max()
    rows = lengths[:, 0]
    g = g.repeat_interleave(rows, 0)  # (N, C)
    if problem.grad_scores is not None:
        g = g + problem.grad_scores.double().abs()
    dx = g * (steepest * bells + softmax).repeat_interleave(rows, 0)
    weights = (2 * bells + softmax).expand(-1, g.shape[1])
    dh = g.amax(1, keepdim=True) * weights.repeat_interleave(rows, 0)
    padding = (0, inputs.x.shape[1] - case.num_classes)
    return torch.nn.functional.pad(dx, padding), torch.nn.functional.pad(dh, padding)


def parameter_sizes(case: Case, problem: Problem) -> tuple[Tensor | None, Tensor | None]:
    """Bounds (C) of the terms of d_mu and d_sigma where they may cancel, else None.

    In a weighted average a snippet far from mu may have all weight, and p is less its average.
    """
    if not case.options.average:
        return None, None
    inputs, num_classes = problem.inputs, case.num_classes
    sigma = inputs.sigma.double()
    v = ((inputs.x[:, :num_classes].double() - inputs.mu.double()) / sigma).abs()
    lengths = inputs.cu_seqlens.diff()
    g = problem.grad_video_scores.double().abs().repeat_interleave(lengths, 0)
    if problem.grad_scores is not None:
        g = g + problem.grad_scores.double().abs() * lengths.repeat_interleave(lengths)[:, None]
    if case.activation == "identity":
        g = g * inputs.h[:, :num_classes].double().abs().max()
    return 2 * (g * v).amax(0) / sigma, 2 * (g * v * v).amax(0) / sigma


def check_case(kernels: ModuleType, case: Case, seed: int = 0) -> None:
    """Kernels against the plain formulas; the tolerance follows from the number formats."""
    problem = make_problem(case, seed)
    expected = expected_of(case, problem)
    result, gradients = run_kernels(kernels, case, problem)
    share = ROUNDINGS * torch.finfo(torch.float32).eps / 2 * conditioning(case, problem)
    check_close("video scores", result.video_scores, expected.video_scores, share)
    if case.frame_gradient:
        assert result.scores is not None
        check_close("scores", result.scores, expected.scores, share)
    of_x, of_h = term_sizes(case, problem)
    check_close("dx", gradients.x, expected.dx, share, of_x)
    check_close("dh", gradients.h, expected.dh, share, of_h)
    of_mu, of_sigma = parameter_sizes(case, problem)
    check_close("d_mu", gradients.mu, expected.d_mu, share, of_mu)
    check_close("d_sigma", gradients.sigma, expected.d_sigma, share, of_sigma)


def check_close(
    name: str, got: Tensor, wanted: Tensor, share: float, sizes: Tensor | None = None
) -> None:
    """Within a share of the sizes (default: the largest value) and a rounding to the format."""
    assert got.shape == wanted.shape, name
    wide = got.double()
    assert torch.isfinite(wide).all(), f"{name} is not finite"
    allowed = share * (wanted.abs().max().expand_as(wanted) if sizes is None else sizes)
    if got.dtype != torch.float32:
        format_ = torch.finfo(got.dtype)
        # Rounded once to the format; the interpreter cuts bfloat16 off instead of rounding it.
        steps = 1.0 if DEVICE == "cpu" and got.dtype == torch.bfloat16 else 0.5
        # Below the normal numbers of a format its steps are equal.
        smallest = format_.smallest_normal
        allowed = allowed + steps * format_.eps * (wanted.abs() + allowed).clamp(min=smallest)
    excess = ((wide - wanted).abs() - allowed).max().item()
    worst = ((wide - wanted).abs() / allowed.clamp(min=1e-300)).max().item()
    assert excess <= 0, f"{name} is {worst:.3g} times its tolerance away"
