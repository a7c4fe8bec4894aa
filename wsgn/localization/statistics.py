"""Statistics of selection logits, of a whole video or a stream, and the weights they give.

The three normalisations of the paper (eqs. 3, 5 and 7) written once for every host: what differs
between a whole video, a stream and a window is only which snippets the statistics are taken over.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, replace

import numpy as np

from wsgn.manifest import (
    ATTENTION,
    AVERAGE,
    GATE_HALF,
    SOFT_GATE,
    SOFTMAX_SCALES,
    Prior,
    SelectionRule,
)
from wsgn.support.arrays import FloatArray

# A sum of weights that float32 cannot hold is divided by as this, so that the weights are 0 there.
SMALLEST_SUM = float(np.finfo(np.float32).tiny)
_SUM_ONE, _MEAN_ONE, _MAX_ONE = SOFTMAX_SCALES


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
    # Sums of the local and the global Gaussian (eqs. 3 and 5): `counting` keeps them under AVERAGE.
    sum_local: FloatArray
    sum_global: FloatArray

    @staticmethod
    def empty(num_classes: int) -> SelectionStatistics:
        """Statistics of nothing."""
        return SelectionStatistics(
            count=0.0,
            mean=np.zeros(num_classes),
            squared_deviations=np.zeros(num_classes),
            log_sum_exponential=np.full(num_classes, -np.inf),
            maximum=np.full(num_classes, -np.inf),
            sum_local=np.zeros(num_classes),
            sum_global=np.zeros(num_classes),
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
            sum_local=count * prior_means(prior, "mean_local"),
            sum_global=count * prior_means(prior, "mean_global"),
        )

    @staticmethod
    def of(logits: FloatArray) -> SelectionStatistics:
        """Statistics of selection logits (T, C) with T >= 1, in two passes; the sums are 0."""
        mean = logits.mean(axis=0)  # (C,)
        maximum = logits.max(axis=0)
        return SelectionStatistics(
            count=float(len(logits)),
            mean=mean,
            squared_deviations=((logits - mean) ** 2).sum(axis=0),
            log_sum_exponential=maximum + np.log(np.exp(logits - maximum).sum(axis=0)),
            maximum=maximum,
            sum_local=np.zeros_like(mean),
            sum_global=np.zeros_like(mean),
        )

    def updated(self, logits: FloatArray) -> SelectionStatistics:
        """Statistics after one more snippet (C,), by Welford's rule; the sums stay."""
        count = self.count + 1
        delta = logits - self.mean
        mean = self.mean + delta / count
        return SelectionStatistics(
            count=count,
            mean=mean,
            squared_deviations=self.squared_deviations + delta * (logits - mean),
            log_sum_exponential=np.logaddexp(self.log_sum_exponential, logits),
            maximum=np.maximum(self.maximum, logits),
            sum_local=self.sum_local,
            sum_global=self.sum_global,
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
            sum_local=self.sum_local + other.sum_local,
            sum_global=self.sum_global + other.sum_global,
        )

    def counting(self, logits: FloatArray, rule: SelectionRule) -> SelectionStatistics:
        """With what snippets (T, C) weigh under these statistics added to the sums.

        A rule that is no average needs none: it leaves them alone.
        """
        if rule.weight_scale != AVERAGE:
            return self
        sum_local, sum_global = self.sum_local, self.sum_global
        if "local_gaussian" in rule.components:
            sum_local = sum_local + self.local_gaussian(logits, rule).sum(axis=0)
        if "global_gaussian" in rule.components:
            sum_global = sum_global + global_gaussian(logits, rule).sum(axis=0)
        return replace(self, sum_local=sum_local, sum_global=sum_global)

    def local_gaussian(self, logits: FloatArray, rule: SelectionRule) -> FloatArray:
        """Eq. 3 of logits (..., C): distance from the mean over time."""
        variance = self.squared_deviations / self.count + rule.variance_epsilon
        weight: FloatArray = np.exp(-((logits - self.mean) ** 2) / variance)
        return weight


def global_gaussian(logits: FloatArray, rule: SelectionRule) -> FloatArray:
    """Eq. 5 of logits (..., C): distance from the mean of all videos."""
    mu = np.asarray(rule.global_mean)
    s = np.asarray(rule.global_std)
    weight: FloatArray = np.exp(-(((logits - mu) / s) ** 2))
    return weight


def prior_means(prior: Prior, name: str) -> FloatArray:
    """`mean_local` or `mean_global` (C,); 0 where the prior has none, as its rule asks for none."""
    return np.asarray(getattr(prior, name) or (0.0,) * len(prior.mean), dtype=np.float64)


def selection_weights(
    logits: FloatArray, statistics: SelectionStatistics, rule: SelectionRule
) -> FloatArray:
    """The selection weight of snippets (..., C): the mean of the rule's components.

    Under AVERAGE each component has a mean of 1 over the video. The naive model (no components)
    weighs everything by 1.
    """
    if rule.weight_scale != AVERAGE:
        return _per_frame_weights(logits, statistics, rule, rule.softmax_scale)
    if not rule.components:
        return np.ones_like(logits)
    total = np.zeros_like(logits)
    for component in rule.components:
        if component == "local_gaussian":
            weight, summed = statistics.local_gaussian(logits, rule), statistics.sum_local
        elif component == "global_gaussian":
            weight, summed = global_gaussian(logits, rule), statistics.sum_global
        else:
            total += np.exp(logits - _softmax_reference(statistics, _MEAN_ONE))
            continue
        total += weight * (statistics.count / np.maximum(summed, SMALLEST_SUM))
    return total / len(rule.components)


def gated_weights(
    logits: FloatArray, statistics: SelectionStatistics, rule: SelectionRule
) -> FloatArray:
    """What the class probabilities of snippets (..., C) are multiplied by: gated weights."""
    if rule.gate == "product":
        return _per_frame_weights(logits, statistics, rule, _MAX_ONE)
    weights = selection_weights(logits, statistics, rule)
    if rule.gate == "cut":
        return np.minimum(weights, 1.0)
    if rule.gate == "soft":
        return weights / (weights + rule.gate_level)
    if rule.gate == "hard":
        return (weights >= rule.gate_level).astype(np.float64)
    return weights


def _per_frame_weights(
    logits: FloatArray, statistics: SelectionStatistics, rule: SelectionRule, softmax_scale: str
) -> FloatArray:
    """The mean of the components as their equations stand, eq. 7 so scaled."""
    if not rule.components:
        return np.ones_like(logits)
    if rule.components == (ATTENTION,):
        return sigmoid(logits)
    total = np.zeros_like(logits)
    for component in rule.components:
        if component == "local_gaussian":
            total += statistics.local_gaussian(logits, rule)
        elif component == "global_gaussian":
            total += global_gaussian(logits, rule)
        elif softmax_scale == SOFT_GATE:
            mean_one = np.exp(logits - _softmax_reference(statistics, _MEAN_ONE))
            total += mean_one / (mean_one + GATE_HALF)
        else:
            total += np.exp(logits - _softmax_reference(statistics, softmax_scale))
    return total / len(rule.components)


def sigmoid(values: FloatArray) -> FloatArray:
    """1 / (1 + exp(-values)), without overflow."""
    result: FloatArray = np.exp(-np.logaddexp(0.0, -values))
    return result


def _softmax_reference(statistics: SelectionStatistics, scale: str) -> FloatArray:
    """The logit at which the scaled temporal softmax is 1."""
    if scale == _MAX_ONE:
        return statistics.maximum
    if scale == _MEAN_ONE:
        return statistics.log_sum_exponential - math.log(statistics.count)
    return statistics.log_sum_exponential
