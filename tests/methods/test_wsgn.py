"""WSGN's own scoring: the soft gate in torch against NumPy's, linear heads, the paper's losses."""

from __future__ import annotations

from itertools import combinations

import numpy as np
import pytest
import torch

from wsgn.errors import UsageError
from wsgn.localization.scoring import frame_scores
from wsgn.manifest import COMPONENTS, SelectionRule
from wsgn.methods.config import WsgnConfig
from wsgn.methods.interface import HeadOutput, Targets
from wsgn.methods.wsgn import Wsgn

LENGTHS = (1, 4, 19)
OFFSETS = torch.tensor([0, 1, 5, 24])
NUM_CLASSES = 3
SUBSETS = [s for size in (1, 2, 3) for s in combinations(COMPONENTS, size)]


def method(config: WsgnConfig) -> Wsgn:
    torch.manual_seed(1)
    result = Wsgn(config, 6, NUM_CLASSES)
    with torch.no_grad():
        result.global_mean.normal_()
        result.global_log_std.normal_()
    return result


def random_heads() -> HeadOutput:
    torch.manual_seed(2)
    return HeadOutput(
        selection_logits=3 * torch.randn(24, NUM_CLASSES),
        class_logits=torch.randn(24, NUM_CLASSES),
        hidden=torch.randn(24, 6),
    )


@pytest.mark.parametrize("components", SUBSETS)
def test_the_soft_gate_equals_the_runtime_s(components: tuple[str, ...]) -> None:
    config = WsgnConfig(
        components=components, softmax_scale="mean_one", scoring_softmax_scale="soft_gate"
    )
    wsgn, heads = method(config), random_heads()
    found = wsgn.frame_scores(heads, OFFSETS)
    rule = SelectionRule(
        components=components,
        softmax_scale="soft_gate",
        class_activation="softmax",
        global_mean=tuple(wsgn.global_mean.tolist()),
        global_std=tuple(wsgn.global_std.tolist()),
    )
    for video, rows in enumerate(heads.selection_logits.split(LENGTHS)):
        first, last = OFFSETS[video : video + 2].tolist()
        probabilities = heads.class_logits[first:last].softmax(dim=1)
        expected = frame_scores(rows.double().numpy(), probabilities.double().numpy(), rule)
        np.testing.assert_allclose(found[first:last].detach(), expected, atol=1e-6)
    pooled = wsgn.video_scores(heads, OFFSETS)
    torch.testing.assert_close(pooled[2], found[5:].mean(dim=0))


def test_an_even_spread_opens_the_soft_gate_by_ten_elevenths() -> None:
    config = WsgnConfig(
        components=("temporal_softmax",),
        softmax_scale="mean_one",
        scoring_softmax_scale="soft_gate",
    )
    heads = HeadOutput(
        selection_logits=torch.full((4, 3), 7.0),
        class_logits=torch.zeros(4, 3),
        hidden=torch.zeros(4, 6),
    )
    scores = method(config).frame_scores(heads, torch.tensor([0, 4]))
    torch.testing.assert_close(scores, torch.full((4, 3), 1 / 1.1 / 3))


def test_the_soft_gate_is_not_for_training() -> None:
    with pytest.raises(UsageError, match="in training"):
        WsgnConfig(softmax_scale="soft_gate")


def test_heads_may_be_linear() -> None:
    linear = method(WsgnConfig(hidden_layer=False))
    features = torch.randn(5, 6)
    heads = linear.heads(features)
    expected = features @ linear.selection_head.output.weight.T
    torch.testing.assert_close(heads.selection_logits, expected)
    assert heads.hidden is features
    assert not any("hidden" in name for name, _ in linear.named_parameters())


@pytest.mark.parametrize("components", [(), COMPONENTS])
def test_the_loss_is_the_cross_entropy_of_eq_2_for_each_video(components: tuple[str, ...]) -> None:
    wsgn, heads = method(WsgnConfig(components=components)), random_heads()
    labels = torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 0]])
    snippet_labels = (torch.rand(24, NUM_CLASSES) > 0.5).float()
    scores = wsgn.frame_scores(heads, OFFSETS).double()
    bce = torch.nn.functional.binary_cross_entropy

    def expected(video: int, *, supervised: bool) -> torch.Tensor:
        rows = slice(*OFFSETS[video : video + 2].tolist())
        loss = bce(scores[rows].mean(dim=0), labels[video].double())
        if supervised:
            loss = loss + bce(scores[rows], snippet_labels[rows].double())
        return loss

    for supervised in (False, True):
        targets = Targets(
            labels=labels,
            snippet_labels=snippet_labels if supervised else None,
            pairs=torch.zeros(0, 2, dtype=torch.long),
        )
        found = wsgn.losses(heads, OFFSETS, targets)
        assert found.per_pair.numel() == 0
        for video in range(3):
            torch.testing.assert_close(
                found.per_video[video].double(),
                expected(video, supervised=supervised),
                rtol=1e-5,
                atol=1e-6,
            )
