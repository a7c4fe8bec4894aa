"""Packed features of videos of many lengths, for the tests of the methods."""

from __future__ import annotations

import itertools

import numpy as np
import torch
from torch import Tensor, nn

from wsgn.methods.interface import HeadOutput, Losses, Method, Targets
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
