"""Non-maximum suppression (NMS) of overlapping segments, without a loop over them."""

from __future__ import annotations

import numpy as np

from wsgn.support.arrays import BoolArray, FloatArray, IntArray

# So much less than the tIoU is the tIoU. A peak of straight sides cut at shares of its height gives
# segments whose tIoU is a ratio of these shares, such as 1/2 of 0.2 and 0.6: which side of it
# rounding falls on must not decide who goes.
_TIE = 1e-4


def nms(
    group: IntArray, start: FloatArray, end: FloatArray, score: FloatArray, *, tiou: float
) -> BoolArray:
    """Which of P segments stay (all arguments (P,)) when each removes its lesser neighbours.

    By falling score, a segment that is still there removes those of its own group with which its
    temporal intersection over union is `tiou` (> 0) or more, to 1e-4; of equal scores the first
    stays.
    """
    first, second, overlap = _overlapping_pairs(group, start, end)
    close = overlap >= tiou - _TIE
    rank = np.empty(len(score), dtype=np.int64)
    rank[np.argsort(-score, kind="stable")] = np.arange(len(score))
    swapped = rank[first] > rank[second]
    winner = np.where(swapped, second, first)[close]
    loser = np.where(swapped, first, second)[close]
    kept = np.zeros(len(score), dtype=np.bool_)
    open_ = np.ones(len(score), dtype=np.bool_)
    # Each round settles every segment that has no better neighbour left, and those which it
    # removes; the outcome is that of one after the other.
    while open_.any():
        beaten = np.zeros(len(score), dtype=np.bool_)
        beaten[loser] = True
        stays = open_ & ~beaten
        kept |= stays
        open_ &= ~stays
        open_[loser[stays[winner]]] = False
        undecided = open_[winner] & open_[loser]
        winner, loser = winner[undecided], loser[undecided]
    return kept


def soft_nms(
    group: IntArray, start: FloatArray, end: FloatArray, score: FloatArray, *, sigma: float
) -> FloatArray:
    """Scores (P,) that fall with overlap instead of segments that go (Soft-NMS, Gaussian).

    Bodla et al., ICCV 2017: the segment with the highest score multiplies the others of its group
    by exp(-tIoU^2 / sigma), then the highest of those does, and so on. Scores that are not positive
    stay as they are.
    """
    softened = score.copy()
    for members in _groups(group):
        waiting = members
        while len(waiting) > 1:
            best = int(np.argmax(softened[waiting]))
            chosen, waiting = waiting[best], np.delete(waiting, best)
            overlap = _tiou(start[chosen], end[chosen], start[waiting], end[waiting])
            decayed = softened[waiting] * np.exp(-(overlap**2) / sigma)
            softened[waiting] = np.where(softened[waiting] > 0, decayed, softened[waiting])
    return softened


def _overlapping_pairs(
    group: IntArray, start: FloatArray, end: FloatArray
) -> tuple[IntArray, IntArray, FloatArray]:
    """The pairs (Q,) of one group that share time, and their tIoU; each pair once."""
    starts, start_rank = np.unique(start, return_inverse=True)
    # Group and start as one rising key; a key for the end counts the starts before it.
    span = len(starts) + 1
    key = group * span + start_rank.reshape(-1)
    order = np.argsort(key, kind="stable")
    end_key = group * span + np.searchsorted(starts, end, side="left")
    behind = np.searchsorted(key[order], end_key[order], side="left")
    position = np.arange(len(order))
    count = np.maximum(behind - position - 1, 0)
    earlier = np.repeat(position, count)
    later = earlier + 1 + np.arange(len(earlier)) - np.repeat(np.cumsum(count) - count, count)
    first, second = order[earlier], order[later]
    return first, second, _tiou(start[first], end[first], start[second], end[second])


def _tiou(
    start: FloatArray, end: FloatArray, other_start: FloatArray, other_end: FloatArray
) -> FloatArray:
    intersection = np.maximum(np.minimum(end, other_end) - np.maximum(start, other_start), 0.0)
    union = (end - start) + (other_end - other_start) - intersection
    overlap: FloatArray = np.divide(
        intersection, union, out=np.zeros_like(intersection), where=union > 0
    )
    return overlap


def _groups(group: IntArray) -> list[IntArray]:
    """The indices of each group's members."""
    order = np.argsort(group, kind="stable")
    return np.split(order, np.flatnonzero(np.diff(group[order])) + 1)
