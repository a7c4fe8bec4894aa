"""Thresholds and priors for streaming, from the training videos and their video-level labels."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from wsgn.checkpoint import Calibration
from wsgn.manifest import DetectionRule, Prior
from wsgn.predict import VideoPrediction
from wsgn.segments import smoothed_scores

FloatArray = npt.NDArray[np.float64]

# Pseudo-observations of the prior, in snippets; docs/results.md has the measurement.
PRIOR_COUNT = 8.0


def calibrate(
    predictions: Sequence[VideoPrediction],
    labels: FloatArray,
    *,
    smoothing_snippets: int,
    peak_gate: float = DetectionRule.peak_gate,
    prior_count: float = PRIOR_COUNT,
) -> Calibration:
    """Calibrate on predictions of B training videos with video-level labels (B, C)."""
    return Calibration(
        prior=_prior(predictions, prior_count),
        detection=_detection(predictions, labels, smoothing_snippets, peak_gate),
    )


def _prior(predictions: Sequence[VideoPrediction], count: float) -> Prior:
    logits = [prediction.selection_logits for prediction in predictions]
    pooled = np.concatenate(logits)  # (N, C)
    # The variance within videos: what the local Gaussian of a whole video would see.
    variance = np.mean([x.var(axis=0) for x in logits], axis=0)
    maximum = pooled.max(axis=0)
    mean_exponential = np.exp(pooled - maximum).mean(axis=0)
    return Prior(
        count=count,
        mean=_floats(pooled.mean(axis=0)),
        variance=_floats(variance),
        log_mean_exponential=_floats(maximum + np.log(mean_exponential)),
        maximum=_floats(np.mean([x.max(axis=0) for x in logits], axis=0)),
    )


def _detection(
    predictions: Sequence[VideoPrediction],
    labels: FloatArray,
    smoothing_snippets: int,
    peak_gate: float,
) -> DetectionRule:
    curves = [smoothed_scores(p.scores, p.times.epoch, smoothing_snippets) for p in predictions]
    middles = np.array([(s.min(axis=0) + s.max(axis=0)) / 2 for s in curves])  # (B, C)
    thresholds = _mean_over_positives(middles, labels)
    return DetectionRule(
        open_thresholds=_floats(thresholds),
        close_thresholds=_floats(thresholds),
        smoothing_snippets=smoothing_snippets,
        peak_gate=peak_gate,
    )


def _mean_over_positives(values: FloatArray, labels: FloatArray) -> FloatArray:
    """(B, C) -> (C,) over the videos that have the class; over all where none has."""
    weights = np.where(labels.any(axis=0), labels, 1.0)
    mean: FloatArray = (values * weights).sum(axis=0) / weights.sum(axis=0)
    return mean


def _floats(values: FloatArray) -> tuple[float, ...]:
    return tuple(float(value) for value in values)
