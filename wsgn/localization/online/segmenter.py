"""Segments from frame scores while they arrive; the twin of `wsgn/localization/segments.py`."""

from __future__ import annotations

import math
from dataclasses import dataclass

import numpy as np

from wsgn.localization.online.smoother import SnippetScore
from wsgn.localization.online.state import SavedState, State
from wsgn.localization.segments import crossing_seconds
from wsgn.support.arrays import BoolArray, FloatArray


@dataclass(frozen=True, kw_only=True)
class SegmenterRule:
    """Thresholds per class (C,), infinite to leave a class out, and durations in seconds."""

    open_thresholds: FloatArray
    close_thresholds: FloatArray
    minimum_duration_seconds: float
    merge_gap_seconds: float
    maximum_duration_seconds: float = math.inf


@dataclass(frozen=True, kw_only=True)
class Opening:
    """A segment of class `column` that is already long enough to be kept."""

    column: int
    start_seconds: float


@dataclass(frozen=True, kw_only=True)
class Closing:
    """The end of an announced segment; `score` is the mean of its frame scores."""

    column: int
    start_seconds: float
    end_seconds: float
    score: float
    reason: str


Boundary = Opening | Closing

_NAMES = ("is_open", "is_announced", "start", "end", "total", "count", "tail_total", "tail_count")


class OnlineSegmenter:
    """One stream's open segments, per class; every `Opening` is followed by its `Closing`."""

    def __init__(self, rule: SegmenterRule) -> None:
        self._rule = rule
        num_classes = len(rule.open_thresholds)
        self._is_open = np.zeros(num_classes, dtype=bool)
        self._is_announced = np.zeros(num_classes, dtype=bool)
        self._start = np.zeros(num_classes)
        # Where the score fell under the closing threshold, NaN while it is above.
        self._end = np.full(num_classes, np.nan)
        # Sum and number of the frame scores up to the last one above the closing threshold, and
        # those since, which count only if the score rises again within the merge gap.
        self._total = np.zeros(num_classes)
        self._count = np.zeros(num_classes)
        self._tail_total = np.zeros(num_classes)
        self._tail_count = np.zeros(num_classes)
        self._previous: SnippetScore | None = None

    def push(self, snippet: SnippetScore) -> list[Boundary]:
        """The boundaries that one more snippet makes known."""
        rule = self._rule
        boundaries: list[Boundary] = []
        touched = self._is_open | (snippet.scores > rule.open_thresholds)
        for column in np.flatnonzero(touched).tolist():
            boundaries += self._advance(column, snippet)
        self._previous = snippet
        return boundaries

    def flush(self, reason: str) -> list[Boundary]:
        """Close what is open at the end of the stream, or of an epoch before a gap."""
        boundaries: list[Boundary] = []
        for column in np.flatnonzero(self._is_open).tolist():
            assert self._previous is not None
            end = float(self._end[column])
            if math.isnan(end):
                end = self._previous.end_seconds
            boundaries += self._close(column, end, reason)
        self._previous = None
        return boundaries

    def _advance(self, column: int, snippet: SnippetScore) -> list[Boundary]:
        score = float(snippet.scores[column])
        if not self._is_open[column]:
            self._open(column, self._start_of(column, snippet))
        if score > float(self._rule.close_thresholds[column]):
            return self._extend(column, score, snippet)
        return self._fall(column, score, snippet)

    def _open(self, column: int, start_seconds: float) -> None:
        self._is_open[column] = True
        self._is_announced[column] = False
        self._start[column] = start_seconds
        self._end[column] = np.nan
        for sums in (self._total, self._count, self._tail_total, self._tail_count):
            sums[column] = 0

    def _extend(self, column: int, score: float, snippet: SnippetScore) -> list[Boundary]:
        self._total[column] += self._tail_total[column] + score
        self._count[column] += self._tail_count[column] + 1
        self._tail_total[column] = self._tail_count[column] = 0
        self._end[column] = np.nan
        boundaries: list[Boundary] = []
        duration = snippet.centre_seconds - float(self._start[column])
        if duration > self._rule.minimum_duration_seconds:
            boundaries += self._announce(column)
        if duration >= self._rule.maximum_duration_seconds:
            boundaries += self._close(column, snippet.centre_seconds, "max_duration")
            self._open(column, snippet.centre_seconds)
        return boundaries

    def _fall(self, column: int, score: float, snippet: SnippetScore) -> list[Boundary]:
        threshold = float(self._rule.close_thresholds[column])
        if math.isnan(self._end[column]):
            self._end[column] = self._crossing(column, threshold, snippet)
        self._tail_total[column] += score
        self._tail_count[column] += 1
        end = float(self._end[column])
        if snippet.centre_seconds - end < self._rule.merge_gap_seconds:
            return []
        return self._close(column, end, "threshold")

    def _announce(self, column: int) -> list[Boundary]:
        if self._is_announced[column]:
            return []
        self._is_announced[column] = True
        return [Opening(column=column, start_seconds=float(self._start[column]))]

    def _close(self, column: int, end_seconds: float, reason: str) -> list[Boundary]:
        self._is_open[column] = False
        start = float(self._start[column])
        if self._count[column] == 0 or not (
            end_seconds - start > self._rule.minimum_duration_seconds
        ):
            return []
        closing = Closing(
            column=column,
            start_seconds=start,
            end_seconds=end_seconds,
            score=float(self._total[column] / self._count[column]),
            reason=reason,
        )
        return [*self._announce(column), closing]

    def _start_of(self, column: int, snippet: SnippetScore) -> float:
        if self._previous is None:
            return snippet.start_seconds
        return self._crossing(column, float(self._rule.open_thresholds[column]), snippet)

    def _crossing(self, column: int, threshold: float, snippet: SnippetScore) -> float:
        assert self._previous is not None
        return crossing_seconds(
            threshold,
            (self._previous.centre_seconds, float(self._previous.scores[column])),
            (snippet.centre_seconds, float(snippet.scores[column])),
        )

    def state_dict(self) -> State:
        """The state as arrays, exact."""
        state: State = {name: getattr(self, f"_{name}").copy() for name in _NAMES}
        previous = self._previous
        if previous is not None:
            state["previous_scores"] = previous.scores
            state["previous_times"] = np.array(
                [previous.start_seconds, previous.centre_seconds, previous.end_seconds]
            )
        return state

    def restore(self, state: SavedState) -> None:
        """Go on from a saved state; a `UsageError` where it is damaged."""
        shape = self._is_open.shape
        arrays = {
            name: state.take(
                name,
                bool if name.startswith("is_") else np.float64,
                shape,
                # The end of what is above the closing threshold is not known.
                finite=name != "end",
            )
            for name in _NAMES
        }
        previous = None
        if "previous_scores" in state or arrays["is_open"].any():
            scores = state.take("previous_scores", np.float64, shape)
            start, centre, end = state.take("previous_times", np.float64, (3,)).tolist()
            previous = SnippetScore(
                scores=scores, start_seconds=start, centre_seconds=centre, end_seconds=end
            )
        state.require_all_taken()
        for name, array in arrays.items():
            setattr(self, f"_{name}", array)
        self._previous = previous

    @property
    def announced(self) -> BoolArray:
        """Which classes (C,) have an open segment whose `Opening` was given."""
        return self._is_open & self._is_announced
