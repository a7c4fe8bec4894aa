"""Scores of frames and of videos from what an engine puts out: for every host the same ones.

Training's print, wsgn-predict and the runtime score here, in float64 NumPy, by the rule that the
manifest carries; the graphs that score by themselves are held against it.
"""

from __future__ import annotations

import math

import numpy as np

from wsgn.localization.statistics import (
    SelectionStatistics,
    gated_weights,
    selection_weights,
    sigmoid,
)
from wsgn.manifest import IDENTITY, SelectionRule
from wsgn.support.arrays import FloatArray, FloatingArray

# Probabilities are kept so far from 0 and 1 before their logit is taken: float32's smallest normal
# number, and its largest under 1.
LOGIT_RANGE = (float(np.finfo(np.float32).tiny), 1.0 - 2.0**-24)


def frame_scores(
    selection_logits: FloatingArray, class_probabilities: FloatingArray, rule: SelectionRule
) -> FloatArray:
    """Frame scores (T, C) of a whole video from an engine's outputs (T, C)."""
    logits = np.asarray(selection_logits, dtype=np.float64)
    return snippet_scores(logits, class_probabilities, whole_video_statistics(logits, rule), rule)


def whole_video_statistics(logits: FloatArray, rule: SelectionRule) -> SelectionStatistics:
    """What the weights of a whole video's snippets (T, C) are taken from."""
    return SelectionStatistics.of(logits).counting(logits, rule)


def snippet_scores(
    logits: FloatArray,
    class_probabilities: FloatingArray,
    statistics: SelectionStatistics,
    rule: SelectionRule,
) -> FloatArray:
    """Frame scores of snippets (..., C) under statistics of a video, or of a stream so far."""
    values = np.asarray(class_probabilities, dtype=np.float64)
    if rule.class_activation == IDENTITY:
        values = np.maximum(values, 0.0)
    return gated_weights(logits, statistics, rule) * values


def video_scores(
    selection_logits: FloatingArray,
    class_probabilities: FloatingArray,
    rule: SelectionRule,
    frame_scores: FloatArray,
) -> FloatArray:
    """Video scores (C,) from an engine's outputs (T, C) and the frame scores (T, C) of them."""
    how = rule.video_score
    if how.pooling == "frame_scores":
        mean: FloatArray = frame_scores.mean(axis=0)
        return mean
    values = np.asarray(class_probabilities, dtype=np.float64)
    if how.of == "logits":
        values = _class_logits(values, rule.class_activation)
    if how.pooling == "weighted":
        logits = np.asarray(selection_logits, dtype=np.float64)
        statistics = whole_video_statistics(logits, rule)
        pooled = (selection_weights(logits, statistics, rule) * values).mean(axis=0)
    else:
        picks = math.ceil(len(values) / how.snippets_per_pick)
        pooled = np.sort(values, axis=0)[-picks:].mean(axis=0)
    if how.bias:
        pooled = pooled + np.asarray(how.bias)
    return _activated(pooled, how.activation)


def bounded(score: float, rule: SelectionRule) -> float:
    """What is reported as a segment's score, from 0 to 1.

    Scores without an upper bound are s / (1 + s), which keeps their order. Others are cut: rounding
    and engines scored by `mean_one` may come past 1.
    """
    score = max(score, 0.0)
    return min(score, 1.0) if rule.is_bounded else score / (1.0 + score)


def _class_logits(values: FloatArray, activation: str) -> FloatArray:
    """What the activation was applied to; of a softmax up to a constant of each snippet."""
    if activation == IDENTITY:
        return values
    clipped = np.clip(values, *LOGIT_RANGE)
    logits: FloatArray = np.log(clipped)
    return logits if activation == "softmax" else logits - np.log1p(-clipped)


def _activated(values: FloatArray, activation: str) -> FloatArray:
    """Of pooled values (C,)."""
    if activation == "sigmoid":
        return sigmoid(values)
    if activation == "softmax":
        exponentials = np.exp(values - values.max())
        softmax: FloatArray = exponentials / exponentials.sum()
        return softmax
    return values
