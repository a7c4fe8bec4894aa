"""The co-activity loss against the paper's formulas, and where it must be silent."""

from __future__ import annotations

import itertools

import numpy as np
import pytest
import torch

from wsgn.methods.coactivity import coactivity_losses
from wsgn.support.arrays import FloatArray

OFFSETS = [0, 5, 7, 15, 16]
LABELS = [[1, 0, 1], [1, 1, 0], [1, 0, 1], [1, 0, 0]]


def cosine_distance(first: FloatArray, second: FloatArray) -> float:
    return 1 - float(first @ second) / float(np.linalg.norm(first) * np.linalg.norm(second))


def high_and_low(features: FloatArray, logits: FloatArray) -> tuple[FloatArray, FloatArray]:
    """Equations of section 3.4, one snippet after the other."""
    weights = [float(np.exp(x)) for x in logits]
    high = np.zeros(features.shape[1])
    low = np.zeros(features.shape[1])
    for weight, feature in zip(weights, features, strict=True):
        attention = weight / sum(weights)
        high += attention * feature
        low += (1 - attention) / (len(features) - 1) * feature
    return high, low


def plain_loss(
    first: tuple[FloatArray, FloatArray],
    second: tuple[FloatArray, FloatArray],
    shared: list[int],
    margin: float,
) -> float:
    """Of two videos, each (features, logits)."""
    losses = []
    for column in shared:
        high_i, low_i = high_and_low(first[0], first[1][:, column])
        high_j, low_j = high_and_low(second[0], second[1][:, column])
        near = cosine_distance(high_i, high_j)
        losses.append(
            max(0.0, near - cosine_distance(high_i, low_j) + margin) / 2
            + max(0.0, near - cosine_distance(low_i, high_j) + margin) / 2
        )
    return sum(losses) / len(losses)


def example(seed: int = 0, size: int = 6) -> tuple[torch.Tensor, torch.Tensor]:
    """Features of several directions and logits that tell them apart."""
    random = np.random.default_rng(seed)
    hidden = np.maximum(random.normal(size=(OFFSETS[-1], size)), 0) + 0.1
    logits = random.normal(size=(OFFSETS[-1], 3)) * 2
    return torch.from_numpy(hidden), torch.from_numpy(logits)


def losses_of(
    hidden: torch.Tensor, logits: torch.Tensor, pairs: list[tuple[int, int]], margin: float = 0.5
) -> torch.Tensor:
    return coactivity_losses(
        hidden,
        logits,
        torch.tensor(OFFSETS),
        torch.tensor(LABELS, dtype=hidden.dtype),
        torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2),
        margin=margin,
    )


# With the small margin some hinges are flat.
@pytest.mark.parametrize("margin", [0.5, 0.02])
def test_it_is_the_paper_s_loss(margin: float) -> None:
    hidden, logits = example()
    videos = [(hidden[a:b].numpy(), logits[a:b].numpy()) for a, b in itertools.pairwise(OFFSETS)]
    expected = [
        plain_loss(videos[0], videos[2], [0, 2], margin),
        plain_loss(videos[1], videos[0], [0], margin),
    ]
    found = losses_of(hidden, logits, [(0, 2), (1, 0)], margin)
    np.testing.assert_allclose(found.numpy(), expected, rtol=1e-12)


def test_a_pair_that_agrees_by_more_than_the_margin_costs_nothing() -> None:
    # High features both along x, low features both along y: d = 0 against d = 1.
    hidden = torch.tensor([[1.0, 0], [0, 1], [2, 0], [0, 3]])
    logits = torch.tensor([[40.0], [0], [40], [0]])
    labels = torch.ones(2, 1)
    arguments = (hidden, logits, torch.tensor([0, 2, 4]), labels, torch.tensor([[0, 1]]))
    assert coactivity_losses(*arguments, margin=0.9).tolist() == pytest.approx([0])
    assert coactivity_losses(*arguments, margin=1.25).tolist() == pytest.approx([0.25])


def test_gradients_equal_finite_differences() -> None:
    hidden, logits = example(seed=3)
    hidden.requires_grad_()
    logits.requires_grad_()
    assert torch.autograd.gradcheck(
        lambda h, x: losses_of(h, x, [(0, 2), (1, 0), (2, 1)]), (hidden, logits)
    )


@pytest.mark.parametrize(
    ("pair", "why"), [((0, 3), "a video of one snippet"), ((3, 3), "one snippet twice")]
)
def test_a_pair_with_one_snippet_is_silent(pair: tuple[int, int], why: str) -> None:
    hidden, logits = example()
    hidden.requires_grad_()
    loss = losses_of(hidden, logits, [pair])
    loss.sum().backward()
    assert loss.tolist() == [0], why
    assert hidden.grad is not None
    assert hidden.grad.abs().max() == 0


def test_a_pair_without_a_common_class_is_silent() -> None:
    hidden, logits = example()
    hidden.requires_grad_()
    loss = coactivity_losses(
        hidden,
        logits,
        torch.tensor(OFFSETS),
        torch.tensor([[1.0, 0, 0], [0, 1, 0], [0, 0, 1], [1, 0, 0]]),
        torch.tensor([[0, 1], [1, 2]]),
    )
    loss.sum().backward()
    assert loss.tolist() == [0, 0]
    assert hidden.grad is not None
    assert hidden.grad.abs().max() == 0


def test_zero_features_give_finite_gradients() -> None:
    # cos of a zero vector is taken as 0: both distances are 1 and the margin remains.
    hidden = torch.zeros(OFFSETS[-1], 4, requires_grad=True)
    logits = torch.zeros(OFFSETS[-1], 3, requires_grad=True)
    loss = losses_of(hidden, logits, [(0, 1)])
    loss.sum().backward()
    assert loss.tolist() == [0.5]
    assert hidden.grad is not None
    assert logits.grad is not None
    assert torch.isfinite(hidden.grad).all()
    assert torch.isfinite(logits.grad).all()


def test_extreme_logits_stay_finite() -> None:
    hidden, logits = example()
    assert torch.isfinite(losses_of(hidden, logits * 1e4, [(0, 2)])).all()


def test_no_pairs_give_no_losses() -> None:
    hidden, logits = example()
    found = losses_of(hidden.requires_grad_(), logits, [])
    assert found.shape == (0,)
    assert found.sum() == 0


def test_half_precision_is_computed_in_single() -> None:
    hidden, logits = example()
    halves = hidden.bfloat16(), logits.bfloat16()
    expected = losses_of(halves[0].double(), halves[1].double(), [(0, 2)])
    with torch.autocast("cpu", dtype=torch.bfloat16):
        found = losses_of(*halves, [(0, 2)])
    assert found.dtype == torch.float32
    np.testing.assert_allclose(found.numpy(), expected.numpy(), rtol=1e-5)


def test_pairs_must_be_pairs() -> None:
    hidden, logits = example()
    with pytest.raises(ValueError, match=r"\(P, 2\)"):
        coactivity_losses(
            hidden, logits, torch.tensor(OFFSETS), torch.tensor(LABELS), torch.tensor([0, 1])
        )
