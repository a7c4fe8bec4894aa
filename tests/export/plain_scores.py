"""Scores of videos and streams in float64, written down from the equations for the tests.

Everything is (T, C) of one video; nothing is taken from the product.
"""

from __future__ import annotations

import math

import numpy as np

from wsgn.manifest import Prior, SelectionRule
from wsgn.support.arrays import AnyArray

# float32's smallest normal number.
_SMALLEST = 2.0**-126


def plain_probabilities(class_logits: AnyArray, activation: str) -> AnyArray:
    """What a graph puts out of its class logits, in float64."""
    h = class_logits.astype(np.float64)
    if activation == "softmax":
        shares = np.exp(h - h.max(axis=-1, keepdims=True))
        return shares / shares.sum(axis=-1, keepdims=True)
    if activation == "sigmoid":
        return np.exp(-np.logaddexp(0, -h))
    return h


def plain_scores(x: AnyArray, p: AnyArray, rule: SelectionRule) -> tuple[AnyArray, AnyArray]:
    """Frame scores (T, C) and video scores (C,) of a whole video."""
    x, p = x.astype(np.float64), p.astype(np.float64)
    z = np.exp(-((x - x.mean(axis=0)) ** 2) / (x.var(axis=0) + rule.variance_epsilon))
    exponent = -(((x - rule.global_mean) / rule.global_std) ** 2) if rule.global_mean else 0 * x
    q = np.exp(x - x.max(axis=0))
    if rule.weight_scale == "average":
        far = np.exp(exponent)
        weights = {
            "local_gaussian": z / z.mean(axis=0),
            "global_gaussian": far / np.maximum(far.sum(axis=0), _SMALLEST) * len(x),
            "temporal_softmax": q / q.mean(axis=0),
        }
    else:
        weights = {
            "local_gaussian": z,
            "global_gaussian": np.exp(exponent),
            "temporal_softmax": _scaled(q, q, rule.softmax_scale),
            "attention": plain_probabilities(x, "sigmoid"),
        }
    peaks = {"local_gaussian": z, "global_gaussian": np.exp(exponent), "temporal_softmax": q}
    w = _mean(weights, rule, x)
    scores = _gated(w, _mean(peaks, rule, x), rule) * (
        np.maximum(p, 0) if rule.class_activation == "identity" else p
    )
    return scores, _video_score(scores, w, p, rule)


def _mean(weights: dict[str, AnyArray], rule: SelectionRule, x: AnyArray) -> AnyArray:
    chosen = [weights[name] for name in rule.components if name in weights]
    return np.mean(chosen, axis=0) if chosen else np.ones_like(x)


def _scaled(q: AnyArray, all_q: AnyArray, scale: str) -> AnyArray:
    if scale == "max_one":
        return q
    mean_one = q / all_q.mean(axis=0)
    return {
        "sum_one": mean_one / len(all_q),
        "mean_one": mean_one,
        "soft_gate": mean_one / (mean_one + 0.1),
    }[scale]


def _gated(w: AnyArray, peak: AnyArray, rule: SelectionRule) -> AnyArray:
    gated: AnyArray = {
        "none": w,
        "cut": np.minimum(w, 1),
        "soft": w / (w + rule.gate_level),
        "hard": (w >= rule.gate_level).astype(float),
        "product": peak,
    }[rule.gate]
    return gated


def _video_score(scores: AnyArray, w: AnyArray, p: AnyArray, rule: SelectionRule) -> AnyArray:
    how = rule.video_score
    if how.pooling == "frame_scores":
        return scores.mean(axis=0)
    u = p
    if how.of == "logits" and rule.class_activation != "identity":
        # docs/manifest.md: from float32's smallest normal number to its largest below 1.
        cut = np.clip(p, _SMALLEST, 1 - 2.0**-24)
        u = np.log(cut) - (np.log1p(-cut) if rule.class_activation == "sigmoid" else 0)
    if how.pooling == "weighted":
        pooled = (w * u).mean(axis=0)
    else:
        picks = math.ceil(len(u) / how.snippets_per_pick)
        pooled = np.sort(u, axis=0)[-picks:].mean(axis=0)
    pooled = pooled + (np.asarray(how.bias) if how.bias else 0.0)
    if how.activation == "none":
        return pooled
    return plain_probabilities(pooled, how.activation)


@np.errstate(over="ignore")
def plain_causal_scores(x: AnyArray, p: AnyArray, rule: SelectionRule, prior: Prior) -> AnyArray:
    """Scores (T, C) by the first t snippets and the prior's pseudo-observations, each t alone.

    The sums of the weighted average are of values as they were when their snippets came.
    """
    x, p = x.astype(np.float64), p.astype(np.float64)
    value = np.maximum(p, 0) if rule.class_activation == "identity" else p
    n0 = prior.count
    mean0, variance0 = np.asarray(prior.mean), np.asarray(prior.variance)
    sums = {
        "local_gaussian": n0 * np.asarray(prior.mean_local),
        "global_gaussian": n0 * np.asarray(prior.mean_global),
    }
    scores = np.empty_like(x)
    for t in range(len(x)):
        seen = x[: t + 1]
        count = t + 1 + n0
        mean = (seen.sum(axis=0) + n0 * mean0) / count
        squares = ((seen - mean) ** 2).sum(axis=0) + n0 * (variance0 + (mean0 - mean) ** 2)
        z = np.exp(-((x[t] - mean) ** 2) / (squares / count + rule.variance_epsilon))
        far = (x[t] - rule.global_mean) / rule.global_std if rule.global_mean else np.zeros_like(z)
        of_all = np.exp(-(far**2))
        # Relative to the snippet's own logit.
        total = np.exp(seen - x[t]).sum(axis=0)
        largest = seen.max(axis=0)
        if n0:
            total = total + n0 * np.exp(np.asarray(prior.log_mean_exponential) - x[t])
            largest = np.maximum(largest, prior.maximum)
        mean_one, max_one = count / total, np.exp(x[t] - largest)
        peaks = {"local_gaussian": z, "global_gaussian": of_all, "temporal_softmax": max_one}
        if rule.weight_scale == "average":
            sums = {name: sums[name] + peaks[name] for name in sums}
            weights = {
                name: peaks[name] / np.maximum(total_of, _SMALLEST) * count
                for name, total_of in sums.items()
            }
            weights["temporal_softmax"] = mean_one
        else:
            softmax = {
                "sum_one": 1 / total,
                "mean_one": mean_one,
                "max_one": max_one,
                "soft_gate": mean_one / (mean_one + 0.1),
            }[rule.softmax_scale]
            attention = plain_probabilities(x[t], "sigmoid")
            weights = peaks | {"temporal_softmax": softmax, "attention": attention}
        w = _mean(weights, rule, x[t])
        scores[t] = _gated(w, _mean(peaks, rule, x[t]), rule) * value[t]
    return scores
