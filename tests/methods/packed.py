"""Packed features of videos of many lengths, for the tests of the methods."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from wsgn.localization.scoring import frame_scores, video_scores
from wsgn.methods.interface import HeadOutput, Losses, Method, Targets
from wsgn.methods.rules import method_rule
from wsgn.support.arrays import FloatArray

SIZE = 6
CLASSES = 3
# One snippet, one k of top-k to the brim (8, 16), one just over it.
LENGTHS = (5, 1, 8, 17, 16, 2)
# The fourth video shows nothing.
LABELS = ((1, 0, 1), (0, 1, 0), (1, 1, 1), (0, 0, 0), (0, 0, 1), (1, 0, 0))
PAIRS = ((0, 2), (4, 2), (0, 5))


def packed_features(seed: int = 0) -> Tensor:
    """(N, D) of all videos, float64."""
    random = np.random.default_rng(seed)
    return torch.from_numpy(random.normal(size=(sum(LENGTHS), SIZE)))


def offsets_of(videos: tuple[int, ...] = tuple(range(len(LENGTHS)))) -> Tensor:
    return torch.tensor([0, *itertools.accumulate(LENGTHS[video] for video in videos)])


def rows_of(video: int) -> slice:
    start = sum(LENGTHS[:video])
    return slice(start, start + LENGTHS[video])


def targets_of(
    videos: tuple[int, ...] = tuple(range(len(LENGTHS))),
    pairs: tuple[tuple[int, int], ...] = PAIRS,
) -> Targets:
    labels = torch.tensor([LABELS[video] for video in videos], dtype=torch.float64)
    return Targets(labels=labels, pairs=torch.tensor(pairs, dtype=torch.int64).reshape(-1, 2))


def weights_of(module: nn.Module) -> dict[str, FloatArray]:
    """Every parameter as an array."""
    return {name: value.detach().numpy().copy() for name, value in module.named_parameters()}


def losses_of(method: Method, features: Tensor) -> tuple[HeadOutput, Losses]:
    """Heads and losses of the whole batch."""
    heads = method.heads(features)
    return heads, method.losses(heads, offsets_of(), targets_of())


def scored(
    method: Method, heads: HeadOutput, offsets: Tensor | None = None
) -> tuple[FloatArray, FloatArray]:
    """Frame scores (N, C) and video scores (B, C) of a batch, as hosts compute them."""
    rule = method_rule(method)
    x, h = (
        values.detach().double().numpy() for values in (heads.selection_logits, heads.class_logits)
    )
    # A background class may stand behind the others.
    p = h = h[:, : x.shape[1]]
    if rule.class_activation == "sigmoid":
        p = 1 / (1 + np.exp(-h))
    elif rule.class_activation == "softmax":
        exponentials = np.exp(h - h.max(axis=1, keepdims=True))
        p = exponentials / exponentials.sum(axis=1, keepdims=True)
    bounds = (offsets_of() if offsets is None else offsets).tolist()
    videos = [slice(*pair) for pair in itertools.pairwise(bounds)]
    scores = [frame_scores(x[rows], p[rows], rule) for rows in videos]
    of_videos = [
        video_scores(x[rows], p[rows], rule, score)
        for rows, score in zip(videos, scores, strict=True)
    ]
    return np.concatenate(scores), np.stack(of_videos)
