"""The operator as the paper writes it, video by video in float64, its backward by autograd."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import torch
from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class Expected:
    """Float64 results."""

    # (N, C) and (B, C).
    scores: Tensor
    video_scores: Tensor
    # (N, W) twice, (C) twice.
    dx: Tensor
    dh: Tensor
    d_mu: Tensor
    d_sigma: Tensor


@dataclass(frozen=True, kw_only=True)
class Formula:
    """What is computed."""

    components: tuple[str, ...]
    # One of the softmax's, or "average" of all components.
    scale: str
    activation: str
    epsilon: float
    gate: str = "none"
    gate_level: float = 0.0


def one_video(
    x: Tensor, h: Tensor, mu: Tensor, sigma: Tensor, formula: Formula
) -> tuple[Tensor, Tensor]:
    """Frame scores (T, C) and video scores (C) by eqs. 2, 3, 5 and 7."""
    weight = _weight(x, mu, sigma, formula, formula.scale)
    if formula.activation == "identity":
        p = h
    else:
        p = torch.softmax(h, 1) if formula.activation == "softmax" else torch.sigmoid(h)
    level = formula.gate_level
    gated = {
        "none": lambda: weight,
        "cut": lambda: weight.clamp(max=1),
        "soft": lambda: weight / (weight + level),
        "hard": lambda: (weight >= level).double(),
        "product": lambda: _weight(x, mu, sigma, formula, "max_one"),
    }[formula.gate]()
    return gated * p, (weight * p).mean(0)


def _weight(x: Tensor, mu: Tensor, sigma: Tensor, formula: Formula, scale: str) -> Tensor:
    components, epsilon = formula.components, formula.epsilon
    parts = []
    if "local_gaussian" in components:
        mean = x.mean(0)
        variance = ((x - mean) ** 2).mean(0)
        parts.append(torch.exp(-((x - mean) ** 2) / (variance + epsilon)))
    if "global_gaussian" in components:
        parts.append(torch.exp(-(((x - mu) / sigma) ** 2)))
    if "temporal_softmax" in components:
        scaled = {
            "sum_one": lambda: torch.softmax(x, 0),
            "mean_one": lambda: x.shape[0] * torch.softmax(x, 0),
            "max_one": lambda: torch.exp(x - x.amax(0)),
        }
        parts.append(scaled["mean_one" if scale == "average" else scale]())
    if scale == "average":
        parts = [part / part.mean(0) for part in parts]
    return sum(parts) / len(parts)


def expected_results(
    tensors: tuple[Tensor, Tensor, Tensor, Tensor, Tensor],
    grad_scores: Tensor | None,
    grad_video_scores: Tensor | None,
    formula: Formula,
) -> Expected:
    """Of x, h (N, W), offsets, mu and sigma (C), and of gradients of the scores."""
    x, h, mu, sigma = (tensors[place].detach().double().requires_grad_() for place in (0, 1, 3, 4))
    num_classes = len(mu)
    found = [
        one_video(x[start:end, :num_classes], h[start:end, :num_classes], mu, sigma, formula)
        for start, end in itertools.pairwise(tensors[2].tolist())
    ]
    scores = torch.cat([of_frames for of_frames, _ in found])
    video_scores = torch.stack([of_video for _, of_video in found])
    loss = 0 * (x.sum() + h.sum() + mu.sum() + sigma.sum())
    if grad_scores is not None:
        loss = loss + (scores * grad_scores.double()).sum()
    if grad_video_scores is not None:
        loss = loss + (video_scores * grad_video_scores.double()).sum()
    gradients = torch.autograd.grad(loss, (x, h, mu, sigma))
    return Expected(
        scores=scores.detach(),
        video_scores=video_scores.detach(),
        dx=gradients[0],
        dh=gradients[1],
        d_mu=gradients[2],
        d_sigma=gradients[3],
    )
