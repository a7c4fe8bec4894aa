"""The operator against the paper's equations in float64, video by video, and its gradients."""

from __future__ import annotations

import itertools

import pytest
import torch
from torch import Tensor

from wsgn.manifest import COMPONENTS, SOFTMAX_SCALES
from wsgn.selection.api import frame_selection

EPSILON = 1e-6
SUBSETS = [subset for size in (1, 2, 3) for subset in itertools.combinations(COMPONENTS, size)]
LENGTHS = [1, 2, 63, 5]


def paper_video(
    x: Tensor,
    h: Tensor,
    mu: Tensor,
    sigma: Tensor,
    components: tuple[str, ...],
    softmax_scale: str,
    activation: str,
) -> tuple[Tensor, Tensor]:
    """Eqs. 2, 3, 5 and 7 for one video, as written in the paper."""
    num_snippets = x.shape[0]
    weights = []
    if "local_gaussian" in components:
        mean = x.sum(0) / num_snippets
        variance = ((x - mean) ** 2).sum(0) / num_snippets + EPSILON
        weights.append(torch.exp(-((x - mean) ** 2) / variance))
    if "global_gaussian" in components:
        weights.append(torch.exp(-(((x - mu) / sigma) ** 2)))
    if "temporal_softmax" in components:
        softmax = torch.exp(x) / torch.exp(x).sum(0)
        scale = {
            "sum_one": torch.ones(x.shape[1], dtype=x.dtype),
            "mean_one": torch.full((x.shape[1],), float(num_snippets), dtype=x.dtype),
            "max_one": 1 / softmax.max(0).values,
        }[softmax_scale]
        weights.append(scale * softmax)
    p = torch.exp(h) / torch.exp(h).sum(1, keepdim=True)
    if activation == "sigmoid":
        p = 1 / (1 + torch.exp(-h))
    scores = torch.stack(weights).mean(0) * p
    return scores, scores.sum(0) / num_snippets


def packed_example(num_classes: int = 3) -> tuple[Tensor, Tensor, Tensor, Tensor, Tensor]:
    generator = torch.Generator().manual_seed(7)
    total = sum(LENGTHS)
    x = torch.randn(total, num_classes, generator=generator, dtype=torch.float64) * 2
    h = torch.randn(total, num_classes, generator=generator, dtype=torch.float64)
    mu = torch.randn(num_classes, generator=generator, dtype=torch.float64)
    sigma = torch.rand(num_classes, generator=generator, dtype=torch.float64) + 0.5
    offsets = torch.tensor([0, *LENGTHS]).cumsum(0)
    return x, h, mu, sigma, offsets


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("softmax_scale", SOFTMAX_SCALES)
@pytest.mark.parametrize("components", SUBSETS)
def test_equals_the_paper(components: tuple[str, ...], softmax_scale: str, activation: str) -> None:
    x, h, mu, sigma, offsets = packed_example()
    got = frame_selection(
        x, h, offsets, mu, sigma,
        components=components, softmax_scale=softmax_scale, class_activation=activation,
        epsilon=EPSILON,
    )  # fmt: skip
    for video, (start, end) in enumerate(itertools.pairwise(offsets.tolist())):
        scores, video_scores = paper_video(
            x[start:end], h[start:end], mu, sigma, components, softmax_scale, activation
        )
        torch.testing.assert_close(got.scores[start:end], scores, rtol=1e-12, atol=1e-13)
        torch.testing.assert_close(got.video_scores[video], video_scores, rtol=1e-12, atol=1e-13)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
@pytest.mark.parametrize("softmax_scale", SOFTMAX_SCALES)
@pytest.mark.parametrize("components", SUBSETS)
def test_backward_equals_autograd_of_the_paper(
    components: tuple[str, ...], softmax_scale: str, activation: str
) -> None:
    inputs = packed_example()
    offsets = inputs[4]
    generator = torch.Generator().manual_seed(1)
    grad_scores = torch.randn(inputs[0].shape, generator=generator, dtype=torch.float64)
    grad_video = torch.randn(
        len(LENGTHS), inputs[0].shape[1], generator=generator, dtype=torch.float64
    )

    def gradients(ours: bool) -> list[Tensor]:
        x, h, mu, sigma = (value.clone().requires_grad_() for value in inputs[:4])
        if ours:
            selection = frame_selection(
                x, h, offsets, mu, sigma,
                components=components, softmax_scale=softmax_scale, class_activation=activation,
                epsilon=EPSILON,
            )  # fmt: skip
            scores, video_scores = selection.scores, selection.video_scores
        else:
            pairs = [
                paper_video(x[a:b], h[a:b], mu, sigma, components, softmax_scale, activation)
                for a, b in itertools.pairwise(offsets.tolist())
            ]
            scores = torch.cat([pair[0] for pair in pairs])
            video_scores = torch.stack([pair[1] for pair in pairs])
        loss = (scores * grad_scores).sum() + (video_scores * grad_video).sum()
        loss.backward()
        values = (x, h, mu, sigma)
        return [torch.zeros_like(v) if v.grad is None else v.grad for v in values]

    for ours, expected in zip(gradients(True), gradients(False), strict=True):
        torch.testing.assert_close(ours, expected, rtol=1e-9, atol=1e-11)


def test_gradcheck() -> None:
    x, h, mu, sigma, offsets = packed_example(2)
    leaves = [value[:8] if value.ndim == 2 else value for value in (x, h, mu, sigma)]
    leaves = [value.clone().requires_grad_() for value in leaves]
    offsets = torch.tensor([0, 1, 3, 8])

    def both(*values: Tensor) -> tuple[Tensor, Tensor]:
        a, b, c, d = values
        selection = frame_selection(a, b, offsets, c, d)
        return selection.scores, selection.video_scores

    assert torch.autograd.gradcheck(both, leaves)


def test_opcheck() -> None:
    x, h, mu, sigma, offsets = packed_example()
    arguments = (
        x.requires_grad_(), h.requires_grad_(), offsets, mu.requires_grad_(),
        sigma.requires_grad_(), 3, True, True, True, "mean_one", "softmax", EPSILON,
    )  # fmt: skip
    torch.library.opcheck(torch.ops.wsgn.frame_selection.default, arguments)


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
    with pytest.raises(ValueError, match="float32"):
        frame_selection(x, h.float(), offsets, mu, sigma)
