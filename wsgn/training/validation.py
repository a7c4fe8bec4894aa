"""Videos that are held out of a training, to see by their labels how it goes."""

from __future__ import annotations

import math

import numpy as np

from wsgn.data.annotations import label_vector
from wsgn.data.samples import SelectedVideos, VideoSource
from wsgn.errors import UsageError
from wsgn.model import WeakDetector
from wsgn.prediction.predict import predict_videos
from wsgn.support.arrays import AnyArray, Float32Array
from wsgn.training.verdict import chance_percent, video_map_percent

# Tells the draw of held-out videos from those of batches, of the same seed.
_STREAM = 2**31 + 1


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

    def video_map_percent(self, model: WeakDetector) -> float:
        """Video classification mAP; the model is in evaluation mode then."""
        scores = [one.pooled_scores() for one in predict_videos(model, self._source)]
        return video_map_percent(np.stack(scores), self._labels)
