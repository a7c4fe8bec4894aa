"""Thresholds and priors for streaming, from the training videos and their video-level labels."""

from __future__ import annotations

import functools
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsgn.checkpoint import Calibration
from wsgn.config import ModelConfig
from wsgn.localization.segments import smoothed_scores
from wsgn.localization.statistics import SelectionStatistics
from wsgn.manifest import AVERAGE, DetectionRule, Prior, SelectionRule
from wsgn.prediction.predict import VideoPrediction
from wsgn.support.arrays import FloatArray

# Pseudo-observations of the prior, in snippets; docs/results.md has the measurement.
PRIOR_COUNT = 8.0


def calibrate(
    predictions: Iterable[VideoPrediction],
    labels: FloatArray,
    *,
    rule: SelectionRule | None = None,
    smoothing_snippets: int,
    peak_gate: float = DetectionRule.peak_gate,
    prior_count: float = PRIOR_COUNT,
) -> Calibration:
    """Calibrate on predictions of B training videos with video-level labels (B, C).

    `rule` is that of the scores; one that averages wants more of the prior. Of each video a summary
    is kept, so that the dataset may be larger than memory.
    """
    summaries = [_Summary.of(prediction, rule, smoothing_snippets) for prediction in predictions]
    thresholds = _mean_over_positives(np.stack([s.middle for s in summaries]), labels)
    return Calibration(
        prior=_prior(summaries, rule, prior_count),
        detection=DetectionRule(
            open_thresholds=_floats(thresholds),
            close_thresholds=_floats(thresholds),
            smoothing_snippets=smoothing_snippets,
            peak_gate=peak_gate,
        ),
    )


def calibrated(
    config: ModelConfig,
    rule: SelectionRule,
    predictions: Iterable[VideoPrediction],
    labels: FloatArray,
) -> Calibration:
    """What a model of this configuration gets of its training videos, scored by `rule`."""
    found = calibrate(
        predictions,
        labels,
        rule=rule,
        smoothing_snippets=config.smoothing_snippets,
        peak_gate=config.peak_gate,
    )
    if config.proposals is None:
        return found
    many = replace(config.proposals, smoothing_snippets=config.smoothing_snippets)
    return replace(found, proposals=many)


@dataclass(frozen=True, kw_only=True)
class _Summary:
    """What the calibration needs of one video, (C,) each."""

    statistics: SelectionStatistics
    # The middle between the smallest and the largest smoothed score.
    middle: FloatArray

    @staticmethod
    def of(
        prediction: VideoPrediction, rule: SelectionRule | None, smoothing_snippets: int
    ) -> _Summary:
        epoch = prediction.times.epoch
        scores = smoothed_scores(prediction.scores, epoch, smoothing_snippets)
        statistics = SelectionStatistics.of(prediction.selection_logits)
        if rule is not None:
            statistics = statistics.counting(prediction.selection_logits, rule)
        return _Summary(
            statistics=statistics,
            middle=(scores.min(axis=0) + scores.max(axis=0)) / 2,
        )


def _prior(summaries: Sequence[_Summary], rule: SelectionRule | None, count: float) -> Prior:
    videos = [summary.statistics for summary in summaries]
    pooled = functools.reduce(SelectionStatistics.merged, videos)
    # The variance within videos: what the local Gaussian of a whole video would see.
    variance = np.mean([video.squared_deviations / video.count for video in videos], axis=0)
    return Prior(
        count=count,
        mean=_floats(pooled.mean),
        variance=_floats(variance),
        log_mean_exponential=_floats(pooled.log_sum_exponential - np.log(pooled.count)),
        maximum=_floats(np.mean([video.maximum for video in videos], axis=0)),
        mean_local=_mean_weights(videos, rule, "local_gaussian"),
        mean_global=_mean_weights(videos, rule, "global_gaussian"),
    )


def _mean_weights(
    videos: Sequence[SelectionStatistics], rule: SelectionRule | None, component: str
) -> tuple[float, ...]:
    """Mean over videos of a component's mean weight in each; empty where the rule has no use."""
    if rule is None or rule.weight_scale != AVERAGE or component not in rule.components:
        return ()
    name = f"sum_{component.removesuffix('_gaussian')}"
    means = [getattr(video, name) / video.count for video in videos]
    return _floats(np.mean(means, axis=0))


def _mean_over_positives(values: FloatArray, labels: FloatArray) -> FloatArray:
    """(B, C) -> (C,) over the videos that have the class; over all where none has."""
    weights = np.where(labels.any(axis=0), labels, 1.0)
    mean: FloatArray = (values * weights).sum(axis=0) / weights.sum(axis=0)
    return mean


def _floats(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
