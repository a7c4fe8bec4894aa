"""Statistics of the last seconds of a stream, at a cost that does not grow with the seconds.

A queue of two stacks: of the older snippets the statistics of every tail are known, of the newer
ones those of all together, and a window is a tail of the older with all newer. Snippets leave by
going on to the next tail: nothing is subtracted, so that no rounding gathers over weeks. When no
older snippet is left, the newer become the older, once in a window's length.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from wsgn.localization.online.state import SavedState, State, damaged
from wsgn.localization.statistics import SelectionStatistics
from wsgn.support.arrays import FloatArray

# Snippets for which there is room at first.
_LEAST_ROOM = 64


class SlidingWindow:
    """The selection logits of the last `seconds` of a stream of C classes, and their statistics."""

    def __init__(self, num_classes: int, seconds: float) -> None:
        self._seconds = seconds
        self._num_classes = num_classes
        # Rows begin to end are the window.
        self._starts = np.empty(_LEAST_ROOM)
        self._logits = np.empty((_LEAST_ROOM, num_classes))
        self._begin = self._end = 0
        # What is added to the source's clock, so that it never falls.
        self._offset = 0.0
        self._older = _Tails.of(self._logits[:0])
        self._newer = SelectionStatistics.empty(num_classes)

    def __len__(self) -> int:
        return self._end - self._begin

    @property
    def logits(self) -> FloatArray:
        """Of the snippets in the window (n, C), the oldest first; good until the next `push`."""
        return self._logits[self._begin : self._end]

    def push(self, start_seconds: float, logits: FloatArray) -> None:
        """Add one snippet (C,), and leave out those that began a window's length before it."""
        start = start_seconds + self._offset
        if len(self) and start < self._starts[self._end - 1]:
            # The clock began anew: how long nothing came is not known.
            start = float(self._starts[self._end - 1])
            self._offset = start - start_seconds
        if self._end == len(self._starts):
            self._make_room()
        self._starts[self._end] = start
        self._logits[self._end] = logits
        self._end += 1
        self._newer = self._newer.updated(logits)
        window = self._starts[self._begin : self._end]
        self._leave_out(int(np.searchsorted(window, start - self._seconds, side="right")))

    def statistics(self) -> SelectionStatistics:
        """Of all snippets in the window; the sums are 0."""
        return self._older.statistics().merged(self._newer)

    def _leave_out(self, count: int) -> None:
        self._begin += count
        if count <= self._older.left:
            self._older.left -= count
        else:
            self._older = _Tails.of(self.logits)
            self._newer = SelectionStatistics.empty(self._num_classes)

    def _make_room(self) -> None:
        """Move the window to the start of arrays that hold it twice."""
        count = len(self)
        for name in ("_starts", "_logits"):
            rows = getattr(self, name)[self._begin : self._end]
            moved = np.empty((max(2 * count, _LEAST_ROOM), *rows.shape[1:]))
            moved[:count] = rows
            setattr(self, name, moved)
        self._begin, self._end = 0, count

    def state_dict(self) -> State:
        """The state as arrays, exact."""
        return {
            "starts": self._starts[self._begin : self._end].copy(),
            "logits": self.logits.copy(),
            "older": np.array(self._older.left),
            "offset": np.array(self._offset),
        }

    def restore(self, state: SavedState) -> None:
        """Go on from a saved state; a `UsageError` where it is damaged."""
        starts = state.take("starts", np.float64, (None,))
        logits = state.take("logits", np.float64, (len(starts), self._num_classes))
        # States from before there were two stacks have neither.
        older = state.take("older", np.int64) if "older" in state else len(starts)
        offset = state.take("offset", np.float64) if "offset" in state else 0.0
        state.require_all_taken()
        if not 0 <= older <= len(starts):
            raise damaged(f"{older} of the {len(starts)} snippets in its window are older ones")
        # Of a clock that fell, they were kept as they came.
        self._starts, self._logits = np.maximum.accumulate(starts), logits
        self._begin, self._end, self._offset = 0, len(starts), offset
        self._older = _Tails.of(logits[:older])
        self._newer = SelectionStatistics.empty(self._num_classes)
        for row in logits[older:]:
            self._newer = self._newer.updated(row)


@dataclass(kw_only=True)
class _Tails:
    """Statistics of every tail of some snippets: row t is of the snippets from t to the last."""

    # (n, C) each.
    mean: FloatArray
    squared_deviations: FloatArray
    log_sum_exponential: FloatArray
    maximum: FloatArray
    # Snippets of the tail that is looked at.
    left: int

    @staticmethod
    def of(logits: FloatArray) -> _Tails:
        """Of selection logits (n, C), each tail from its snippets alone; the whole is looked at."""
        count = len(logits)
        # From the last snippet on, which is in every tail: sums of differences from it are small.
        x = logits[::-1]
        d = x - x[:1]
        n = np.arange(1, count + 1)[:, None]
        total = np.cumsum(d, axis=0)
        squares = np.cumsum(d**2, axis=0) - total**2 / n
        return _Tails(
            mean=(x[:1] + total / n)[::-1],
            squared_deviations=np.maximum(squares, 0.0)[::-1],
            log_sum_exponential=np.logaddexp.accumulate(x, axis=0)[::-1],
            maximum=np.maximum.accumulate(x, axis=0)[::-1],
            left=count,
        )

    def statistics(self) -> SelectionStatistics:
        """Of the tail that is looked at."""
        num_classes = self.mean.shape[1]
        if self.left == 0:
            return SelectionStatistics.empty(num_classes)
        row = len(self.mean) - self.left
        return SelectionStatistics(
            count=float(self.left),
            mean=self.mean[row],
            squared_deviations=self.squared_deviations[row],
            log_sum_exponential=self.log_sum_exponential[row],
            maximum=self.maximum[row],
            sum_local=np.zeros(num_classes),
            sum_global=np.zeros(num_classes),
        )
