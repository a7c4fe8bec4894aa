"""Segments from frame scores, offline: the pure functions that streaming must equal."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from dataclasses import dataclass
from typing import TypeVar

import numpy as np

from wsgn.manifest import DetectionRule
from wsgn.support.arrays import FloatArray, IntArray

# A class whose smoothed scores vary by less than this share of their largest is everywhere or
# nowhere: nothing can be cut.
SMALLEST_RANGE = 1e-4

Number = TypeVar("Number", float, FloatArray)


@dataclass(frozen=True, kw_only=True)
class Segment:
    """An action found in a video."""

    label: str
    start_seconds: float
    end_seconds: float
    score: float


@dataclass(frozen=True, kw_only=True)
class SnippetTimes:
    """Where the T snippets of a video lie in time."""

    # (T,) start, centre and end of each snippet, in seconds of the video.
    start_seconds: FloatArray
    centre_seconds: FloatArray
    end_seconds: FloatArray
    # (T,) rises by one at each gap; no segment spans two epochs.
    epoch: IntArray


def video_thresholds(
    scores: FloatArray, rule: DetectionRule, video_scores: FloatArray | None = None
) -> FloatArray:
    """The threshold of each class in one video, infinite for a class that is not there.

    `scores` is (T, C), smoothed or not. A class is there when its video score (C,), by default the
    mean of `scores` over time, reaches the rule's share of the largest one, and its largest frame
    score the rule's share of the opening threshold from training; the threshold is the middle
    between the class's smallest and largest frame score, as in W-TALC's code. The paper does not
    say which threshold it takes.
    """
    if video_scores is None:
        video_scores = scores.mean(axis=0)  # (C,)
    lowest, largest = scores.min(axis=0), scores.max(axis=0)
    present = (video_scores >= rule.video_score_gate * video_scores.max()) & (
        largest >= rule.peak_gate * np.asarray(rule.open_thresholds)
    )
    present &= largest - lowest >= SMALLEST_RANGE * largest
    middle = (lowest + largest) / 2
    return np.where(present, middle, np.inf)


def smoothed_scores(scores: FloatArray, epoch: IntArray, num_snippets: int) -> FloatArray:
    """Mean of each frame score (T, C) and its neighbours, `num_snippets` (odd) in all.

    Neighbours beyond the ends of the video, or across a gap, do not exist and do not count.
    """
    if num_snippets == 1:
        return scores
    smoothed = np.empty_like(scores)
    reach = num_snippets // 2
    for rows in epoch_slices(epoch):
        part = scores[rows]
        padded = np.pad(part, ((reach, reach), (0, 0)))
        present = np.pad(np.ones(len(part)), reach)
        # One sum after the other, in the order of time, as a stream adds them up.
        total = np.zeros_like(part)
        count = np.zeros(len(part))
        for offset in range(num_snippets):
            total += padded[offset : offset + len(part)]
            count += present[offset : offset + len(part)]
        smoothed[rows] = total / count[:, None]
    return smoothed


def scores_to_segments(
    scores: FloatArray,
    times: SnippetTimes,
    classes: Sequence[str],
    *,
    open_thresholds: FloatArray,
    close_thresholds: FloatArray,
    minimum_duration_seconds: float,
    merge_gap_seconds: float = 0.0,
    maximum_duration_seconds: float = math.inf,
    video_scores: FloatArray | None = None,
    video_score_weight: float = 0.0,
) -> list[Segment]:
    """Segments of one video from its frame scores (T, C).

    A segment opens where the score rises over the class's opening threshold and ends where it has
    fallen to the closing threshold for at least the merge gap; both boundaries are interpolated
    linearly between snippet centres, and lie at the snippet's own edge where the video (or epoch)
    begins or ends inside the segment. One that reaches the maximum duration is cut there. Only
    segments strictly longer than the minimum are kept. `segment_score` makes the score of a segment
    of the mean of its frame scores and the video score of its class (C,), by default the mean of
    `scores`.

    Returns the segments by start, then by class order.
    """
    if video_scores is None:
        video_scores = scores.mean(axis=0)
    found: list[tuple[float, int, Segment]] = []
    for rows in epoch_slices(times.epoch):
        for column, label in enumerate(classes):
            curve = _Curve(
                scores=scores[rows, column],
                centre_seconds=times.centre_seconds[rows],
                first_edge=float(times.start_seconds[rows][0]),
                last_edge=float(times.end_seconds[rows][-1]),
                open_threshold=float(open_thresholds[column]),
                close_threshold=float(close_thresholds[column]),
            )
            for run in curve.runs(merge_gap_seconds):
                for piece in curve.cut(run, maximum_duration_seconds):
                    if piece.end_seconds - piece.start_seconds > minimum_duration_seconds:
                        segment = Segment(
                            label=label,
                            start_seconds=piece.start_seconds,
                            end_seconds=piece.end_seconds,
                            score=segment_score(
                                float(curve.scores[piece.first : piece.last + 1].mean()),
                                float(video_scores[column]),
                                video_score_weight,
                            ),
                        )
                        found.append((segment.start_seconds, column, segment))
    return [segment for _, _, segment in sorted(found, key=lambda entry: entry[:2])]


def highest_thresholds(
    scores: FloatArray,
    times: SnippetTimes,
    *,
    close_threshold: float,
    minimum_duration_seconds: float,
    merge_gap_seconds: float = 0.0,
) -> list[float]:
    """The opening thresholds at which the segments of one class's scores (T,) are no more.

    One for each run above the closing threshold that is long enough, in the order of time: at a
    lower opening threshold `scores_to_segments` finds a segment there, at this one or above none.
    """
    found = []
    for rows in epoch_slices(times.epoch):
        curve = _Curve(
            scores=scores[rows],
            centre_seconds=times.centre_seconds[rows],
            first_edge=float(times.start_seconds[rows][0]),
            last_edge=float(times.end_seconds[rows][-1]),
            open_threshold=close_threshold,
            close_threshold=close_threshold,
        )
        for run in curve.runs(merge_gap_seconds):
            latest_start = run.end_seconds - minimum_duration_seconds
            if run.start_seconds < latest_start:
                found.append(curve.highest_before(latest_start, run))
    return found


def segment_score(mean_score: Number, video_score: Number, video_score_weight: float) -> Number:
    """The mean of a segment's frame scores and of its class's video score, the latter so weighted.

    Of scores from 0 to 1 it lies there too. The plain sum (BaS-Net's code) is this times
    1 + weight, so that the order of segments is the same.
    """
    return (mean_score + video_score_weight * video_score) / (1 + video_score_weight)


def crossing_seconds(
    threshold: Number, before: tuple[Number, Number], after: tuple[Number, Number]
) -> Number:
    """Where the line between two (seconds, score) points crosses a threshold between them.

    Numbers, or arrays of equal shapes.
    """
    (time_before, score_before), (time_after, score_after) = before, after
    share = (threshold - score_before) / (score_after - score_before)
    return time_before + share * (time_after - time_before)


def epoch_slices(epoch: IntArray) -> list[slice]:
    """The rows of each epoch, in the order of time."""
    if len(epoch) == 0:
        return []
    starts = [0, *(np.flatnonzero(np.diff(epoch)) + 1).tolist(), len(epoch)]
    return [slice(start, end) for start, end in itertools.pairwise(starts)]


@dataclass(frozen=True, kw_only=True)
class _Run:
    """Snippets `first` to `last` (inclusive) of a candidate and its interpolated boundaries."""

    first: int
    last: int
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, kw_only=True)
class _Curve:
    """The frame scores of one class within one epoch."""

    scores: FloatArray
    centre_seconds: FloatArray
    first_edge: float
    last_edge: float
    open_threshold: float
    close_threshold: float

    def runs(self, merge_gap_seconds: float) -> list[_Run]:
        """Candidates between the thresholds, neighbours closer than the merge gap joined."""
        above = np.concatenate(([False], self.scores > self.close_threshold, [False]))
        edges = np.flatnonzero(np.diff(above.astype(np.int8))).reshape(-1, 2)
        joined: list[list[int]] = []
        for first, behind in edges.tolist():
            # The stretch under the threshold ends at the snippet before `first`.
            if joined and (
                self.centre_seconds[first - 1] - self._end_seconds(joined[-1][1])
                < merge_gap_seconds
            ):
                joined[-1][1] = behind - 1
            else:
                joined.append([first, behind - 1])
        runs = (self._run(first, last) for first, last in joined)
        return [run for run in runs if run is not None]

    def cut(self, run: _Run, maximum_duration_seconds: float) -> list[_Run]:
        """The run in pieces that end as soon as they reach the maximum duration."""
        pieces: list[_Run] = []
        first, start = run.first, run.start_seconds
        for index in range(run.first, run.last + 1):
            centre = float(self.centre_seconds[index])
            if (
                self.scores[index] > self.close_threshold
                and centre - start >= maximum_duration_seconds
            ):
                pieces.append(
                    _Run(first=first, last=index, start_seconds=start, end_seconds=centre)
                )
                first, start = index + 1, centre
        if first <= run.last:
            pieces.append(
                _Run(first=first, last=run.last, start_seconds=start, end_seconds=run.end_seconds)
            )
        return pieces

    def highest_before(self, seconds: float, run: _Run) -> float:
        """The highest that the line between the centres of a run is before some time in it."""
        inside = slice(run.first, run.last + 1)
        centres, scores = self.centre_seconds[inside], self.scores[inside]
        behind = int(np.searchsorted(centres, seconds))
        highest: list[float] = [self.close_threshold, *scores[:behind].tolist()]
        if run.first == 0:
            # The video begins inside the run, as high as its first snippet.
            highest.append(float(scores[0]))
        if behind < len(centres) and run.first + behind > 0:
            index = run.first + behind
            before, after = (
                (float(self.centre_seconds[i]), float(self.scores[i])) for i in (index - 1, index)
            )
            share = (seconds - before[0]) / (after[0] - before[0])
            highest.append(before[1] + share * (after[1] - before[1]))
        return max(highest)

    def _run(self, first: int, last: int) -> _Run | None:
        risen = np.flatnonzero(self.scores[first : last + 1] > self.open_threshold)
        if len(risen) == 0:
            return None
        opened = first + int(risen[0])
        return _Run(
            first=opened,
            last=last,
            start_seconds=self._start_seconds(opened),
            end_seconds=self._end_seconds(last),
        )

    def _start_seconds(self, index: int) -> float:
        if index == 0:
            return self.first_edge
        return self._crossing(self.open_threshold, index - 1)

    def _end_seconds(self, index: int) -> float:
        if index == len(self.scores) - 1:
            return self.last_edge
        return self._crossing(self.close_threshold, index)

    def _crossing(self, threshold: float, index: int) -> float:
        points = [
            (float(self.centre_seconds[i]), float(self.scores[i])) for i in (index, index + 1)
        ]
        return crossing_seconds(threshold, points[0], points[1])
