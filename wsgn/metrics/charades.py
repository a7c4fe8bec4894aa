"""Charades localization: mAP over 25 points per video."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsgn.data.charades import NUM_CLASSES
from wsgn.errors import InputError, UsageError
from wsgn.metrics.average_precision import ranked_average_precision
from wsgn.metrics.charades_files import CharadesTruth
from wsgn.support.arrays import BoolArray, FloatArray, IntArray


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
    # Videos without a score at any point, and whether they were left out; else they rank last.
    num_unscored: int = 0
    left_out: bool = False

    @property
    def counted(self) -> str:
        """How many videos and points the figures are of, in words."""
        words = f"{self.num_videos} videos, {self.num_points} points"
        if not self.num_unscored:
            return words
        one = self.num_unscored == 1
        have, rank, are = ("has", "ranks", "is") if one else ("have", "rank", "are")
        if self.left_out:
            return f"{words} ({self.num_unscored} more {have} no scores and {are} left out)"
        return f"{words} ({self.num_unscored} of the videos {have} no scores and {rank} last)"

    @property
    def map_percent(self) -> float:
        """The plain mean over the classes that have positives (in the full test set all have)."""
        return float(np.nanmean(self.average_precision_percent))

    @property
    def weighted_ap_percent(self) -> float:
        """The mean over classes, weighted by their positives."""
        weighted = np.nansum(self.average_precision_percent * self.num_positives)
        return float(weighted / self.num_positives.sum())


def evaluate_charades(
    truth: CharadesTruth, scores: FloatArray, *, only_scored: bool = False
) -> CharadesResult:
    """Localization mAP of scores (V, 25, 157), -inf where there is none.

    AP is not interpolated; equal scores keep the order of videos and points. Videos without a
    score at any point rank last, or, with `only_scored`, are left out. Raises `UsageError` for a
    wrong shape or NaN, `InputError` where nothing happens in any video, or none has a score.
    """
    if scores.shape != truth.labels.shape:
        raise UsageError(
            f"The scores have the shape {scores.shape}; the annotations need {truth.labels.shape}."
        )
    has_scores: BoolArray = np.any(~np.isneginf(scores), axis=(1, 2))  # (V,)
    if not has_scores.any():
        raise InputError(
            f"None of the {len(truth.video_ids)} videos has a score: the scores are of other "
            "videos, or of none."
        )
    counts = has_scores if only_scored else np.ones_like(has_scores)
    if not truth.labels[counts].any():
        raise InputError("No action holds at any point, so there is nothing to rank.")
    labels = truth.labels[counts].reshape(-1, NUM_CLASSES)  # (V * 25, 157)
    found = ranked_average_precision(scores[counts].reshape(labels.shape), labels)
    return CharadesResult(
        num_videos=int(counts.sum()),
        num_points=len(labels),
        num_positives=labels.sum(axis=0),
        average_precision_percent=100 * found,
        num_unscored=int((~has_scores).sum()),
        left_out=only_scored,
    )
