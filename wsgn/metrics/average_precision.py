"""Average precision of ranked lists."""

from __future__ import annotations

import numpy as np

from wsgn.errors import UsageError
from wsgn.metrics.protocol import Interpolation
from wsgn.support.arrays import BoolArray, FloatArray, IntArray


def average_precision(
    hits: BoolArray,
    misses: BoolArray,
    num_positives: int | IntArray,
    interpolation: Interpolation = "none",
) -> FloatArray:
    """AP (K,), between 0 and 1, of K independent rankings, (N, K), most confident entry first.

    An entry that is neither hit nor miss does not count. `none` is the mean precision at the
    positives (the area under the steps), `all_point` the area under the falling envelope (PASCAL
    VOC 2010 on), `eleven_point` the envelope's mean at recall 0, 0.1, ..., 1 (VOC 2007).
    """
    num_hits = np.cumsum(hits, axis=0)  # (N, K)
    counted = num_hits + np.cumsum(misses, axis=0)
    precision = num_hits / np.maximum(counted, 1)
    if interpolation == "eleven_point":
        recall = num_hits / num_positives
        at_recall = [
            np.where(recall >= tenth / 10, precision, 0.0).max(axis=0, initial=0.0)
            for tenth in range(11)
        ]
        return np.asarray(np.mean(at_recall, axis=0), dtype=np.float64)
    if interpolation == "all_point":
        precision = np.maximum.accumulate(precision[::-1], axis=0)[::-1]
    # Recall rises by 1 / num_positives at each hit and nowhere else.
    return np.asarray((precision * hits).sum(axis=0) / num_positives, dtype=np.float64)


def true_first_on_ties(hits: BoolArray, misses: BoolArray, scores: FloatArray) -> IntArray:
    """For each of K rankings (N, K) the order in which equal scores have their hits first.

    `scores` (N,) must fall. Entries that are neither hit nor miss do not count, wherever they are.
    """
    level = np.cumsum(np.diff(scores, prepend=scores[:1]) != 0)[:, None]  # (N, 1)
    # Among equal scores nothing but hit or miss matters, so two keys per level are enough.
    return np.argsort(2 * level + (misses & ~hits), axis=0, kind="stable")


def ranked_average_precision(scores: FloatArray, positives: BoolArray) -> FloatArray:
    """Non-interpolated AP (C,) of each column of `scores` (N, C) after a stable sort.

    Equal scores stay in the order of the rows; a class without positives has AP NaN.
    Raises `UsageError` where shapes differ or a score is NaN.
    """
    if scores.ndim != 2 or scores.shape != positives.shape:
        raise UsageError(
            f"Scores {scores.shape} and labels {positives.shape} must both be (rows, classes)."
        )
    if np.isnan(scores).any():
        raise UsageError("A score is NaN; every score must be a number (-inf is one).")
    order = np.argsort(-scores, axis=0, kind="stable")  # (N, C)
    hits = np.take_along_axis(positives, order, axis=0)
    num_positives = positives.sum(axis=0)  # (C,)
    found = average_precision(hits, ~hits, np.maximum(num_positives, 1))
    return np.where(num_positives > 0, found, np.nan)
