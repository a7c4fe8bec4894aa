"""Kernels where numbers, layouts and offsets are awkward."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from types import ModuleType
from typing import Any

import pytest
import torch
from kernel_cases import (
    SMALL,
    Case,
    check_case,
    check_close,
    expected_of,
    make_problem,
    run_kernels,
)
from kernel_device import DEVICE
from torch import Tensor

from wsgn.kernels import backward_kernels, describe_kernels, finish_kernels, registration
from wsgn.kernels import launch as kernels
from wsgn.selection import reference
from wsgn.selection.operator import both_scores_by, video_scores_by
from wsgn.selection.reference import Gradients, Inputs
from wsgn.selection.terms import GLOBAL_FACTOR


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("scale", ["mean_one", "max_one"])
def test_logits_up_to_ten_thousand(dtype: torch.dtype, scale: str) -> None:
    check_case(kernels, Case(spread=4e3, h_spread=4e3, softmax_scale=scale, dtype=dtype))


@pytest.mark.parametrize("weight_scale", ["per_frame", "average"])
def test_large_logits_that_lie_close_together(weight_scale: str) -> None:
    check_case(kernels, Case(shift=1e4, spread=30.0, weight_scale=weight_scale))


def test_a_saturated_softmax_over_classes_has_no_gradient() -> None:
    case = Case(h_spread=0.0)
    problem = make_problem(case)
    problem.inputs.h[:, 3] = 1e5
    _, gradients = run_kernels(kernels, case, problem)
    assert torch.equal(gradients.h, torch.zeros_like(gradients.h))


def test_a_video_without_variance() -> None:
    """u = 0 and z = 1 exactly; T softmax = 1; neither has a gradient by the variance."""
    case = Case(components=("local_gaussian", "temporal_softmax"), frame_gradient=True)
    problem = make_problem(case)
    problem.inputs.x[:] = 1e4
    result, gradients = run_kernels(kernels, case, problem)
    p = problem.inputs.h.double().softmax(1)
    assert result.scores is not None
    check_close("scores", result.scores, p, 1e-6)
    assert torch.isfinite(gradients.x).all()


@pytest.mark.parametrize("frame_gradient", [False, True])
def test_a_gaussian_that_is_nowhere_counts_nothing(frame_gradient: bool) -> None:
    """As in the reference: its mean is 0 in the first class, below the normal numbers in the next.

    In the third it is the smallest that counts, up to a rounding of its exponent.
    """
    case = Case(lengths=(1, 20), num_classes=4, weight_scale="average", activation="identity",
                frame_gradient=frame_gradient)  # fmt: skip
    problem = make_problem(case)
    problem.inputs.mu[:] = 0.0
    problem.inputs.sigma[:] = 1.0
    for place, (away, step) in enumerate(((30.0, 0.5), (9.5, 0.01), (9.2, 0.01))):
        problem.inputs.x[:, place] = away + step * torch.arange(21, device=DEVICE)
    result, gradients = run_kernels(kernels, case, problem)
    kept = (problem.grad_scores, problem.grad_video_scores)
    options = case.options
    wanted = reference.forward(problem.inputs, options, frame_scores=True)
    slopes = reference.backward(
        problem.inputs, options, wanted.row_numbers, wanted.statistics, *kept
    )
    assert (wanted.statistics[GLOBAL_FACTOR, :, :2] == 0).all()
    assert (wanted.statistics[GLOBAL_FACTOR, :, 2] > 1e36).all()
    assert not slopes.mu[:2].any()
    pairs = [(result.video_scores, wanted.video_scores)]
    pairs += [(getattr(gradients, name), getattr(slopes, name)) for name in vars(slopes)]
    for got, right in pairs:
        assert got.isfinite().all()
        # The second and third class lie at 9 with steps of 1 / 100.
        torch.testing.assert_close(got, right, rtol=2e-3, atol=2e-4)


def test_ties_share_the_gradient_of_the_maximum() -> None:
    case = Case(lengths=(40, 5), components=("temporal_softmax",), softmax_scale="max_one")
    problem = make_problem(case)
    problem.inputs.x[:, 0] = 1.0
    problem.inputs.x[[3, 35, 41], 1] = 9.0
    _, gradients = run_kernels(kernels, case, problem)
    check_close("dx", gradients.x, expected_of(case, problem).dx, 4e-6)


@pytest.mark.parametrize("sigma", [1e-3, 1e-20, 1e-38])
def test_tiny_sigma(sigma: float) -> None:
    """Nothing is near mu, so the Gaussian and its gradients are 0; at mu itself it is 1."""
    case = Case(components=("global_gaussian",), frame_gradient=True)
    problem = make_problem(case)
    problem.inputs.sigma[:] = sigma
    problem.inputs.mu[:] = 0.5
    problem.inputs.x[:] = 2.0
    problem.inputs.x[7] = 0.5
    result, gradients = run_kernels(kernels, case, problem)
    assert result.scores is not None
    expected = torch.zeros_like(result.scores)
    expected[7] = problem.inputs.h[7].softmax(0)
    check_close("scores", result.scores, expected.double(), 1e-6)
    for gradient in (gradients.x, gradients.mu, gradients.sigma):
        assert torch.equal(gradient, torch.zeros_like(gradient))


def test_half_precision_overflows_to_infinity_as_a_conversion_does() -> None:
    """A gradient scaler looks for infinities."""
    case = Case(dtype=torch.float16, components=("global_gaussian",), num_classes=1)
    problem = make_problem(case)
    problem.inputs.sigma[:] = 1e-3
    problem.inputs.x[:] = (problem.inputs.mu + 7e-4).half()
    problem.grad_video_scores[:] = 1e4
    _, gradients = run_kernels(kernels, case, problem)
    assert torch.isinf(gradients.x).any()
    assert not torch.isnan(gradients.x).any()


@pytest.mark.parametrize(
    ("width", "stride"),
    [(20, 47), (20, 160), (24, 24), (32, 32), (32, 65), (100, 100)],
    ids=["odd rows", "aligned rows", "padded", "padded to a tile", "odd padded", "far wider"],
)
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_rows_inside_wider_rows(width: int, stride: int, dtype: torch.dtype) -> None:
    check_case(kernels, Case(lengths=(1, 20), width=width, stride=stride, dtype=dtype))


def test_padding_may_hold_anything() -> None:
    case = Case(lengths=(1, 20), width=24)
    problem = make_problem(case)
    results = []
    for filling in (0.0, float("inf"), float("nan")):
        problem.inputs.x[:, 20:] = filling
        problem.inputs.h[:, 20:] = filling
        result, gradients = run_kernels(kernels, case, problem)
        results.append((result.video_scores, gradients.x, gradients.h))
    for other in results[1:]:
        assert all(torch.equal(a, b) for a, b in zip(results[0], other, strict=True))


@pytest.mark.parametrize("frame_gradient", [False, True])
def test_two_runs_give_the_same_bits(frame_gradient: bool) -> None:
    case = Case(lengths=(45, 3), num_classes=40, frame_gradient=frame_gradient)
    problem = make_problem(case)
    first, second = (run_kernels(kernels, case, problem) for _ in range(2))
    assert torch.equal(first[0].video_scores, second[0].video_scores)
    for name in ("x", "h", "mu", "sigma"):
        assert torch.equal(getattr(first[1], name), getattr(second[1], name))


def test_small_offsets_and_half_parameters() -> None:
    case = Case(offsets_dtype=torch.int32)
    problem = make_problem(case)
    inputs = problem.inputs
    halves = Inputs(
        x=inputs.x, h=inputs.h, cu_seqlens=inputs.cu_seqlens,
        mu=inputs.mu.half(), sigma=inputs.sigma.half(),
    )  # fmt: skip
    wide = Inputs(
        x=inputs.x, h=inputs.h, cu_seqlens=inputs.cu_seqlens.long(),
        mu=halves.mu.float(), sigma=halves.sigma.float(),
    )  # fmt: skip
    got, expected = (backward_of(case, problem.grad_video_scores, each) for each in (halves, wide))
    assert torch.equal(got.x, expected.x)
    assert torch.equal(got.mu, expected.mu.half())


def backward_of(case: Case, grad_video_scores: Tensor, inputs: Inputs) -> Gradients:
    result = kernels.forward(inputs, case.options, frame_scores=False, plan=SMALL)
    return kernels.backward(
        inputs, case.options, result.row_numbers, result.statistics, None, grad_video_scores,
        plan=SMALL,
    )  # fmt: skip


def test_rows_of_no_video_get_zeros() -> None:
    """A GPU does not look at offsets, so nothing may stay unwritten when they leave rows out."""
    case = Case(lengths=(5, 40, 6), frame_gradient=True)
    problem = make_problem(case)
    offsets = problem.inputs.cu_seqlens
    offsets[0], offsets[-1] = 3, 47
    result, gradients = run_kernels(kernels, case, problem)
    assert result.scores is not None
    for values in (result.scores, gradients.x, gradients.h):
        assert torch.isfinite(values).all()
        assert values[3:47].abs().max() > 0
        assert values[:3].abs().max() == 0
        assert values[47:].abs().max() == 0


@pytest.mark.skipif(DEVICE != "cpu", reason="a stray write on a GPU would end this process")
@pytest.mark.parametrize(
    "offsets",
    [
        (0, 60, 20, 45),
        (0, 10**12, 20, 45),
        (-7, 10, 20, 10**9),
        (45, 20, 10, 0),
        (0, 0, 0, 0),
        (40, 40, 45, 45),
    ],
)
@pytest.mark.parametrize("frame_gradient", [False, True])
def test_wrong_offsets_write_nothing_outside(
    offsets: tuple[int, ...], frame_gradient: bool
) -> None:
    case = Case(lengths=(5, 20, 20), num_classes=5, frame_gradient=frame_gradient)
    problem = make_problem(case)
    problem.inputs.cu_seqlens[:] = torch.tensor(offsets)
    run_kernels(kernels, case, problem, launch=guarded_launch)


def guarded_launch(
    kernel: Any, grid: tuple[int, ...], *arguments: object, **constants: object
) -> None:
    """Run on copies with a margin on both sides that must not change."""
    margin = 4096
    copies: list[tuple[Tensor, Tensor]] = []

    def guard(value: object) -> object:
        if not isinstance(value, Tensor) or not value.is_contiguous():
            return value
        buffer = torch.full((value.numel() + 2 * margin,), 77, dtype=value.dtype)
        inner = buffer[margin : margin + value.numel()]
        inner.copy_(value.flatten())
        copies.append((value, buffer))
        return inner.view(value.shape)

    kernels.run(kernel, grid, *(guard(value) for value in arguments), **constants)
    for value, buffer in copies:
        assert (buffer[:margin] == 77).all()
        assert (buffer[margin + value.numel() :] == 77).all()
        value.copy_(buffer[margin : margin + value.numel()].view(value.shape))


def turns_of(monkeypatch: pytest.MonkeyPatch, module: ModuleType, run: Callable[[], Any]) -> list:
    """How often each loop turns while an interpreted kernel of the module runs."""
    turns: list[int] = []

    def counted(*bounds: Any) -> range:
        turns.append(len(range(*bounds)))
        return range(*bounds)

    with monkeypatch.context() as patch:
        patch.setattr(module, "range", counted, raising=False)
        run()
    return turns


@pytest.mark.skipif(DEVICE != "cpu", reason="the interpreter's turns are counted")
def test_what_runs_when_all_else_has_ended_turns_seldom(monkeypatch: pytest.MonkeyPatch) -> None:
    """391 chunks of one video, and 1,024 videos, 32 at a time, in one loop for all numbers."""
    long, many = Case(lengths=(50_000,), num_classes=1), Case(lengths=(1,) * 1024, num_classes=1)

    def only(wanted: object, *grid: int) -> Callable[..., None]:
        def launch(kernel: Any, whole: object, *arguments: object, **constants: object) -> None:
            if kernel is wanted:
                kernel[grid](*arguments, **constants)

        return launch

    for module, kernel, expected in (
        (finish_kernels, finish_kernels.finish_videos, [13]),
        (describe_kernels, describe_kernels.describe_videos, [13, 13]),
    ):
        inputs, launch = make_problem(long).inputs, only(kernel, 1, 1)
        forward = partial(kernels.forward, inputs, long.options, frame_scores=False, launch=launch)
        assert turns_of(monkeypatch, module, forward) == expected
    problem = make_problem(many)
    result = kernels.forward(problem.inputs, many.options, frame_scores=False, launch=only(None))
    # The first programs take mu and sigma: they are done before the others are.
    backward = partial(
        kernels.backward, problem.inputs, many.options, result.row_numbers, result.statistics,
        None, problem.grad_video_scores, launch=only(backward_kernels.gradients, 1),
    )  # fmt: skip
    assert turns_of(monkeypatch, backward_kernels, backward) == [32]


@pytest.mark.parametrize(
    ("operator", "implementation"),
    [("frame_selection", both_scores_by), ("video_selection", video_scores_by)],
)
def test_what_is_registered_returns_what_the_operator_promises(
    operator: str, implementation: Callable[..., Callable[..., tuple[Tensor, ...]]]
) -> None:
    """Shapes and types of the outputs by the operator's fake implementation."""
    case = Case()
    inputs = make_problem(case).inputs
    options = case.options
    arguments = (
        inputs.x, inputs.h, inputs.cu_seqlens, inputs.mu, inputs.sigma, *vars(options).values()
    )  # fmt: skip
    got = implementation(registration.forward)(*arguments)
    with torch._subclasses.FakeTensorMode(allow_non_fake_inputs=True) as mode:
        fakes = [mode.from_tensor(v) if isinstance(v, Tensor) else v for v in arguments]
        expected = getattr(torch.ops.wsgn, operator)(*fakes)
    assert [(v.shape, v.dtype, v.stride()) for v in got] == [
        (v.shape, v.dtype, v.stride()) for v in expected
    ]
