"""What the loss of a class that is there asks of free weights, as docs/why.md says."""

from __future__ import annotations

import pytest
import torch

from wsgn.manifest import AVERAGE, COMPONENTS, PER_FRAME
from wsgn.selection.api import frame_selection

SNIPPETS, ACTION = 100, slice(40, 62)
NAIVE = 0.22 * 0.6 + 0.78 * 0.3


def learned(components: tuple[str, ...], weight_scale: str) -> tuple[float, float, float]:
    """Mean weight of the action and of the rest, and the video score, after Adam on -log y."""
    probabilities = torch.full((SNIPPETS, 1), 0.3)
    probabilities[ACTION] = 0.6
    torch.manual_seed(0)
    x = (0.3 * torch.randn(SNIPPETS, 1)).requires_grad_()
    mu, rho = torch.zeros(1, requires_grad=True), torch.zeros(1, requires_grad=True)
    optimizer = torch.optim.Adam([x, mu, rho], lr=0.1)
    for _ in range(200):
        optimizer.zero_grad()
        found = frame_selection(
            x, torch.logit(probabilities), torch.tensor([0, SNIPPETS]), mu, rho.exp(),
            components=components, class_activation="sigmoid", weight_scale=weight_scale,
        )  # fmt: skip
        (-found.video_scores.log()).sum().backward()
        optimizer.step()
    weights = (found.scores / probabilities).detach()
    rest = torch.cat([weights[: ACTION.start], weights[ACTION.stop :]])
    return float(weights[ACTION].mean()), float(rest.mean()), float(found.video_scores.detach())


def test_eq_2_to_the_letter_ends_in_the_naive_model() -> None:
    action, rest, score = learned(("global_gaussian",), PER_FRAME)
    assert (action, rest) == (pytest.approx(1, abs=0.01), pytest.approx(1, abs=0.01))
    assert score == pytest.approx(NAIVE, abs=0.005)
    action, rest, score = learned(COMPONENTS, PER_FRAME)
    assert rest > 0.6
    assert action < 1.4 * rest
    assert score < NAIVE


def test_a_weighted_average_moves_weight_to_the_action() -> None:
    action, rest, score = learned(("global_gaussian",), AVERAGE)
    assert (action, rest) == (pytest.approx(100 / 22, abs=0.02), pytest.approx(0, abs=0.02))
    assert score == pytest.approx(0.6, abs=0.01)
    action, rest, score = learned(COMPONENTS, AVERAGE)
    assert action > 4 * rest
    assert score > NAIVE + 0.08
