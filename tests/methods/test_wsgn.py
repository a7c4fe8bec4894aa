"""WSGN's losses against the paper's equations in float64 NumPy, linear heads, its rules."""

from __future__ import annotations

import math
from itertools import pairwise

import numpy as np
import pytest
import torch
from packed import scored

from wsgn.errors import UsageError
from wsgn.manifest import COMPONENTS
from wsgn.methods.config import WsgnConfig
from wsgn.methods.interface import HeadOutput, Targets
from wsgn.methods.rules import method_rule
from wsgn.methods.wsgn import Wsgn
from wsgn.support.arrays import FloatArray

LENGTHS = (1, 4, 19)
OFFSETS = torch.tensor([0, 1, 5, 24])
NUM_CLASSES = 3
LABELS = np.array([[1.0, 0, 0], [0, 1, 1], [0, 0, 0]])


def method(config: WsgnConfig) -> Wsgn:
    torch.manual_seed(1)
    result = Wsgn(config, 6, NUM_CLASSES)
    with torch.no_grad():
        result.global_mean.normal_()
        # Wide enough that no Gaussian is 0 in float32.
        result.global_log_std.normal_(1.0, 0.3)
    return result


def random_heads() -> HeadOutput:
    torch.manual_seed(2)
    return HeadOutput(
        selection_logits=3 * torch.randn(24, NUM_CLASSES),
        class_logits=torch.randn(24, NUM_CLASSES),
        hidden=torch.randn(24, 6),
    )


def sigmoid(values: FloatArray) -> FloatArray:
    result: FloatArray = 1 / (1 + np.exp(-values))
    return result


def softmax(values: FloatArray, axis: int) -> FloatArray:
    exponentials = np.exp(values)
    result: FloatArray = exponentials / exponentials.sum(axis=axis, keepdims=True)
    return result


def equations(wsgn: Wsgn, x: FloatArray) -> dict[str, FloatArray]:
    """Eqs. 3, 5 and 7 of one video's selection logits (T, C)."""
    mu = wsgn.global_mean.detach().double().numpy()
    s = wsgn.global_std.detach().double().numpy()
    deviation = np.sqrt(x.var(axis=0) + 1e-6)
    return {
        "local_gaussian": np.exp(-(((x - x.mean(axis=0)) / deviation) ** 2)),
        "global_gaussian": np.exp(-(((x - mu) / s) ** 2)),
        "temporal_softmax": softmax(x, axis=0),
    }


def weights(wsgn: Wsgn, x: FloatArray) -> FloatArray:
    """The weights (T, C) of one video, each scale as its words are."""
    config, found = wsgn.config, equations(wsgn, x)
    if not config.components:
        return np.ones_like(x)
    parts = []
    for name in config.components:
        value = found[name]
        if config.weight_scale == "average":
            value = len(x) * value / value.sum(axis=0)
        elif name == "temporal_softmax":
            value = value / value.max(axis=0)
        parts.append(value)
    mean: FloatArray = np.mean(parts, axis=0)
    return mean


def cross_entropy(p: FloatArray, y: FloatArray) -> FloatArray:
    result: FloatArray = -(y * np.log(p) + (1 - y) * np.log(1 - p))
    return result


def videos_of(heads: HeadOutput) -> list[tuple[FloatArray, FloatArray]]:
    """Selection and class logits (T, C) of each video."""
    x, h = heads.selection_logits.double().numpy(), heads.class_logits.double().numpy()
    return [(x[a:b], h[a:b]) for a, b in pairwise(OFFSETS.tolist())]


def found_losses(wsgn: Wsgn, heads: HeadOutput, snippet_labels: FloatArray | None) -> FloatArray:
    targets = Targets(
        labels=torch.from_numpy(LABELS).float(),
        snippet_labels=None if snippet_labels is None else torch.from_numpy(snippet_labels).float(),
        pairs=torch.zeros(0, 2, dtype=torch.long),
    )
    losses = wsgn.losses(heads, OFFSETS, targets)
    assert losses.per_pair.numel() == 0
    per_video: FloatArray = losses.per_video.detach().double().numpy()
    return per_video


@pytest.mark.parametrize("is_supervised", [False, True])
@pytest.mark.parametrize("weight_scale", ["average", "per_frame"])
@pytest.mark.parametrize("components", [(), COMPONENTS])
def test_the_loss_is_the_cross_entropy_of_the_weighted_mean(
    components: tuple[str, ...], weight_scale: str, is_supervised: bool
) -> None:
    """Eq. 1, eq. 2, the weighted average; section 4.3, whose frames' predictions are p."""
    wsgn = method(WsgnConfig(components=components, weight_scale=weight_scale))
    heads = random_heads()
    random = np.random.default_rng(3)
    labels = (random.random((24, NUM_CLASSES)) > 0.5).astype(float)
    found = found_losses(wsgn, heads, labels if is_supervised else None)
    for video, (x, h) in enumerate(videos_of(heads)):
        p, w = softmax(h, axis=1), weights(wsgn, x)
        expected = cross_entropy((w * p).mean(axis=0), LABELS[video]).mean()
        if is_supervised:
            frames = p if weight_scale == "average" else w * p
            y = labels[slice(*OFFSETS[video : video + 2].tolist())]
            expected += cross_entropy(frames, y).mean()
        assert found[video] == pytest.approx(expected, rel=1e-5), video


@pytest.mark.parametrize(
    ("components", "is_supervised", "peak_pooling"),
    [
        ((), False, "top_k"),
        ((), True, "softmax"),
        (("global_gaussian",), False, "softmax"),
        (COMPONENTS, True, "top_k"),
        (COMPONENTS, False, "softmax"),
    ],
)
def test_logits_are_pooled_by_the_weights_and_by_the_largest(
    components: tuple[str, ...], is_supervised: bool, peak_pooling: str
) -> None:
    wsgn = method(
        WsgnConfig(
            components=components,
            class_activation="sigmoid",
            pooling="logits",
            peak_weight=0.7,
            peak_pooling=peak_pooling,
            snippets_per_pick=4,
        )
    )
    heads = random_heads()
    labels = np.zeros((24, NUM_CLASSES))
    labels[7:12, 1] = 1
    found = found_losses(wsgn, heads, labels if is_supervised else None)
    for video, (x, h) in enumerate(videos_of(heads)):
        pooled = (weights(wsgn, x) * h).mean(axis=0)
        largest = np.sort(h, axis=0)[-math.ceil(len(h) / 4) :].mean(axis=0)
        if peak_pooling == "softmax":
            largest = (softmax(h, axis=0) * h).sum(axis=0)
        expected = cross_entropy(sigmoid(pooled), LABELS[video]).sum()
        expected += 0.7 * cross_entropy(sigmoid(largest), LABELS[video]).sum()
        if is_supervised:
            y = labels[slice(*OFFSETS[video : video + 2].tolist())]
            expected += cross_entropy(sigmoid(h), y).sum(axis=1).mean()
        assert found[video] == pytest.approx(expected, rel=1e-5), video


def test_logits_far_from_zero_still_teach() -> None:
    wsgn = method(WsgnConfig(class_activation="sigmoid", pooling="logits", peak_weight=1.0))
    heads = random_heads()
    class_logits = torch.full((24, NUM_CLASSES), 200.0, requires_grad=True)
    heads = HeadOutput(
        selection_logits=heads.selection_logits, class_logits=class_logits, hidden=heads.hidden
    )
    targets = Targets(labels=torch.zeros(3, NUM_CLASSES), pairs=torch.zeros(0, 2, dtype=torch.long))
    loss = wsgn.losses(heads, OFFSETS, targets).per_video
    torch.testing.assert_close(loss, torch.full((3,), 2 * 200.0 * NUM_CLASSES))
    loss.sum().backward()
    assert class_logits.grad is not None
    # Of each video and class, both terms have the slope 1.
    assert class_logits.grad.sum().item() == pytest.approx(2 * 3 * NUM_CLASSES, rel=1e-5)


SCORINGS = {
    "cut": lambda w, p: np.minimum(w, 1) * p,
    "soft_gate": lambda w, p: w / (w + 0.1) * p,
    "probabilities": lambda w, p: p,
}


@pytest.mark.parametrize("scoring", ["product", *SCORINGS])
def test_weights_of_mean_one_score_frames_in_four_ways(scoring: str) -> None:
    wsgn, heads = method(WsgnConfig(scoring=scoring)), random_heads()
    scores, video_scores = scored(wsgn, heads, OFFSETS)
    for video, (x, h) in enumerate(videos_of(heads)):
        p, w = softmax(h, axis=1), weights(wsgn, x)
        if scoring == "product":
            found = equations(wsgn, x)
            q = found["temporal_softmax"] / found["temporal_softmax"].max(axis=0)
            expected = (found["local_gaussian"] + found["global_gaussian"] + q) / 3 * p
        else:
            expected = SCORINGS[scoring](w, p)
        rows = slice(*OFFSETS[video : video + 2].tolist())
        np.testing.assert_allclose(scores[rows], expected, rtol=1e-6)
        # What the loss was of; p alone is the naive model's score.
        pooled = p.mean(axis=0) if scoring == "probabilities" else (w * p).mean(axis=0)
        np.testing.assert_allclose(video_scores[video], pooled, rtol=1e-6)


def test_class_probabilities_alone_score_frames_under_either_scale() -> None:
    wsgn, heads = (
        method(WsgnConfig(scoring="probabilities", weight_scale="per_frame")),
        random_heads(),
    )
    scores, _ = scored(wsgn, heads, OFFSETS)
    expected = np.concatenate([softmax(h, axis=1) for _, h in videos_of(heads)])
    np.testing.assert_allclose(scores, expected, rtol=1e-6)


def test_what_was_pooled_in_training_scores_videos() -> None:
    heads = random_heads()
    (x, h) = videos_of(heads)[2]
    for peak_weight in (0.0, 0.5):
        wsgn = method(
            WsgnConfig(
                class_activation="sigmoid",
                pooling="logits",
                scoring="soft_gate",
                peak_weight=peak_weight,
            )
        )
        _, video_scores = scored(wsgn, heads, OFFSETS)
        largest = np.sort(h, axis=0)[-3:].mean(axis=0)
        pooled = largest if peak_weight else (weights(wsgn, x) * h).mean(axis=0)
        np.testing.assert_allclose(video_scores[2], sigmoid(pooled), rtol=1e-6)


def test_an_even_spread_opens_the_soft_gate_by_ten_elevenths() -> None:
    heads = HeadOutput(
        selection_logits=torch.full((4, 3), 7.0),
        class_logits=torch.zeros(4, 3),
        hidden=torch.zeros(4, 6),
    )
    for config in (
        WsgnConfig(
            components=("temporal_softmax",),
            weight_scale="per_frame",
            scoring_softmax_scale="soft_gate",
        ),
        WsgnConfig(components=("temporal_softmax",), scoring="soft_gate"),
    ):
        scores, _ = scored(method(config), heads, torch.tensor([0, 4]))
        np.testing.assert_allclose(scores, np.full((4, 3), 1 / 1.1 / 3))


def test_the_naive_model_has_one_rule_whatever_the_weights_would_be() -> None:
    rules = {
        method_rule(method(WsgnConfig(components=(), weight_scale=scale, scoring=scoring)))
        for scale in ("average", "per_frame")
        for scoring in ("product", *SCORINGS)
    }
    assert len(rules) == 1


def test_what_cannot_be_trained_is_refused() -> None:
    with pytest.raises(UsageError, match="in training"):
        WsgnConfig(softmax_scale="soft_gate")
    with pytest.raises(UsageError, match="set class_activation to sigmoid"):
        WsgnConfig(pooling="logits")
    with pytest.raises(UsageError, match="set class_activation to sigmoid"):
        WsgnConfig(peak_weight=1.0)
    with pytest.raises(UsageError, match="scoring must be one of"):
        WsgnConfig(scoring="hard")
    with pytest.raises(UsageError, match="snippets_per_pick"):
        WsgnConfig(snippets_per_pick=0)


def test_heads_may_be_linear() -> None:
    linear = method(WsgnConfig(hidden_layer=False))
    features = torch.randn(5, 6)
    heads = linear.heads(features)
    expected = features @ linear.selection_head.output.weight.T
    torch.testing.assert_close(heads.selection_logits, expected)
    assert heads.hidden is features
    assert not any("hidden" in name for name, _ in linear.named_parameters())
