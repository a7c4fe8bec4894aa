"""The plain implementations against the paper's equations in float64, and the judgement of them."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import pytest
import torch
from torch import Tensor

from benchmarks.kernels.baselines import FUSED, LOOPED, PACKED, PADDED
from benchmarks.kernels.correctness import (
    CEILINGS,
    MULTIPLE,
    differences,
    examiner,
    judge,
    tolerances,
)
from benchmarks.kernels.workload import (
    Batch,
    Implementation,
    Outcome,
    Shape,
    evaluate,
    make_batch,
    make_layout,
    spread_lengths,
)
from wsgn.manifest import SOFTMAX_SCALES

CPU = torch.device("cpu")
RAGGED = Shape(name="ragged", lengths=(1, 63, 2, 5, 63), num_classes=3)
PLAIN = (PACKED, PADDED, LOOPED)


def paper(batch: Batch, softmax_scale: str) -> Outcome:
    """Eqs. 2, 3, 5 and 7 one video at a time, and what autograd makes of them."""
    x, h, mu, sigma = (value.clone().requires_grad_() for value in batch.leaves)
    offsets = batch.layout.cu_seqlens.tolist()
    videos = []
    for start, end in itertools.pairwise(offsets):
        a, length = x[start:end], end - start
        mean = a.sum(0) / length
        variance = ((a - mean) ** 2).sum(0) / length + 1e-6
        local = torch.exp(-((a - mean) ** 2) / variance)
        over_all = torch.exp(-(((a - mu) / sigma) ** 2))
        softmax = torch.exp(a) / torch.exp(a).sum(0)
        if softmax_scale == "mean_one":
            softmax = softmax * length
        elif softmax_scale == "max_one":
            softmax = softmax / softmax.max(0).values
        p = torch.exp(h[start:end]) / torch.exp(h[start:end]).sum(1, keepdim=True)
        videos.append(((local + over_all + softmax) / 3 * p).sum(0) / length)
    y = torch.stack(videos)
    (y * batch.gradient).sum().backward()
    gradients = tuple(value.grad for value in (x, h, mu, sigma) if value.grad is not None)
    return Outcome(video_scores=y.detach(), gradients=gradients)


def exact_batch(shape: Shape = RAGGED) -> Batch:
    return make_batch(shape, torch.float32, CPU).map(Tensor.double)


@pytest.mark.parametrize("softmax_scale", SOFTMAX_SCALES)
@pytest.mark.parametrize("implementation", [*PLAIN, FUSED], ids=lambda each: each.name)
def test_every_implementation_equals_the_paper_forward_and_backward(
    implementation: Implementation, softmax_scale: str
) -> None:
    batch = exact_batch()
    expected = paper(batch, softmax_scale).named()
    found = evaluate(implementation, batch, softmax_scale).named()
    assert found.keys() == {"y", "dx", "dh", "dmu", "dsigma"}
    for name, value in found.items():
        torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("implementation", PLAIN, ids=lambda each: each.name)
def test_a_tie_at_the_maximum_is_shared_as_in_the_operator(implementation: Implementation) -> None:
    batch = exact_batch()
    x = batch.x.clone()
    x[[10, 20, 40]] = 50.0
    batch = replace(batch, x=x)
    expected = evaluate(FUSED, batch, "max_one").named()
    for name, value in evaluate(implementation, batch, "max_one").named().items():
        torch.testing.assert_close(value, expected[name], rtol=1e-10, atol=1e-12)


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("implementation", [*PLAIN, FUSED], ids=lambda each: each.name)
def test_every_implementation_passes_its_own_examination(
    implementation: Implementation, dtype: torch.dtype
) -> None:
    verdict = examiner(make_batch(RAGGED, dtype, CPU), "max_one").examine(implementation)
    assert verdict.is_right, verdict


def test_padding_is_undone() -> None:
    layout = make_layout((1, 3, 2), CPU)
    packed = torch.arange(12.0).view(6, 2)
    padded = layout.pad(packed)
    assert padded[:, :, 0].tolist() == [[0, 0, 0], [2, 4, 6], [8, 10, 0]]
    assert layout.unpad(padded).tolist() == packed.tolist()


def test_lengths_are_spread_evenly_between_their_bounds() -> None:
    lengths = spread_lengths(128, 200, 2000)
    assert (min(lengths), max(lengths), len(lengths)) == (200, 2000, 128)
    assert sum(lengths) == pytest.approx(128 * 1100, abs=64)


def broken(change: str) -> Implementation:
    """The looped formulas with one mistake in their video scores or in a gradient."""

    def scores(x: Tensor, h: Tensor, *rest: object) -> Tensor:
        if change == "one long video's gradient":
            x = torch.cat([x[:-1], x[-1:].detach()])
        y = LOOPED.video_scores(x, h, *rest)  # type: ignore[arg-type]
        if change == "a thousandth":
            return y * 1.001
        return y + torch.nan if change == "NaN" else y

    return Implementation(name=change, video_scores=scores)


@pytest.mark.parametrize("change", ["a thousandth", "NaN", "one long video's gradient"])
def test_a_mistake_is_wrong(change: str) -> None:
    shape = Shape(name="mixed", lengths=(20, 20, 4000), num_classes=3)
    verdict = examiner(make_batch(shape, torch.float32, CPU), "max_one").examine(broken(change))
    assert not verdict.is_right


def test_differences_are_those_of_the_worst_video() -> None:
    layout = make_layout((2, 2), CPU)
    exact = torch.tensor([[1000.0], [1000.0], [1.0], [1.0]], dtype=torch.float64)
    value = exact.clone()
    value[3] += 0.5
    y = torch.ones(2, 1, dtype=torch.float64)
    found = differences(
        Outcome(video_scores=y, gradients=(value,)), Outcome(video_scores=y, gradients=(exact,)),
        layout,
    )  # fmt: skip
    # 0.5 against a largest value of 1, not against one of 1000.
    assert found == {"y": 0.0, "dx": 0.5}


def test_a_result_of_another_shape_is_wrong() -> None:
    y = torch.ones(2, 3, dtype=torch.float64)
    found = differences(
        Outcome(video_scores=y[:1]), Outcome(video_scores=y), make_layout((2, 2), CPU)
    )
    assert found["y"] == math.inf


def test_tolerance_is_a_multiple_between_two_bounds() -> None:
    ceiling = CEILINGS[torch.float32]
    allowed = tolerances({"y": 0.0, "dx": 1e-5, "dh": 1.0}, torch.float32, longest=40_000)
    # 200 roundings of 2^-23.
    assert allowed == {"y": 200 * 2.0**-23, "dx": MULTIPLE * 1e-5, "dh": ceiling}


def test_a_rounding_of_the_inputs_type_is_allowed_for_their_gradients_alone() -> None:
    allowed = tolerances({"y": 0.0, "dx": 0.0, "dmu": 0.0}, torch.bfloat16, longest=10)
    assert allowed == {"y": 2.0**-17, "dx": 2.0**-7, "dmu": 2.0**-17}


def test_the_verdict_names_the_tensor_that_is_furthest_off() -> None:
    verdict = judge({"y": 1e-7, "dx": 1e-3, "dh": math.nan}, {"y": 1e-6, "dx": 1e-4, "dh": 1.0})
    assert verdict.tensor == "dh"
    assert not verdict.is_right
