"""What a finished model is worth on the videos it was trained on: whether it has learned at all."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

import numpy as np

from wsgn.metrics.average_precision import ranked_average_precision
from wsgn.prediction.predict import VideoPrediction
from wsgn.support.arrays import AnyArray, FloatArray

# Scores that differ by less than this share of the largest are all the same.
_SMALLEST_SPREAD = 1e-4
# A model tells nothing that comes less than this share of the way from chance to certainty. It has
# seen these videos: a healthy one comes most of the way.
_LEAST_SHARE = 0.1
# Before it has seen each video so often, what it tells is no verdict on a training.
_LEAST_TIMES = 5
_ADVICE = (
    "lower the learning rate or train longer (--learning-rate, --steps), take another preset, and "
    "look whether the features belong to the annotations"
)


@dataclass(frozen=True, kw_only=True)
class TrainingScore:
    """How a model scores its own training videos, by their video-level labels."""

    # Video classification mAP, and what it would be for videos in a random order; NaN where no
    # class tells videos apart.
    video_map_percent: float
    chance_percent: float
    # The largest difference of a class's frame scores between snippets, over the largest score.
    spread: float
    # How often each video was trained on.
    times_seen: float

    @property
    def is_constant(self) -> bool:
        """Whether it says the same of every snippet."""
        return self.spread < _SMALLEST_SPREAD

    @property
    def tells_nothing(self) -> bool:
        """Whether it tells no class from another, though it has had the time to learn."""
        gain = self.video_map_percent - self.chance_percent
        is_chance = gain < _LEAST_SHARE * (100 - self.chance_percent)
        return self.is_constant or (is_chance and self.times_seen >= _LEAST_TIMES)

    def sentence(self) -> str:
        """The figures, or what is wrong and what to do."""
        if self.is_constant:
            return (
                "the model says the same of every snippet, so the training has died and no "
                f"model.safetensors is written (last.safetensors has the weights): {_ADVICE}."
            )
        figures = (
            f"{self.video_map_percent:.1f} % on its training videos, chance is "
            f"{self.chance_percent:.1f} %"
        )
        if self.tells_nothing:
            return f"the model tells no class from another (video mAP {figures}): {_ADVICE}."
        seen = f", each seen {self.times_seen:.1f} times" if self.times_seen < _LEAST_TIMES else ""
        return f"video mAP {figures}{seen}"


class Witness:
    """Sees predictions on their way to the calibration."""

    def __init__(self, num_classes: int) -> None:
        self._video_scores: list[FloatArray] = []
        self._lowest = np.full(num_classes, np.inf)
        self._highest = np.full(num_classes, -np.inf)

    def seeing(self, predictions: Iterable[VideoPrediction]) -> Iterator[VideoPrediction]:
        """The same predictions."""
        for prediction in predictions:
            self._video_scores.append(prediction.pooled_scores())
            self._lowest = np.minimum(self._lowest, prediction.scores.min(axis=0))
            self._highest = np.maximum(self._highest, prediction.scores.max(axis=0))
            yield prediction

    def score(self, labels: FloatArray, *, times_seen: float) -> TrainingScore:
        """The verdict on what was seen, of videos with labels (B, C)."""
        largest = np.maximum(self._highest, np.finfo(np.float64).tiny)
        # Class by class: one that is scored low everywhere may still be told well.
        spread = float(((self._highest - self._lowest) / largest).max())
        return TrainingScore(
            video_map_percent=video_map_percent(np.stack(self._video_scores), labels),
            chance_percent=chance_percent(labels),
            spread=spread,
            times_seen=times_seen,
        )


def video_map_percent(scores: FloatArray, labels: FloatArray) -> float:
    """The mean of `class_percent`, over the classes that have one; NaN without any."""
    found = class_percent(scores, labels)
    return float("nan") if np.isnan(found).all() else float(np.nanmean(found))


def class_percent(scores: FloatArray, labels: FloatArray) -> FloatArray:
    """Video average precision (C,) of scores (B, C); NaN of a class that all videos have, or none.

    Equal scores are ranked by chance, not in the order of the videos, which may go by class.
    """
    order = np.random.default_rng(0).permutation(len(labels))
    found = 100 * ranked_average_precision(scores[order], labels[order] > 0)
    return np.where(_told(labels), found, np.nan)


def chance_percent(labels: FloatArray) -> float:
    """The expected mAP of videos in a random order, with labels (B, C); NaN without any.

    For m of n videos the precision at the first hit and every other, averaged over all orders, is
    (H_n + (m - 1) / (n - 1) (n - H_n)) / n, H_n = 1 + 1/2 + ... + 1/n.
    """
    told = _told(labels)
    if not told.any():
        return float("nan")
    n, m = len(labels), (labels[:, told] > 0).sum(axis=0)
    harmonic = (1 / np.arange(1, n + 1)).sum()
    expected = (harmonic + (m - 1) / (n - 1) * (n - harmonic)) / n
    return float(100 * expected.mean())


def _told(labels: FloatArray) -> AnyArray:
    """(C,): the classes that some videos have and others do not."""
    present = labels > 0
    told: AnyArray = np.logical_and(present.any(axis=0), ~present.all(axis=0))
    return told
