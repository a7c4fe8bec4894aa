"""Statistics of selection logits, of a whole video or a stream, and the weights they give.

The three normalisations of the paper (eqs. 3, 5 and 7) written once for every host: what differs
between a whole video, a stream and a window is only which snippets the statistics are taken over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wsgn.manifest import GATE_HALF, SOFT_GATE, Prior, SelectionRule
from wsgn.support.arrays import FloatArray


@dataclass(frozen=True, kw_only=True)
class SelectionStatistics:
    """What the weights of a snippet need to know of all its video's selection logits, per class."""

    # Number of snippets, with the prior's pseudo-observations.
    count: float
    # (C,) each: mean, sum of squared deviations from it, log of the sum of exp, largest.
    mean: FloatArray
    squared_deviations: FloatArray
    log_sum_exponential: FloatArray
    maximum: FloatArray

    @staticmethod
    def empty(num_classes: int) -> SelectionStatistics:
        """Statistics of nothing."""
        return SelectionStatistics(
            count=0.0,
            mean=np.zeros(num_classes),
            squared_deviations=np.zeros(num_classes),
            log_sum_exponential=np.full(num_classes, -np.inf),
            maximum=np.full(num_classes, -np.inf),
        )

    @staticmethod
    def from_prior(prior: Prior, count: float) -> SelectionStatistics:
        """Statistics of `count` pseudo-observations that look like the training videos."""
        if count <= 0:
            return SelectionStatistics.empty(len(prior.mean))
        return SelectionStatistics(
            count=count,
            mean=np.asarray(prior.mean, dtype=np.float64),
            squared_deviations=count * np.asarray(prior.variance, dtype=np.float64),
            log_sum_exponential=np.asarray(prior.log_mean_exponential) + np.log(count),
            maximum=np.asarray(prior.maximum, dtype=np.float64),
        )

    @staticmethod
    def of(logits: FloatArray) -> SelectionStatistics:
        """Statistics of selection logits (T, C) with T >= 1, in two passes."""
        mean = logits.mean(axis=0)  # (C,)
        maximum = logits.max(axis=0)
        return SelectionStatistics(
            count=float(len(logits)),
            mean=mean,
            squared_deviations=((logits - mean) ** 2).sum(axis=0),
            log_sum_exponential=maximum + np.log(np.exp(logits - maximum).sum(axis=0)),
            maximum=maximum,
        )

    def updated(self, logits: FloatArray) -> SelectionStatistics:
        """Statistics after one more snippet (C,), by Welford's rule."""
        count = self.count + 1
        delta = logits - self.mean
        mean = self.mean + delta / count
        return SelectionStatistics(
            count=count,
            mean=mean,
            squared_deviations=self.squared_deviations + delta * (logits - mean),
            log_sum_exponential=np.logaddexp(self.log_sum_exponential, logits),
            maximum=np.maximum(self.maximum, logits),
        )

    def merged(self, other: SelectionStatistics) -> SelectionStatistics:
        """Statistics of both sets of snippets together, by Chan's rule."""
        if self.count == 0 or other.count == 0:
            return other if self.count == 0 else self
        count = self.count + other.count
        delta = other.mean - self.mean
        between = delta**2 * (self.count * other.count / count)
        return SelectionStatistics(
            count=count,
            mean=self.mean + delta * (other.count / count),
            squared_deviations=self.squared_deviations + other.squared_deviations + between,
            log_sum_exponential=np.logaddexp(self.log_sum_exponential, other.log_sum_exponential),
            maximum=np.maximum(self.maximum, other.maximum),
        )


def selection_weights(
    logits: FloatArray, statistics: SelectionStatistics, rule: SelectionRule
) -> FloatArray:
    """The selection weight of snippets (..., C): the mean of the rule's components.

    The naive model (no components) weighs everything by 1.
    """
    if not rule.components:
        return np.ones_like(logits)
    total = np.zeros_like(logits)
    for component in rule.components:
        if component == "local_gaussian":
            variance = statistics.squared_deviations / statistics.count + rule.variance_epsilon
            total += np.exp(-((logits - statistics.mean) ** 2) / variance)
        elif component == "global_gaussian":
            mu = np.asarray(rule.global_mean)
            s = np.asarray(rule.global_std)
            total += np.exp(-(((logits - mu) / s) ** 2))
        elif rule.softmax_scale == SOFT_GATE:
            mean_one = np.exp(logits - _softmax_reference(statistics, "mean_one"))
            total += mean_one / (mean_one + GATE_HALF)
        else:
            total += np.exp(logits - _softmax_reference(statistics, rule.softmax_scale))
    return total / len(rule.components)


def _softmax_reference(statistics: SelectionStatistics, scale: str) -> FloatArray:
    """The logit at which the scaled temporal softmax is 1."""
    if scale == "max_one":
        return statistics.maximum
    if scale == "mean_one":
        return statistics.log_sum_exponential - math.log(statistics.count)
    return statistics.log_sum_exponential


def frame_scores(
    selection_logits: FloatArray, class_probabilities: FloatArray, rule: SelectionRule
) -> FloatArray:
    """Frame scores (T, C) of a whole video: `selection * class_probabilities`."""
    logits = np.asarray(selection_logits, dtype=np.float64)
    weights = selection_weights(logits, SelectionStatistics.of(logits), rule)
    return weights * np.asarray(class_probabilities, dtype=np.float64)  # (T, C)
