"""Video classification mAP."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from wsgn.errors import InputError, UsageError
from wsgn.metrics.average_precision import ranked_average_precision
from wsgn.support.arrays import FloatArray


@dataclass(frozen=True, kw_only=True, eq=False)
class ClassificationResult:
    """How well video scores rank the videos of each class."""

    num_videos: int
    # (C,) average precision in percent, NaN for a class that no video has.
    average_precision_percent: FloatArray

    @property
    def map_percent(self) -> float:
        """The mean over the classes that some video has."""
        return float(np.nanmean(self.average_precision_percent))


def evaluate_classification(
    video_scores: npt.ArrayLike, labels: npt.ArrayLike
) -> ClassificationResult:
    """Video classification mAP: non-interpolated average precision of each class.

    Args:
        video_scores: (V, C), one row per video; equal scores keep the order of the videos.
        labels: (V, C) of 0 and 1.

    Raises:
        UsageError: wrong shapes, NaN, or labels other than 0 and 1.
        InputError: no video has a label.
    """
    scores = np.asarray(video_scores, dtype=np.float64)
    positives = np.asarray(labels)
    if not np.isin(positives, (0, 1)).all():
        raise UsageError("A label is neither 0 nor 1; give one row of 0 and 1 per video.")
    found = ranked_average_precision(scores, positives.astype(np.bool_))
    if np.isnan(found).all():
        raise InputError("No video has a label, so there is nothing to rank.")
    return ClassificationResult(num_videos=len(scores), average_precision_percent=100 * found)
