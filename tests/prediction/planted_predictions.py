"""Predictions whose scores are given."""

from __future__ import annotations

import numpy as np

from wsgn.localization.segments import SnippetTimes
from wsgn.prediction.predict import VideoPrediction


def planted(
    name: str, scores: np.ndarray, *, seconds: float = 1.0, video_scores: np.ndarray | None = None
) -> VideoPrediction:
    """Scores (T, C) of snippets that lie behind each other, each of so many seconds."""
    starts = np.arange(len(scores)) * seconds
    return VideoPrediction(
        name=name,
        times=SnippetTimes(
            start_seconds=starts,
            centre_seconds=starts + seconds / 2,
            end_seconds=starts + seconds,
            epoch=np.zeros(len(scores), dtype=np.int64),
        ),
        selection_logits=2 * scores,
        class_probabilities=scores / 2,
        scores=scores,
        video_scores=video_scores,
    )
