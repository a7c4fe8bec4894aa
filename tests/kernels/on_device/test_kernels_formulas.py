"""Kernels against float64 autograd of the plain formulas."""

from __future__ import annotations

import itertools

import pytest
import torch
from kernel_cases import (
    LARGE,
    SEVERAL,
    SMALL,
    Case,
    check_case,
    check_close,
    conditioning,
    expected_of,
    make_problem,
    poisoned,
)
from kernel_device import DEVICE, ROUNDINGS

from wsgn.kernels import launch as kernels
from wsgn.manifest import ACTIVATIONS, COMPONENTS, SOFTMAX_SCALES

SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(COMPONENTS, size)]
# The scale says nothing where the softmax is not used.
SCALED = [
    (subset, scale)
    for subset in SUBSETS
    for scale in (SOFTMAX_SCALES if "temporal_softmax" in subset else SOFTMAX_SCALES[:1])
]
# The activations in turn; with frame scores the other one.
OTHER = {"softmax": "sigmoid", "sigmoid": "softmax"}
IN_TURN = [(*scaled, tuple(OTHER)[number % 2]) for number, scaled in enumerate(SCALED)]
# Each subset of the weighted average with each activation once, the losses in turn.
AVERAGED = [
    Case(
        lengths=(1, 2, 19) if number % 3 else (21, 2), num_classes=(3, 20, 33)[number % 3],
        components=components, weight_scale="average", activation=activation,
        frame_gradient=(number + number // 3) % 2 == 1, width=35 if number % 4 == 0 else None,
    )
    for number, (components, activation) in enumerate(itertools.product(SUBSETS, ACTIVATIONS))
]  # fmt: skip
BIG = LARGE if DEVICE == "cpu" else None


@pytest.mark.parametrize(("components", "scale", "activation"), IN_TURN)
def test_every_subset(components: tuple[str, ...], scale: str, activation: str) -> None:
    check_case(kernels, Case(components=components, softmax_scale=scale, activation=activation))


@pytest.mark.parametrize(
    ("components", "scale", "activation"),
    [(components, scale, OTHER[activation]) for components, scale, activation in IN_TURN],
)
def test_frame_scores_and_their_gradient(
    components: tuple[str, ...], scale: str, activation: str
) -> None:
    case = Case(
        lengths=(2, 21), num_classes=5, components=components, softmax_scale=scale,
        activation=activation, frame_gradient=True,
    )  # fmt: skip
    check_case(kernels, case)


@pytest.mark.parametrize("case", AVERAGED, ids=str)
def test_weighted_averages(case: Case) -> None:
    check_case(kernels, case)


@pytest.mark.parametrize(
    ("gate", "weight_scale", "softmax_scale", "activation"),
    [
        ("cut", "average", "sum_one", "softmax"),
        ("soft", "average", "max_one", "identity"),
        ("hard", "average", "mean_one", "sigmoid"),
        ("product", "average", "mean_one", "softmax"),
        ("cut", "per_frame", "mean_one", "sigmoid"),
        ("soft", "per_frame", "max_one", "softmax"),
        ("hard", "per_frame", "sum_one", "identity"),
    ],
)
def test_gates(gate: str, weight_scale: str, softmax_scale: str, activation: str) -> None:
    case = Case(
        num_classes=33, width=40, weight_scale=weight_scale, softmax_scale=softmax_scale, gate=gate,
        activation=activation, gate_level=0.2,
    )  # fmt: skip
    problem = make_problem(case)
    with poisoned():
        got = kernels.forward(problem.inputs, case.options, frame_scores=True, plan=case.plan)
    wanted = expected_of(case, problem)
    share = ROUNDINGS * torch.finfo(torch.float32).eps / 2 * conditioning(case, problem)
    check_close("video scores", got.video_scores, wanted.video_scores, share)
    assert got.scores is not None
    check_close("scores", got.scores, wanted.scores, share)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid", "identity"])
def test_class_logits_as_they_are(activation: str) -> None:
    case = Case(lengths=(5, 17), num_classes=5, width=34, activation=activation, h_spread=9.0)
    check_case(kernels, case)


@pytest.mark.parametrize("frame_gradient", [False, True])
@pytest.mark.parametrize("num_classes", [1, 3, 157, 200, 256])
def test_numbers_of_classes(num_classes: int, frame_gradient: bool) -> None:
    case = Case(lengths=(1, 5), num_classes=num_classes, frame_gradient=frame_gradient)
    check_case(kernels, case)


@pytest.mark.parametrize(
    "lengths",
    [(1,), (2,), (63,), (1000,), (20000,), (1500, 3, 1, 1, 90), (1,) * 9],
    ids=lambda lengths: f"{len(lengths)} of {max(lengths)}",
)
@pytest.mark.parametrize("scale", ["mean_one", "max_one"])
def test_lengths(lengths: tuple[int, ...], scale: str) -> None:
    plan = BIG if max(lengths) > 500 else SMALL
    check_case(kernels, Case(lengths=lengths, num_classes=3, softmax_scale=scale, plan=plan))


@pytest.mark.parametrize(
    ("dtype", "num_classes"),
    [(torch.float32, 20), (torch.float16, 20), (torch.bfloat16, 20), (torch.bfloat16, 157)],
)
def test_the_plan_of_production(dtype: torch.dtype, num_classes: int) -> None:
    case = Case(lengths=(130, 3), num_classes=num_classes, dtype=dtype, plan=None)
    check_case(kernels, case)


@pytest.mark.parametrize("dtype", [torch.bfloat16, torch.float16])
@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_half_precision_with_frame_gradients(dtype: torch.dtype, activation: str) -> None:
    check_case(kernels, Case(dtype=dtype, activation=activation, frame_gradient=True))


@pytest.mark.parametrize("weight_scale", ["per_frame", "average"])
def test_several_merges_of_chunks_and_of_videos(weight_scale: str) -> None:
    """Blocks of eight chunks and of eight videos, neither of which divides what it walks over."""
    lengths = (17, 131, 1, 2, 1, 1, 1, 1, 1)
    case = Case(lengths=lengths, num_classes=3, plan=SEVERAL, weight_scale=weight_scale)
    check_case(kernels, case)
