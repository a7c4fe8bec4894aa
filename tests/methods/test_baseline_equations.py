"""Each baseline against its paper's equations, one video and one snippet after the other."""

from __future__ import annotations

import math

import numpy as np
import pytest
import torch
from packed import (
    CLASSES,
    LABELS,
    LENGTHS,
    PAIRS,
    SIZE,
    FloatArray,
    losses_of,
    offsets_of,
    packed_features,
    rows_of,
    scored,
    weights_of,
)

from wsgn.methods.basnet import Basnet
from wsgn.methods.co2net import Co2net
from wsgn.methods.coactivity import coactivity_losses
from wsgn.methods.config import (
    BasnetConfig,
    Co2netConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WtalcConfig,
)
from wsgn.methods.interface import Targets
from wsgn.methods.stpn import Stpn
from wsgn.methods.untrimmednets import UntrimmedNets
from wsgn.methods.wtalc import Wtalc

VIDEOS = range(len(LENGTHS))


def sigmoid(value: float) -> float:
    return 1 / (1 + math.exp(-value))


def softmax(values: FloatArray) -> FloatArray:
    exponentials = np.exp(values)
    result: FloatArray = exponentials / exponentials.sum()
    return result


def cross_entropy(probabilities: FloatArray, labels: tuple[int, ...]) -> float:
    """With the labels divided by their sum."""
    present = [p for p, label in zip(probabilities, labels, strict=True) if label]
    return -sum(math.log(p) for p in present) / max(1, len(present))


def randomised(module: torch.nn.Module) -> torch.nn.Module:
    """In float64, biases other than zero, so that they count."""
    module.double()
    generator = torch.Generator().manual_seed(5)
    with torch.no_grad():
        for parameter in module.parameters():
            noise = torch.randn(parameter.shape, generator=generator, dtype=torch.float64)
            parameter.copy_(noise * 0.7)
    return module


def test_untrimmednets_is_soft_selection() -> None:
    config = UntrimmedNetsConfig(attention_threshold=0.5)
    method = randomised(UntrimmedNets(config, SIZE, CLASSES))
    assert isinstance(method, UntrimmedNets)
    weights = weights_of(method)
    features = packed_features()
    heads, losses = losses_of(method, features)
    scores, video_scores = scored(method, heads)
    for video in VIDEOS:
        snippets = features[rows_of(video)].numpy()
        attention = softmax(np.array([weights["selection.weight"][0] @ x for x in snippets]))
        expected = np.zeros(CLASSES)
        for time, snippet in enumerate(snippets):
            logits = weights["classifier.weight"] @ snippet + weights["classifier.bias"]
            expected += attention[time] * softmax(logits)
            score = softmax(logits) if attention[time] >= 0.5 / len(snippets) else 0 * logits
            np.testing.assert_allclose(scores[rows_of(video)][time], score, rtol=1e-10)
        np.testing.assert_allclose(video_scores[video], expected, rtol=1e-10)
        loss = cross_entropy(expected, LABELS[video])
        assert losses.per_video[video].item() == pytest.approx(loss, rel=1e-10)
    # Both sides of the threshold occur.
    assert 0 < (scores[:, 0] > 0).sum() < len(scores)


def test_attention_that_just_reaches_the_threshold_counts() -> None:
    method = UntrimmedNets(UntrimmedNetsConfig(attention_threshold=1.0), SIZE, CLASSES)
    torch.nn.init.zeros_(method.selection.weight)
    # Four snippets with even attention, 1 / 4 each, exactly.
    heads = method.heads(torch.ones(4, SIZE))
    scores, _ = scored(method, heads, torch.tensor([0, 4]))
    np.testing.assert_allclose(scores.sum(axis=1), np.ones(4))


def test_stpn_is_attention_weighted_pooling_with_sparsity() -> None:
    config = StpnConfig(attention_size=4, sparsity_weight=0.01, sparsity_snippets=50)
    method = randomised(Stpn(config, SIZE, CLASSES))
    assert isinstance(method, Stpn)
    weights = weights_of(method)
    features = packed_features()
    heads, losses = losses_of(method, features)
    scores, video_scores = scored(method, heads)
    for video in VIDEOS:
        snippets = features[rows_of(video)].numpy()
        pooled = np.zeros(SIZE)
        norm = 0.0
        for time, snippet in enumerate(snippets):
            hidden = weights["attention_hidden.weight"] @ snippet + weights["attention_hidden.bias"]
            logit = weights["attention_output.weight"] @ np.maximum(hidden, 0)
            attention = sigmoid(float(logit[0] + weights["attention_output.bias"][0]))
            pooled += attention * snippet
            norm += attention
            activation = weights["classifier.weight"] @ snippet
            np.testing.assert_allclose(
                scores[rows_of(video)][time],
                [attention * sigmoid(a) for a in activation],
                rtol=1e-10,
            )
        pooled /= len(snippets)
        logits = weights["classifier.weight"] @ pooled + weights["class_bias"]
        expected = [sigmoid(x) for x in logits]
        np.testing.assert_allclose(video_scores[video], expected, rtol=1e-10)
        entropy = -sum(
            math.log(p if label else 1 - p)
            for p, label in zip(expected, LABELS[video], strict=True)
        )
        loss = entropy / CLASSES + 0.01 * norm * 50 / len(snippets)
        assert losses.per_video[video].item() == pytest.approx(loss, rel=1e-10)


def test_the_sparsity_of_a_video_of_400_snippets_is_the_plain_norm() -> None:
    method = Stpn(StpnConfig(), SIZE, CLASSES)
    with torch.no_grad():
        method.class_bias.fill_(0)
        method.classifier.weight.fill_(0)
    features = torch.randn(400, SIZE)
    heads = method.heads(features)
    targets = Targets(labels=torch.zeros(1, CLASSES), pairs=torch.zeros(0, 2, dtype=torch.int64))
    loss = method.losses(heads, torch.tensor([0, 400]), targets).per_video
    norm = heads.selection_logits[:, 0].sigmoid().sum()
    # Without a classifier the entropy is log 2.
    assert loss.item() == pytest.approx(math.log(2) + 1e-4 * norm.item(), rel=1e-5)


@pytest.mark.parametrize("weight", [0.0, 0.25])
def test_wtalc_is_the_mean_of_the_largest_activations(weight: float) -> None:
    method = randomised(Wtalc(WtalcConfig(coactivity_weight=weight), SIZE, CLASSES)).eval()
    assert isinstance(method, Wtalc)
    weights = weights_of(method)
    features = packed_features()
    heads, losses = losses_of(method, features)
    scores, video_scores = scored(method, heads)
    for video in VIDEOS:
        activations = []
        for time, snippet in enumerate(features[rows_of(video)].numpy()):
            hidden = np.maximum(weights["shared.weight"] @ snippet + weights["shared.bias"], 0)
            activations.append(weights["classifier.weight"] @ hidden + weights["classifier.bias"])
            np.testing.assert_allclose(
                scores[rows_of(video)][time], np.maximum(activations[-1], 0), rtol=1e-10
            )
        picks = math.ceil(LENGTHS[video] / 8)
        pooled = np.array(
            [
                sum(sorted((float(a[column]) for a in activations), reverse=True)[:picks]) / picks
                for column in range(CLASSES)
            ]
        )
        np.testing.assert_allclose(video_scores[video], softmax(pooled), rtol=1e-10)
        loss = (1 - weight) * cross_entropy(softmax(pooled), LABELS[video])
        assert losses.per_video[video].item() == pytest.approx(loss, rel=1e-10)


def test_wtalc_adds_the_co_activity_of_its_hidden_layer() -> None:
    method = randomised(Wtalc(WtalcConfig(coactivity_weight=0.25), SIZE, CLASSES)).eval()
    assert isinstance(method, Wtalc)
    weights = weights_of(method)
    features = packed_features()
    _, losses = losses_of(method, features)
    hidden = torch.from_numpy(
        np.maximum(features.numpy() @ weights["shared.weight"].T + weights["shared.bias"], 0)
    )
    activations = hidden @ method.classifier.weight.T + method.classifier.bias
    expected = 0.25 * coactivity_losses(
        hidden, activations, offsets_of(), torch.tensor(LABELS), torch.tensor(PAIRS)
    )
    assert expected.min() > 0
    torch.testing.assert_close(losses.per_pair, expected)


def test_without_co_activity_wtalc_has_no_pairs() -> None:
    method = Wtalc(WtalcConfig(coactivity_weight=0.0), SIZE, CLASSES).double()
    _, losses = losses_of(method, packed_features())
    assert losses.per_pair.shape == (0,)


def test_top_k_by_sigmoids_is_a_binary_cross_entropy_per_class() -> None:
    config = WtalcConfig(coactivity_weight=0.0, loss="sigmoid", hidden_layer=False, dropout=0.0)
    method = randomised(Wtalc(config, SIZE, CLASSES))
    assert isinstance(method, Wtalc)
    weights = weights_of(method)
    features = packed_features()
    heads, losses = losses_of(method, features)
    activations = features.numpy() @ weights["classifier.weight"].T + weights["classifier.bias"]
    np.testing.assert_allclose(scored(method, heads)[0], 1 / (1 + np.exp(-activations)))
    for video in VIDEOS:
        pooled = top_of(activations[rows_of(video)], 8)
        found = scored(method, heads)[1][video]
        np.testing.assert_allclose(found, [sigmoid(value) for value in pooled])
        loss = -sum(
            math.log(sigmoid(value if label else -value))
            for value, label in zip(pooled, LABELS[video], strict=True)
        )
        assert losses.per_video[video].item() == pytest.approx(loss, rel=1e-10)


def test_the_soft_gate_of_untrimmednets_is_half_open_at_its_threshold() -> None:
    config = UntrimmedNetsConfig(attention_threshold=0.2, gate="soft")
    method = randomised(UntrimmedNets(config, SIZE, CLASSES))
    assert isinstance(method, UntrimmedNets)
    weights = weights_of(method)
    features = packed_features()
    scores = scored(method, method.heads(features))[0]
    for video in VIDEOS:
        snippets = features[rows_of(video)].numpy()
        share = len(snippets) * softmax(snippets @ weights["selection.weight"][0])
        for time, snippet in enumerate(snippets):
            logits = weights["classifier.weight"] @ snippet + weights["classifier.bias"]
            expected = share[time] / (share[time] + 0.2) * softmax(logits)
            np.testing.assert_allclose(scores[rows_of(video)][time], expected, rtol=1e-10)


def test_stpn_may_start_with_its_attention_near_one() -> None:
    method = Stpn(StpnConfig(initial_attention_logit=4.0), SIZE, CLASSES)
    torch.nn.init.zeros_(method.attention_output.weight)
    attention = method.heads(torch.randn(5, SIZE)).selection_logits.sigmoid()
    torch.testing.assert_close(attention, torch.full_like(attention, sigmoid(4.0)))


def top_of(activations: FloatArray, snippets_per_pick: int) -> FloatArray:
    """(T, C) to (C,): the mean of each column's largest."""
    picks = math.ceil(len(activations) / snippets_per_pick)
    largest: FloatArray = np.sort(activations, axis=0)[::-1][:picks].mean(axis=0)
    return largest


def leaky(values: FloatArray) -> FloatArray:
    return np.where(values > 0, values, 0.2 * values)


def with_background(labels: tuple[int, ...], background: int) -> FloatArray:
    """Labels and the background's, divided by their sum."""
    wanted = np.array([*labels, background], dtype=np.float64)
    return wanted / max(1.0, wanted.sum())


def test_basnet_suppresses_the_background_in_its_second_branch() -> None:
    config = BasnetConfig(
        dropout=0.0, attention_size=4, snippets_per_pick=4, sparsity_weight=0.01,
        sparsity_snippets=50,
    )  # fmt: skip
    method = randomised(Basnet(config, SIZE, CLASSES))
    assert isinstance(method, Basnet)
    weights = weights_of(method)
    features = packed_features()
    heads, losses = losses_of(method, features)

    def classify(snippets: FloatArray) -> FloatArray:
        hidden = leaky(snippets @ weights["hidden.weight"].T + weights["hidden.bias"])
        return hidden @ weights["classifier.weight"].T  # type: ignore[no-any-return]

    for video in VIDEOS:
        snippets = features[rows_of(video)].numpy()
        filtered = leaky(
            snippets @ weights["filter_hidden.weight"].T + weights["filter_hidden.bias"]
        )
        logits = filtered @ weights["filter_output.weight"].T + weights["filter_output.bias"]
        attention = 1 / (1 + np.exp(-logits))  # (T, 1)
        loss = 0.01 * 50 * attention.mean()
        for activations, background in (
            (classify(snippets), 1), (classify(attention * snippets), 0),
        ):  # fmt: skip
            scores = softmax(top_of(activations, 4))
            wanted = with_background(LABELS[video], background)
            loss -= np.mean(wanted * np.log(scores) + (1 - wanted) * np.log(1 - scores))
        assert losses.per_video[video].item() == pytest.approx(loss, rel=1e-10)
        actions = classify(attention * snippets)[:, :CLASSES]
        np.testing.assert_allclose(
            scored(method, heads)[0][rows_of(video)],
            np.maximum(actions, 0),
        )
        np.testing.assert_allclose(scored(method, heads)[1][video], softmax(top_of(actions, 4)))


def test_co2net_filters_each_stream_by_both() -> None:
    config = Co2netConfig(
        dropout=0.0, attention_size=4, first_stream_size=2, sparsity_weight=0.3, guide_weight=0.7
    )
    method = randomised(Co2net(config, SIZE, CLASSES)).eval()
    assert isinstance(method, Co2net)
    weights = weights_of(method)
    features = packed_features()
    heads, losses = losses_of(method, features)

    def layer(name: str, values: FloatArray) -> FloatArray:
        return values @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]  # type: ignore[no-any-return]

    def filtered(name: str, main: FloatArray, other: FloatArray) -> tuple[FloatArray, FloatArray]:
        gate = leaky(layer(f"{name}.own", main)) * leaky(layer(f"{name}.other", other))
        left = main / (1 + np.exp(-gate))
        logits = layer(f"{name}.attention_output", leaky(layer(f"{name}.attention_hidden", left)))
        return left, 1 / (1 + np.exp(-logits[:, 0]))

    for video in VIDEOS:
        snippets = features[rows_of(video)].numpy()
        one, two = snippets[:, :2], snippets[:, 2:]
        first, first_attention = filtered("first", one, two)
        second, second_attention = filtered("second", two, one)
        attention = (first_attention + second_attention) / 2
        base = layer("classifier", leaky(layer("fusion", np.hstack([first, second]))))
        suppressed = attention[:, None] * base
        loss = np.mean((first_attention - second_attention) ** 2)
        for activations, background in ((base, 1), (suppressed, 0)):
            wanted = with_background(LABELS[video], background)
            loss -= np.sum(wanted * np.log(softmax(top_of(activations, 7))))
        away = 1 - np.array([softmax(row)[-1] for row in base])
        for one_attention in (first_attention, second_attention, attention):
            loss += 0.3 * one_attention.mean() / 3
            loss += 0.7 * np.abs(away - one_attention).mean() / 3
        assert losses.per_video[video].item() == pytest.approx(loss, rel=1e-10)
        actions = suppressed[:, :CLASSES]
        np.testing.assert_allclose(
            scored(method, heads)[0][rows_of(video)],
            np.maximum(actions, 0),
        )
        np.testing.assert_allclose(scored(method, heads)[1][video], softmax(top_of(actions, 7)))
