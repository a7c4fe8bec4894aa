"""Segments by many thresholds, an outer-inner-contrast score and NMS.

The recipe of methods after W-TALC, for comparison with them: candidates are cut at several
thresholds, scored by how far the class's curve stands above its surroundings (Shou et al., AutoLoc,
ECCV 2018), and lesser ones that overlap a better one are removed. `segments` beside this
has the rule of one threshold in the middle.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from wsgn.localization.nms import nms, soft_nms
from wsgn.localization.segments import (
    SMALLEST_RANGE,
    Segment,
    SnippetTimes,
    crossing_seconds,
    epoch_slices,
    segment_score,
    smoothed_scores,
)
from wsgn.manifest import MultiThresholdRule
from wsgn.support.arrays import FloatArray, IntArray

# Numbers of one array of classes, thresholds and snippets; long streams go class by class.
_MOST_AT_ONCE = 1 << 24

__all__ = ["MultiThresholdRule", "proposals"]


def proposals(
    scores: FloatArray,
    times: SnippetTimes,
    classes: Sequence[str],
    video_scores: FloatArray,
    rule: MultiThresholdRule,
    *,
    merge_gap_seconds: float = 0.0,
    maximum_duration_seconds: float = math.inf,
) -> list[Segment]:
    """Proposals of one video from its frame scores (T, C) and video scores (C,).

    A class's curve runs straight from snippet centre to snippet centre and level to the edges of
    the epoch; a proposal lies where it is above a threshold. Two of a threshold that are closer
    than the merge gap are one, and longer ones than the maximum are none. The contrast is the mean
    of the curve inside, minus its mean in the surroundings as far as the epoch reaches (0 where
    there are none); the score is `segment_score` of its positive part and the video score. A curve
    without ups and downs has no proposals.

    Returns them by start, then by class order.
    """
    if scores.shape != (len(times.epoch), len(classes)) or video_scores.shape != (len(classes),):
        raise ValueError(
            f"{len(classes)} classes and {len(times.epoch)} snippets do not fit scores of shape "
            f"{scores.shape} and video scores of shape {video_scores.shape}."
        )
    if scores.size == 0:
        return []
    smooth = smoothed_scores(scores, times.epoch, rule.smoothing_snippets)
    lowest, highest = smooth.min(axis=0), smooth.max(axis=0)
    present = np.flatnonzero(
        (video_scores >= rule.video_score_gate * video_scores.max())
        & (highest - lowest >= SMALLEST_RANGE * highest)
    )
    curves, lowest, highest = smooth.T[present], lowest[present], highest[present]  # (C, T)
    shares = np.unique(rule.thresholds)
    thresholds = lowest[:, None] + shares * (highest - lowest)[:, None]  # (C, K)
    limits = _Limits(
        outer_share=rule.outer_share,
        minimum_seconds=rule.minimum_duration_seconds,
        maximum_seconds=maximum_duration_seconds,
        merge_gap_seconds=merge_gap_seconds,
    )
    parts = [_Candidates.none()]
    for rows in epoch_slices(times.epoch):
        width = max(1, _MOST_AT_ONCE // (len(shares) * (rows.stop - rows.start)))
        for first in range(0, len(curves), width):
            some = slice(first, first + width)
            curve = _EpochCurves.of(curves[some, rows], times, rows)
            parts.append(curve.candidates(thresholds[some], limits).shifted(first))
    found = _Candidates.joined(parts)
    video_score = video_scores[present][found.column]
    score = segment_score(np.maximum(found.contrast, 0.0), video_score, rule.video_score_weight)
    return _segments(found, score, rule, [classes[int(column)] for column in present])


@dataclass(frozen=True, kw_only=True)
class _Limits:
    """What a candidate must be, beside lying above a threshold; seconds, and a share of it."""

    outer_share: float
    minimum_seconds: float
    maximum_seconds: float
    merge_gap_seconds: float


@dataclass(frozen=True, kw_only=True)
class _Candidates:
    """P candidates, (P,) each."""

    column: IntArray
    start_seconds: FloatArray
    end_seconds: FloatArray
    # Mean inside minus mean in the surroundings.
    contrast: FloatArray

    @staticmethod
    def none() -> _Candidates:
        nothing = np.zeros(0)
        return _Candidates(
            column=np.zeros(0, dtype=np.int64),
            start_seconds=nothing,
            end_seconds=nothing,
            contrast=nothing,
        )

    def shifted(self, columns: int) -> _Candidates:
        """The same of classes that lie so much further behind."""
        return replace(self, column=self.column + columns)

    @staticmethod
    def joined(parts: Sequence[_Candidates]) -> _Candidates:
        return _Candidates(
            column=np.concatenate([part.column for part in parts]),
            start_seconds=np.concatenate([part.start_seconds for part in parts]),
            end_seconds=np.concatenate([part.end_seconds for part in parts]),
            contrast=np.concatenate([part.contrast for part in parts]),
        )


@dataclass(frozen=True, kw_only=True)
class _EpochCurves:
    """The scores of C classes within one epoch, as lines through K points."""

    # (K,) and (C, K): the epoch's first edge, its snippets' centres, its last edge.
    seconds: FloatArray
    scores: FloatArray
    # (C, K): the integral from the first edge to each point.
    integral: FloatArray

    @staticmethod
    def of(curves: FloatArray, times: SnippetTimes, rows: slice) -> _EpochCurves:
        """Of scores (C, T), held level between the outermost centres and the edges."""
        seconds = np.concatenate(
            (
                times.start_seconds[rows][:1],
                times.centre_seconds[rows],
                times.end_seconds[rows][-1:],
            )
        )
        scores = np.pad(curves, ((0, 0), (1, 1)), mode="edge")
        areas = (scores[:, 1:] + scores[:, :-1]) / 2 * np.diff(seconds)
        integral = np.pad(np.cumsum(areas, axis=1), ((0, 0), (1, 0)))
        return _EpochCurves(seconds=seconds, scores=scores, integral=integral)

    def candidates(self, thresholds: FloatArray, limits: _Limits) -> _Candidates:
        """Where the curves are above thresholds (C, K), and their contrast."""
        above = self.scores[:, None, 1:-1] > thresholds[:, :, None]  # (C, K, T)
        steps = np.diff(np.pad(above, ((0, 0), (0, 0), (1, 1))).astype(np.int8), axis=2)
        # In the order of class, threshold and time, so that rises and falls belong together.
        column, level, rise = np.nonzero(steps == 1)
        fall = np.nonzero(steps == -1)[2]
        threshold = thresholds[column, level]
        start = self._crossing(column, rise, threshold)
        end = self._crossing(column, fall, threshold)
        # The first of each run of close ones of a class and threshold, and where the last ends.
        is_first = np.ones(len(start), dtype=np.bool_)
        is_first[1:] = (np.diff(column) != 0) | (np.diff(level) != 0)
        is_first[1:] |= np.maximum(start[1:] - end[:-1], 0.0) >= limits.merge_gap_seconds
        column, start, end = column[is_first], start[is_first], end[np.roll(is_first, -1)]
        fits = (end - start > limits.minimum_seconds) & (end - start <= limits.maximum_seconds)
        column, start, end = column[fits], start[fits], end[fits]
        return _Candidates(
            column=column,
            start_seconds=start,
            end_seconds=end,
            contrast=self._contrast(column, start, end, limits.outer_share),
        )

    def _crossing(self, column: IntArray, point: IntArray, threshold: FloatArray) -> FloatArray:
        """Seconds between a point and the next, or the epoch's edge where the line is level."""
        before = self.seconds[point], self.scores[column, point]
        after = self.seconds[point + 1], self.scores[column, point + 1]
        inner = (point > 0) & (point < len(self.seconds) - 2)
        found: FloatArray = np.where(point == 0, self.seconds[0], self.seconds[-1])
        found[inner] = crossing_seconds(
            threshold[inner],
            (before[0][inner], before[1][inner]),
            (after[0][inner], after[1][inner]),
        )
        return found

    def _contrast(
        self, column: IntArray, start: FloatArray, end: FloatArray, outer_share: float
    ) -> FloatArray:
        reach = outer_share * (end - start)
        left = np.maximum(start - reach, self.seconds[0])
        right = np.minimum(end + reach, self.seconds[-1])
        inner = self._integral_to(column, end) - self._integral_to(column, start)
        whole = self._integral_to(column, right) - self._integral_to(column, left)
        outer_length = (start - left) + (right - end)
        outer_mean = np.divide(
            whole - inner, outer_length, out=np.zeros_like(inner), where=outer_length > 0
        )
        contrast: FloatArray = inner / (end - start) - outer_mean
        return contrast

    def _integral_to(self, column: IntArray, seconds: FloatArray) -> FloatArray:
        """From the first edge to the given seconds."""
        point = np.searchsorted(self.seconds, seconds, side="right") - 1
        point = np.clip(point, 0, len(self.seconds) - 2)
        width = self.seconds[point + 1] - self.seconds[point]
        passed = seconds - self.seconds[point]
        share = np.divide(passed, width, out=np.zeros_like(passed), where=width > 0)
        score, next_score = self.scores[column, point], self.scores[column, point + 1]
        area = passed * (score + share * (next_score - score) / 2)
        integral: FloatArray = self.integral[column, point] + area
        return integral


def _segments(
    found: _Candidates, score: FloatArray, rule: MultiThresholdRule, classes: Sequence[str]
) -> list[Segment]:
    """The candidates that survive NMS."""
    spans = found.column, found.start_seconds, found.end_seconds
    if rule.soft_sigma > 0:
        score = soft_nms(*spans, score, sigma=rule.soft_sigma)
        kept = np.arange(len(score))
    else:
        kept = np.flatnonzero(nms(*spans, score, tiou=rule.suppression_tiou))
    order = kept[np.lexsort((found.column[kept], found.start_seconds[kept]))]
    return [
        Segment(
            label=classes[int(found.column[index])],
            start_seconds=float(found.start_seconds[index]),
            end_seconds=float(found.end_seconds[index]),
            score=float(score[index]),
        )
        for index in order
    ]
