"""Features of frames out of features of snippets, as the paper makes them."""

from __future__ import annotations

import numpy as np

from wsgn.manifest import Sampling
from wsgn.support.arrays import FeatureArray, Float32Array, IntArray


def num_frames(num_snippets: int, sampling: Sampling) -> int:
    """Frames that T snippets cover, from the first frame of the first to the last of the last."""
    return (num_snippets - 1) * sampling.snippet_stride + sampling.snippet_length


def frame_sampling(sampling: Sampling) -> Sampling:
    """The time base on which every frame is a snippet of its own."""
    return Sampling(frame_rate=sampling.frame_rate, snippet_length=1, snippet_stride=1)


def frame_features(features: FeatureArray, frames: IntArray, sampling: Sampling) -> Float32Array:
    """Features (F, D) at the centres of the given frames (F,), linear between snippet centres.

    Before the first centre and after the last, the nearest snippet's features are held. Only the
    rows asked for are made: features (T, D) of a long video at all frames would fill the memory.
    """
    # In frames, as `wsgn.localization.timing` places both centres in seconds.
    position = (frames + 0.5 - sampling.snippet_length / 2) / sampling.snippet_stride  # (F,)
    position = np.clip(position, 0, len(features) - 1)
    before = np.floor(position).astype(np.int64)
    behind = np.minimum(before + 1, len(features) - 1)
    share = (position - before).astype(np.float32)[:, None]  # (F, 1)
    rows = np.asarray(features[before], dtype=np.float32)  # (F, D)
    # In place: two arrays of this size are enough.
    rows += share * (features[behind] - rows)
    return rows
