"""Charades localization: mAP over 25 points per video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsgn.data.charades import NUM_CLASSES
from wsgn.errors import InputError, UsageError
from wsgn.metrics.average_precision import ranked_average_precision
from wsgn.metrics.charades_files import CharadesTruth
from wsgn.support.arrays import FloatArray, IntArray


@dataclass(frozen=True, kw_only=True, eq=False)
class CharadesResult:
    """How well scores rank the points of each class."""

    num_videos: int
    # Points of all videos: 25 per video.
    num_points: int
    # (157,) positive points of each class.
    num_positives: IntArray
    # (157,) average precision in percent, NaN for a class without positives.
    average_precision_percent: FloatArray

    @property
    def map_percent(self) -> float:
        """The plain mean over the classes that have positives (in the full test set all have)."""
        return float(np.nanmean(self.average_precision_percent))

    @property
    def weighted_ap_percent(self) -> float:
        """The mean over classes, weighted by their positives."""
        weighted = np.nansum(self.average_precision_percent * self.num_positives)
        return float(weighted / self.num_positives.sum())


def evaluate_charades(truth: CharadesTruth, scores: FloatArray) -> CharadesResult:
    """Localization mAP of scores (V, 25, 157), -inf where there is none.

    AP is not interpolated; equal scores keep the order of videos and points. Raises `UsageError`
    for a wrong shape or NaN, `InputError` where nothing happens in any video.
    """
    if scores.shape != truth.labels.shape:
        raise UsageError(
            f"The scores have the shape {scores.shape}; the annotations need {truth.labels.shape}."
        )
    if not truth.labels.any():
        raise InputError("No action holds at any point, so there is nothing to rank.")
    labels = truth.labels.reshape(-1, NUM_CLASSES)  # (V * 25, 157)
    found = ranked_average_precision(scores.reshape(labels.shape), labels)
    return CharadesResult(
        num_videos=len(truth.video_ids),
        num_points=len(labels),
        num_positives=labels.sum(axis=0),
        average_precision_percent=100 * found,
    )
