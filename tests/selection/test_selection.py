"""The operator against the paper's equations in float64, video by video, and its gradients."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
import torch
from paper import EPSILON, Array, gated, gradients, probabilities, weight
from torch import Tensor

from wsgn.manifest import ACTIVATIONS, COMPONENTS, GATES, SOFTMAX_SCALES
from wsgn.selection.api import Selection, frame_selection, video_selection

SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(COMPONENTS, size)]
# "average" is of all components, the others of the softmax alone.
SCALES = (*SOFTMAX_SCALES, "average")
LOSSES = ("video scores", "frame scores", "both")
LENGTHS = [1, 2, 9, 4]
TOTAL = sum(LENGTHS)


@dataclass(frozen=True, kw_only=True)
class Case:
    """What is computed of a ragged batch."""

    components: tuple[str, ...] = COMPONENTS
    scale: str = "average"
    activation: str = "softmax"
    loss: str = "both"
    num_classes: int = 3
    # Columns that are not classes, full of NaN.
    padding: int = 0

    def run(self, *values: Tensor, **more: object) -> Selection:
        """The operator on x, h, mu and sigma."""
        average = self.scale == "average"
        return frame_selection(
            *values[:2], torch.tensor([0, *LENGTHS]).cumsum(0), *values[2:],
            num_classes=self.num_classes, components=self.components, epsilon=EPSILON,
            softmax_scale="sum_one" if average else self.scale,
            weight_scale="average" if average else "per_frame",
            class_activation=self.activation, **more,
        )  # fmt: skip

    def values(self) -> tuple[Array, Array, Array, Array]:
        """x, h, mu and sigma, in float64."""
        random = np.random.default_rng(7)
        rows, vector = (TOTAL, self.num_classes), (self.num_classes,)
        x, h = 2 * random.standard_normal(rows), random.standard_normal(rows)
        return x, h, random.standard_normal(vector), random.uniform(0.5, 1.5, vector)

    def leaves(self) -> list[Tensor]:
        """The same as tensors, padded."""
        padded = [
            np.pad(value, ((0, 0), (0, self.padding)), constant_values=np.nan)
            if value.ndim == 2
            else value
            for value in self.values()
        ]
        return [torch.from_numpy(value).requires_grad_() for value in padded]


def covering_cases() -> list[Case]:
    """Each subset with each scale and activation; losses and numbers of classes go round."""
    grid = itertools.product(SUBSETS, SCALES, ACTIVATIONS)
    return [
        Case(
            components=components, scale=scale, activation=activation,
            loss=LOSSES[(number + number // 3) % 3], num_classes=(3, 1, 5)[number % 7 % 3],
            padding=2 * (number % 5 == 0),
        )
        for number, (components, scale, activation) in enumerate(grid)
    ]  # fmt: skip


def videos() -> list[slice]:
    """Rows of each."""
    return [slice(a, b) for a, b in itertools.pairwise(np.cumsum([0, *LENGTHS]).tolist())]


def paper(case: Case, x: Array, h: Array, mu: Array, sigma: Array) -> tuple[Array, Array]:
    """Frame scores (N, C) and video scores (B, C)."""
    scores = [
        weight(x[rows], mu, sigma, case.components, case.scale)
        * probabilities(h[rows], case.activation)
        for rows in videos()
    ]
    return np.concatenate(scores), np.stack([part.sum(0) / len(part) for part in scores])


def check(case: Case) -> None:
    """Scores and gradients of one case."""
    values, leaves = case.values(), case.leaves()
    wanted = paper(case, *values)
    selection = case.run(*leaves)
    got = selection.scores, selection.video_scores
    for ours, theirs in zip(got, wanted, strict=True):
        np.testing.assert_allclose(ours.detach(), theirs, rtol=1e-12, atol=1e-13)
    random = np.random.default_rng(1)
    factors = [random.standard_normal(part.shape) for part in wanted]
    used = {"frame scores": (0,), "video scores": (1,), "both": (0, 1)}[case.loss]
    sum((got[part] * torch.from_numpy(factors[part])).sum() for part in used).backward()

    def loss(*values: Array) -> complex:
        parts = paper(case, *values)
        return sum((parts[part] * factors[part]).sum() for part in used)

    for leaf, theirs in zip(leaves, gradients(loss, values), strict=True):
        ours = np.zeros(leaf.shape) if leaf.grad is None else leaf.grad.numpy()
        np.testing.assert_allclose(ours[..., : case.num_classes], theirs, rtol=1e-9, atol=1e-11)
        assert not ours[..., case.num_classes :].any()


@pytest.mark.parametrize("case", covering_cases(), ids=str)
def test_scores_and_gradients_are_those_of_the_paper(case: Case) -> None:
    check(case)


@pytest.mark.parametrize("scale", SCALES)
@pytest.mark.parametrize("gate", GATES)
def test_a_gate_changes_the_frame_scores_that_are_returned_and_nothing_else(
    gate: str, scale: str
) -> None:
    case = Case(scale=scale, activation="sigmoid")
    x, h, mu, sigma = case.values()
    leaves = case.leaves()
    if gate == "product" and scale != "average":
        with pytest.raises(ValueError, match="'average'"):
            case.run(*leaves, gate=gate)
        return
    selection = case.run(*leaves, gate=gate, gate_level=0.7)
    for rows in videos():
        of_gate = scale if gate != "product" else "max_one"
        w = weight(x[rows], mu, sigma, COMPONENTS, of_gate)
        w = w if gate == "product" else gated(w, gate, 0.7)
        wanted = w * probabilities(h[rows], "sigmoid")
        np.testing.assert_allclose(selection.scores[rows].detach(), wanted, rtol=1e-12, atol=1e-13)
    assert torch.equal(selection.video_scores, case.run(*leaves).video_scores)
    selection.video_scores.sum().backward(retain_graph=True)
    if gate != "none":
        with pytest.raises(ValueError, match=f"'{gate}' have no gradient"):
            selection.scores.sum().backward()


@pytest.mark.parametrize("components", SUBSETS)
def test_a_weighted_average_has_weights_of_mean_one(components: tuple[str, ...]) -> None:
    """A video score lies between the smallest and the largest p; a snippet alone has all weight."""
    case = Case(components=components, activation="identity")
    x, h, mu, sigma = case.leaves()
    weights = case.run(x, torch.ones_like(h), mu, sigma)
    ones = torch.ones(len(LENGTHS), 3, dtype=torch.float64)
    torch.testing.assert_close(weights.video_scores, ones, rtol=1e-14, atol=0)
    torch.testing.assert_close(weights.scores[:1], ones[:1], rtol=1e-14, atol=0)
    assert (weights.scores >= 0).all()
    video_scores = case.run(x, h, mu, sigma).video_scores
    for rows, found in zip(videos(), video_scores, strict=True):
        assert (found >= h[rows].amin(0) - 1e-14).all()
        assert (found <= h[rows].amax(0) + 1e-14).all()


@pytest.mark.parametrize("scale", ["average", "max_one"])
def test_only_the_global_gaussian_knows_how_high_the_logits_are(scale: str) -> None:
    for components in SUBSETS:
        case = Case(components=components, scale=scale)
        x, h, mu, sigma = case.leaves()
        scores, moved = (case.run(x + shift, h, mu, sigma).scores for shift in (0, 0.5))
        same = torch.allclose(scores, moved, rtol=1e-9, atol=0)
        assert same == ("global_gaussian" not in components)


@pytest.mark.parametrize("dtype", [torch.float32, torch.float64])
def test_a_gaussian_that_is_nowhere_counts_nothing(dtype: torch.dtype) -> None:
    """In the second class exp(-v^2) is below the normal numbers of float32, in the third 0."""
    x = torch.zeros(5, 3, dtype=dtype) + torch.arange(5)[:, None] / 100
    x = (x + torch.tensor([0.0, 9.5, 1e6])).requires_grad_()
    h = torch.full((5, 3), 0.5, dtype=dtype, requires_grad=True)
    mu, sigma = (torch.tensor(3 * [v], dtype=dtype, requires_grad=True) for v in (0.0, 1.0))
    for components in (("global_gaussian",), COMPONENTS):
        selection = frame_selection(
            x, h, torch.tensor([0, 1, 5]), mu, sigma, components=components,
            weight_scale="average", class_activation="identity",
        )  # fmt: skip
        others = len(components) - 1
        expected = [0.5, *2 * [0.5 * others / len(components)]]
        for found in selection.video_scores.tolist():
            assert found == pytest.approx(expected, rel=1e-5)
        loss = selection.video_scores.sum() + selection.scores.square().sum()
        slopes = torch.autograd.grad(loss, (x, h, mu, sigma))
        for slope in slopes:
            assert slope.isfinite().all()
        for slope in slopes[2:]:
            assert slope[0] != 0
            assert not slope[1:].any()
        if others == 0:
            assert not slopes[0][:, 1:].any()
            assert not slopes[1][:, 1:].any()


@pytest.mark.parametrize("height", [0.0, 1e3, 3e7])
def test_a_local_gaussian_is_always_somewhere(height: float) -> None:
    """The mean of u^2 is at most 1, and so some z is at least 1 / e, however x is rounded."""
    random = torch.Generator().manual_seed(0)
    x = height + torch.randint(0, 2, (999, 40), generator=random) * torch.rand(40) ** 8
    weights = frame_selection(
        x, torch.ones_like(x), torch.tensor([0, 1, 999]), torch.zeros(40), torch.ones(40),
        components=("local_gaussian",), weight_scale="average", class_activation="identity",
    )  # fmt: skip
    torch.testing.assert_close(weights.video_scores, torch.ones(2, 40), rtol=1e-5, atol=0)


def test_probabilities_of_one_give_no_more_than_one() -> None:
    """A cross-entropy takes the logarithm of 1 - it."""
    x = torch.randn(3000, 50, generator=torch.Generator().manual_seed(0))
    video_scores = video_selection(
        x, torch.full_like(x, 50.0), torch.tensor([0, 3, 3000]), torch.zeros(50), torch.ones(50),
        weight_scale="average", class_activation="sigmoid",
    )  # fmt: skip
    assert (video_scores <= 1 + 2**-22).all()


def packed_example(num_classes: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    total = 71
    x = torch.randn(total, num_classes, generator=generator, dtype=torch.float64) * 2
    h = torch.randn(total, num_classes, generator=generator, dtype=torch.float64)
    mu = torch.randn(num_classes, generator=generator, dtype=torch.float64)
    sigma = torch.rand(num_classes, generator=generator, dtype=torch.float64) + 0.5
    offsets = torch.tensor([0, *[1, 2, 63, 5]]).cumsum(0)
    return x, h, mu, sigma, offsets


def test_a_video_is_not_touched_by_its_neighbours() -> None:
    x, h, mu, sigma, offsets = packed_example()
    together = frame_selection(x, h, offsets, mu, sigma)
    start, end = 3, 66
    alone = frame_selection(x[start:end], h[start:end], torch.tensor([0, 63]), mu, sigma)
    torch.testing.assert_close(together.scores[start:end], alone.scores, rtol=1e-14, atol=1e-15)


def test_one_snippet_and_constant_logits_stay_finite() -> None:
    x = torch.full((4, 2), 1e4, requires_grad=True)
    h = torch.zeros(4, 2, requires_grad=True)
    selection = frame_selection(
        x, h, torch.tensor([0, 1, 4]), torch.zeros(2), torch.ones(2),
        components=("local_gaussian", "temporal_softmax"),
    )  # fmt: skip
    # z = 1 where the variance is zero, T * softmax = 1 where all logits are equal.
    torch.testing.assert_close(selection.scores, torch.full((4, 2), 0.5))
    selection.video_scores.sum().backward()
    assert x.grad is not None
    assert torch.isfinite(x.grad).all()


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_is_computed_in_float32(dtype: torch.dtype) -> None:
    x, h, mu, sigma, offsets = packed_example()
    half = frame_selection(x.to(dtype), h.to(dtype), offsets, mu, sigma)
    full = frame_selection(x.to(dtype).double(), h.to(dtype).double(), offsets, mu, sigma)
    assert half.scores.dtype == torch.float32
    torch.testing.assert_close(half.scores.double(), full.scores, rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize(
    ("offsets", "words"),
    [
        ([0, 3, 70], "N = 71"),
        ([1, 71], "N = 71"),
        ([0, 5, 5, 71], "empty"),
        ([0, 9, 5, 71], "rise"),
        ([0], "at least 2"),
    ],
)
def test_wrong_offsets_are_refused(offsets: list[int], words: str) -> None:
    x, h, mu, sigma, _ = packed_example()
    with pytest.raises(ValueError, match=words):
        frame_selection(x, h, torch.tensor(offsets), mu, sigma)


def test_wrong_shapes_and_names_are_refused() -> None:
    x, h, mu, sigma, offsets = packed_example()
    with pytest.raises(ValueError, match=r"\(71, 2\)"):
        frame_selection(x, h[:, :2], offsets, mu, sigma)
    with pytest.raises(ValueError, match=r"\(2,\)"):
        frame_selection(x, h, offsets, mu[:2], sigma)
    with pytest.raises(ValueError, match="non-empty"):
        frame_selection(x, h, offsets, mu, sigma, components=())
    with pytest.raises(ValueError, match="'one'"):
        frame_selection(x, h, offsets, mu, sigma, softmax_scale="one")
    with pytest.raises(ValueError, match="'relu'"):
        frame_selection(x, h, offsets, mu, sigma, class_activation="relu")
    with pytest.raises(ValueError, match=r"weight_scale .* 'even'"):
        frame_selection(x, h, offsets, mu, sigma, weight_scale="even")
    with pytest.raises(ValueError, match=r"gate .* 'open'"):
        frame_selection(x, h, offsets, mu, sigma, gate="open")
    with pytest.raises(ValueError, match=r"gate_level .* 0\.0"):
        frame_selection(x, h, offsets, mu, sigma, gate="soft", gate_level=0.0)
    with pytest.raises(ValueError, match="float32"):
        frame_selection(x, h.float(), offsets, mu, sigma)
