"""Videos that are held out of a training, to see by their labels how it goes."""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.data.annotations import VideoAnnotation, label_vector
from wsgn.data.samples import SelectedVideos, VideoSource
from wsgn.errors import UsageError
from wsgn.model import WeakDetector
from wsgn.prediction.predict import VideoPrediction, predict_videos
from wsgn.support.arrays import AnyArray, Float32Array, FloatArray, IntArray
from wsgn.training.verdict import chance_percent, class_percent, video_map_percent

# Tells the draw of held-out videos from those of batches, of the same seed.
_STREAM = 2**31 + 1
# How many of the worst videos are kept, and how many classes of each beside the true ones.
_NUM_WORST = 6
_NUM_SHOWN = 3


def split_videos(
    source: VideoSource, share: float, seed: int
) -> tuple[SelectedVideos, SelectedVideos]:
    """The videos to train on, and about this share of them to look at; together they are all.

    Raises `UsageError` where no class would keep a video on both sides.
    """
    labels = np.stack([label_vector(video.labels, source.classes) for video in source.videos])
    held = held_out(labels, share, seed)
    chosen = set(held)
    kept = [index for index in range(len(labels)) if index not in chosen]
    told = labels[held].any(axis=0) & labels[kept].any(axis=0)
    if not held or math.isnan(chance_percent(labels[held].astype(np.float64))) or not told.any():
        raise UsageError(
            f"of {len(labels)} training videos a share of {share:g} is too small to be looked at: "
            "hold out more of them (--validate), or none."
        )
    return SelectedVideos(source, kept), SelectedVideos(source, held)


def held_out(labels: Float32Array, share: float, seed: int) -> list[int]:
    """Numbers of the videos that are held out of those with labels (V, C), rising.

    Each class, the rarest first, gives its share of videos, rounded, and keeps one at least; so do
    the videos without any.
    """
    order = np.random.default_rng([seed, _STREAM]).permutation(len(labels))
    present = labels[order] > 0
    # Videos without a label are a class of their own.
    present = np.column_stack([present, ~present.any(axis=1)])
    held = np.zeros(len(labels), dtype=np.bool_)
    for column in np.argsort(present.sum(axis=0), kind="stable"):
        members = np.flatnonzero(present[:, column]).tolist()
        missing = round(share * len(members)) - int(held[members].sum())
        for index in members:
            if missing > 0 and not held[index] and _may_go(index, present, held):
                held[index] = True
                missing -= 1
    return sorted(order[held].tolist())


def _may_go(index: int, present: AnyArray, held: AnyArray) -> bool:
    """Whether each of its classes keeps another video that is trained on."""
    remaining = present[~held].sum(axis=0)
    return bool((remaining[present[index]] >= 2).all())


@dataclass(frozen=True, kw_only=True, eq=False)
class LookedVideo:
    """A held-out video, with the scores of a few classes over its T snippets."""

    name: str
    # Labels that are true, and the one with the highest score.
    true: tuple[str, ...]
    highest: str
    # The shown classes, and their scores (T, shown).
    labels: tuple[str, ...]
    scores: FloatArray
    times: FloatArray
    end_seconds: float
    # Label, start and end in seconds; empty where times are not known.
    segments: Sequence[tuple[str, float, float]]


@dataclass(frozen=True, kw_only=True, eq=False)
class Looked:
    """What a model makes of the videos that are held out."""

    video_map_percent: float
    chance_percent: float
    # (C,) average precision over the videos, NaN of a class that is in all of them, or in none.
    classes: tuple[str, ...]
    num_positives: IntArray
    class_percent: FloatArray
    # The worst first.
    worst: tuple[LookedVideo, ...]


class Validation:
    """Scores a model in training on videos that it does not see."""

    def __init__(self, source: VideoSource) -> None:
        self._source = source
        labels = [label_vector(video.labels, source.classes) for video in source.videos]
        self._labels = np.stack(labels).astype(np.float64)
        self.chance_percent = chance_percent(self._labels)
        if math.isnan(self.chance_percent):
            raise UsageError(
                "the videos of --validate cannot tell a model from chance: no class is in some of "
                "them and not in others."
            )

    def look(self, model: WeakDetector) -> Looked:
        """How the model tells the videos apart; it is in evaluation mode then."""
        scores: list[FloatArray] = []
        # Margins and videos of the worst; the scores over time of all may be too many.
        worst: list[tuple[float, LookedVideo]] = []
        for video, labels, one in zip(
            self._source.videos, self._labels, predict_videos(model, self._source), strict=True
        ):
            pooled = one.pooled_scores()
            scores.append(pooled)
            margin = _margin(pooled, labels)
            worst.append((margin, _looked(video, one, pooled, labels, self._source.classes)))
            worst = sorted(worst, key=lambda pair: pair[0])[:_NUM_WORST]
        stacked = np.stack(scores)
        return Looked(
            video_map_percent=video_map_percent(stacked, self._labels),
            chance_percent=self.chance_percent,
            classes=tuple(self._source.classes),
            num_positives=(self._labels > 0).sum(axis=0),
            class_percent=class_percent(stacked, self._labels),
            worst=tuple(video for _, video in worst),
        )


def _margin(pooled: FloatArray, labels: FloatArray) -> float:
    """By how much the least true class scores above the greatest that is not; 0 without both."""
    true, false = pooled[labels > 0], pooled[labels <= 0]
    return float(true.min() - false.max()) if len(true) and len(false) else 0.0


def _looked(
    video: VideoAnnotation,
    prediction: VideoPrediction,
    pooled: FloatArray,
    labels: FloatArray,
    classes: Sequence[str],
) -> LookedVideo:
    order = np.argsort(-pooled, kind="stable")
    shown = sorted({*np.flatnonzero(labels > 0).tolist(), *order[:_NUM_SHOWN].tolist()})
    return LookedVideo(
        name=video.name,
        true=tuple(classes[at] for at in np.flatnonzero(labels > 0).tolist()),
        highest=classes[int(order[0])],
        labels=tuple(classes[at] for at in shown),
        scores=prediction.scores[:, shown],
        times=prediction.times.centre_seconds,
        end_seconds=float(prediction.times.end_seconds[-1]),
        segments=video.segments,
    )
