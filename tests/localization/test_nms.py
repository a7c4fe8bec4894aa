"""Suppression against a loop over segments, and its rules by hand."""

from __future__ import annotations

import math

import numpy as np
import pytest

from wsgn.localization.nms import nms, soft_nms
from wsgn.support.arrays import FloatArray, IntArray


def plain_tiou(first: tuple[float, float], second: tuple[float, float]) -> float:
    intersection = min(first[1], second[1]) - max(first[0], second[0])
    if intersection <= 0:
        return 0.0
    return intersection / (first[1] - first[0] + second[1] - second[0] - intersection)


def plain_nms(
    group: IntArray, start: FloatArray, end: FloatArray, score: FloatArray, tiou: float
) -> list[bool]:
    """One segment after the other, the best first."""
    kept: list[int] = []
    for index in sorted(range(len(score)), key=lambda i: -score[i]):
        rivals = [other for other in kept if group[other] == group[index]]
        span = (start[index], end[index])
        if all(plain_tiou(span, (start[r], end[r])) < tiou for r in rivals):
            kept.append(index)
    return [index in kept for index in range(len(score))]


def plain_softening(
    group: IntArray, start: FloatArray, end: FloatArray, score: FloatArray, sigma: float
) -> list[float]:
    """The listing of the Soft-NMS paper."""
    scores = [float(s) for s in score]
    waiting = set(range(len(scores)))
    while waiting:
        best = max(waiting, key=lambda i: (scores[i], -i))
        waiting.remove(best)
        for other in waiting:
            overlap = plain_tiou((start[best], end[best]), (start[other], end[other]))
            if group[other] == group[best]:
                scores[other] *= math.exp(-(overlap**2) / sigma)
    return scores


def random_segments(seed: int) -> tuple[IntArray, FloatArray, FloatArray, FloatArray]:
    """Up to 80 segments of 3 groups on a coarse grid, so that times coincide; scores too."""
    random = np.random.default_rng(seed)
    count = int(random.integers(0, 80))
    start = random.integers(0, 20, count) / 2
    end = start + random.integers(1, 16, count) / 2
    return random.integers(0, 3, count), start, end, random.integers(1, 30, count) / 10


@pytest.mark.parametrize("seed", range(12))
@pytest.mark.parametrize("tiou", [0.01, 0.3, 0.5, 1.0])
def test_it_keeps_what_a_plain_loop_keeps(seed: int, tiou: float) -> None:
    segments = random_segments(seed)
    found = nms(*segments, tiou=tiou)
    assert found.tolist() == plain_nms(*segments, tiou)


@pytest.mark.parametrize("seed", range(6))
def test_soft_nms_scores_are_those_of_a_plain_loop(seed: int) -> None:
    group, start, end, _ = random_segments(seed)
    # Distinct scores: the paper leaves ties open.
    score = np.random.default_rng(seed).permutation(len(group)) + 1.0
    found = soft_nms(group, start, end, score, sigma=0.4)
    np.testing.assert_allclose(found, plain_softening(group, start, end, score, 0.4), rtol=1e-12)


def test_a_removed_segment_removes_nothing() -> None:
    # Neighbours overlap by 3/5, next but one by 1/7: the middle goes and spares the last.
    start = np.array([0.0, 1.0, 2.0])
    found = nms(np.zeros(3, np.int64), start, start + 4, np.array([3.0, 2.0, 1.0]), tiou=0.5)
    assert found.tolist() == [True, False, True]


def test_overlap_equal_to_the_threshold_goes() -> None:
    arguments = (np.zeros(2, np.int64), np.array([0.0, 0.0]), np.array([1.0, 2.0]))
    score = np.array([1.0, 2.0])
    assert nms(*arguments, score, tiou=0.5).tolist() == [False, True]
    assert nms(*arguments, score, tiou=0.501).tolist() == [True, True]


def test_groups_do_not_meet() -> None:
    found = nms(np.array([0, 1]), np.zeros(2), np.ones(2), np.array([1.0, 2.0]), tiou=0.5)
    assert found.all()


def test_negative_scores_do_not_rise() -> None:
    softened = soft_nms(
        np.zeros(2, np.int64), np.zeros(2), np.ones(2), np.array([1.0, -1.0]), sigma=0.5
    )
    assert softened.tolist() == [1.0, -1.0]
