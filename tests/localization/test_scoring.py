"""Scores by every rule, against the equations as they stand and the training operator."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from manifests import METHOD_RULES

from wsgn.errors import UsageError
from wsgn.localization.scoring import bounded, frame_scores, snippet_scores, video_scores
from wsgn.localization.statistics import SelectionStatistics
from wsgn.manifest import COMPONENTS, GATES, SOFTMAX_SCALES, WEIGHT_SCALES, SelectionRule
from wsgn.selection.api import frame_selection
from wsgn.support.arrays import Float32Array, FloatArray

RULE = METHOD_RULES["wsgn, per frame"]
SUBSETS = [subset for size in range(4) for subset in itertools.combinations(COMPONENTS, size)]


def outputs(seed: int, length: int, activation: str) -> tuple[Float32Array, Float32Array]:
    """What an engine may put out: (T, 3) selection logits, and what it made of class logits."""
    random = np.random.default_rng(seed)
    x, h = random.normal(size=(2, length, 3)) * 1.5
    return x.astype(np.float32), activated(h, activation).astype(np.float32)


def activated(h: FloatArray, activation: str) -> FloatArray:
    if activation == "identity":
        return h
    if activation == "sigmoid":
        return 1 / (1 + np.exp(-h))
    return np.exp(h) / np.exp(h).sum(axis=1, keepdims=True)


def plain_weights(x: FloatArray, rule: SelectionRule, scale: str | None = None) -> FloatArray:
    """Eqs. 3, 5 and 7 as they stand; under average each over its mean."""
    if rule.components == ("attention",):
        return 1 / (1 + np.exp(-x))
    z = np.exp(-((x - x.mean(axis=0)) ** 2) / (x.var(axis=0) + rule.variance_epsilon))
    l = np.exp(-(((x - rule.global_mean) / rule.global_std) ** 2))  # noqa: E741
    q = np.exp(x) / np.exp(x).sum(axis=0)
    parts = {"local_gaussian": z, "global_gaussian": l, "temporal_softmax": q}
    if scale is None and rule.weight_scale == "average":
        parts = {name: part / part.mean(axis=0) for name, part in parts.items()}
    else:
        factor = {"sum_one": 1.0, "mean_one": len(x), "max_one": 1 / q.max(axis=0)}
        parts["temporal_softmax"] = q * factor[scale or rule.softmax_scale]
    chosen = [parts[name] for name in rule.components]
    return np.mean(chosen, axis=0) if chosen else np.ones_like(x)


def plain_frame_scores(x: FloatArray, p: FloatArray, rule: SelectionRule) -> FloatArray:
    w, level = plain_weights(x, rule), rule.gate_level
    gated = {
        "none": w,
        "cut": np.where(w > 1, 1.0, w),
        "soft": w / (w + level),
        "hard": np.where(w >= level, 1.0, 0.0),
        "product": plain_weights(x, rule, "max_one"),
    }[rule.gate]
    return gated * (np.where(p > 0, p, 0.0) if rule.class_activation == "identity" else p)


def plain_video_scores(x: FloatArray, p: FloatArray, rule: SelectionRule) -> FloatArray:
    how = rule.video_score
    if how.pooling == "frame_scores":
        return plain_frame_scores(x, p, rule).sum(axis=0) / len(x)
    u = p
    if how.of == "logits" and rule.class_activation == "softmax":
        u = np.log(p)
    elif how.of == "logits" and rule.class_activation == "sigmoid":
        u = np.log(p / (1 - p))
    if how.pooling == "weighted":
        pooled = (plain_weights(x, rule) * u).sum(axis=0) / len(x)
    else:
        k = math.ceil(len(x) / how.snippets_per_pick)
        pooled = np.array([sum(sorted(column)[::-1][:k]) / k for column in u.T.tolist()])
    pooled = pooled + np.array(how.bias or (0.0,) * 3)
    if how.activation == "none":
        return pooled
    if how.activation == "sigmoid":
        return 1 / (1 + np.exp(-pooled))
    return np.exp(pooled) / np.exp(pooled).sum()


@pytest.mark.parametrize("length", [1, 2, 41])
def test_scores_are_those_of_the_equations(length: int) -> None:
    """Every subset, scale, gate and activation, and every way to pool."""
    pooled = sorted({rule.video_score for rule in METHOD_RULES.values()}, key=repr)
    choices = itertools.product(
        [*SUBSETS, ("attention",)], WEIGHT_SCALES, GATES, ("softmax", "sigmoid", "identity"), pooled
    )
    tried = 0
    for components, scale, gate, activation, how in choices:
        try:
            rule = replace(
                RULE,
                components=components,
                softmax_scale=SOFTMAX_SCALES[tried % 3],
                weight_scale=scale,
                gate=gate,
                gate_level=0.7,
                class_activation=activation,
                video_score=how,
            )
        except UsageError:
            continue
        x, p = outputs(tried, length, activation)
        wide = x.astype(np.float64), p.astype(np.float64)
        scores = frame_scores(x, p, rule)
        np.testing.assert_allclose(scores, plain_frame_scores(*wide, rule), rtol=1e-9)
        got = video_scores(x, p, rule, scores)
        np.testing.assert_allclose(got, plain_video_scores(*wide, rule), rtol=1e-8, atol=1e-12)
        tried += 1
    # Of 8 subsets with 5 gates under the average and 4 without, and attention with 4: two
    # activations with 6 ways to pool, and identity with 5.
    assert tried == (8 * 9 + 4) * (2 * 6 + 5)


@pytest.mark.parametrize("weight_scale", WEIGHT_SCALES)
@pytest.mark.parametrize("gate", GATES)
def test_the_training_operator_says_the_same(weight_scale: str, gate: str) -> None:
    if gate == "product" and weight_scale == "per_frame":
        pytest.skip("of the average only")
    random = np.random.default_rng(5)
    x, h = random.normal(size=(2, 60, 3))
    for components in SUBSETS[1:]:
        rule = replace(RULE, components=components, weight_scale=weight_scale, gate=gate)
        expected = frame_selection(
            torch.from_numpy(x),
            torch.from_numpy(h),
            torch.tensor([0, 60]),
            torch.tensor(rule.global_mean, dtype=torch.float64),
            torch.tensor(rule.global_std, dtype=torch.float64),
            components=components,
            softmax_scale=rule.softmax_scale,
            weight_scale=weight_scale,
            gate=gate,
            gate_level=rule.gate_level,
            epsilon=rule.variance_epsilon,
        ).scores.numpy()
        got = frame_scores(x, activated(h, "softmax"), rule)
        np.testing.assert_allclose(got, expected, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("rule", METHOD_RULES.values(), ids=METHOD_RULES)
@pytest.mark.parametrize("kind", ["far", "loud", "level"])
def test_what_float32_cannot_hold_is_no_nan(rule: SelectionRule, kind: str) -> None:
    """Gaussians that are 0 everywhere, logits beyond every exponential, and a level video."""
    x = {
        "far": np.linspace(900.0, 901.0, 9)[:, None],
        "loud": np.array([-3e4, 3e4, 0.0])[:, None],
        "level": np.full((4, 1), 2.0),
    }[kind] + np.zeros(3)
    h = np.array([-1e4, 0.0, 1e4]) + np.zeros_like(x)
    with np.errstate(over="ignore", under="ignore"):
        p = h if rule.class_activation == "identity" else 1 / (1 + np.exp(-h))
    scores = frame_scores(x.astype(np.float32), p.astype(np.float32), rule)
    pooled = video_scores(x.astype(np.float32), p.astype(np.float32), rule, scores)
    assert np.isfinite(scores).all()
    assert (scores >= 0).all()
    assert ((pooled >= 0) & (pooled <= 1 + 1e-12)).all()
    if kind == "far" and rule.weight_scale == "average" and "global_gaussian" in rule.components:
        # Nothing of it is left: the other two make the weight, a third less.
        alone = replace(rule, components=("global_gaussian",), gate="none")
        assert not frame_scores(x, p, alone).any()


def test_weights_of_an_average_have_the_mean_one() -> None:
    x, _ = outputs(3, 50, "sigmoid")
    for components in SUBSETS:
        rule = replace(RULE, components=components, weight_scale="average")
        ones = np.ones((50, 3), dtype=np.float32)
        np.testing.assert_allclose(frame_scores(x, ones, rule).mean(axis=0), 1.0)


def test_reported_scores_lie_from_0_to_1_and_keep_their_order() -> None:
    open_rules = {name for name, rule in METHOD_RULES.items() if not rule.is_bounded}
    assert open_rules == {"wsgn, average of logits", "wtalc"}
    raw = [0.0, 0.2, 0.9, 1.0, 3.0, 1e6]
    found = [bounded(score, METHOD_RULES["wtalc"]) for score in raw]
    assert found == sorted(set(found))
    assert found[4] == 0.75
    assert [bounded(score, RULE) for score in (-1e-9, 0.3, 1.0 + 1e-9)] == [0.0, 0.3, 1.0]


def test_sums_under_other_statistics_are_those_of_the_moment() -> None:
    """A plain loop over a stream: each weight stays in the sum as it was."""
    rule = replace(RULE, weight_scale="average")
    x = outputs(1, 30, "softmax")[0].astype(np.float64)
    statistics = SelectionStatistics.empty(3)
    sums = np.zeros((2, 3))
    for t in range(30):
        so_far = x[: t + 1]
        z = np.exp(-((x[t] - so_far.mean(axis=0)) ** 2) / (so_far.var(axis=0) + 1e-6))
        l = np.exp(-(((x[t] - rule.global_mean) / rule.global_std) ** 2))  # noqa: E741
        sums += z, l
        q = np.exp(x[t]) / np.exp(so_far).sum(axis=0)
        statistics = statistics.updated(x[t]).counting(x[t : t + 1], rule)
        wanted = (t + 1) * (z / sums[0] + l / sums[1] + q) / 3
        got = snippet_scores(x[t], np.ones(3), statistics, rule)
        np.testing.assert_allclose(got, wanted, rtol=1e-10)
