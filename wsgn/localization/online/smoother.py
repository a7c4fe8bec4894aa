"""Frame scores averaged over neighbouring snippets; the twin of `wsgn/localization/segments.py`."""

from __future__ import annotations

from dataclasses import dataclass, replace

import numpy as np

from wsgn.localization.online.state import SavedState, State, damaged
from wsgn.support.arrays import FloatArray


@dataclass(frozen=True, kw_only=True)
class SnippetScore:
    """The frame scores (C,) of one snippet and its place in time, in seconds."""

    scores: FloatArray
    start_seconds: float
    centre_seconds: float
    end_seconds: float


class Smoother:
    """Delays a stream by half its window, so that both neighbours of a snippet are known."""

    def __init__(self, num_snippets: int, num_classes: int) -> None:
        self._reach = num_snippets // 2
        self._num_classes = num_classes
        # The last snippets, of which the first `_given` were passed on already.
        self._kept: list[SnippetScore] = []
        self._given = 0

    def push(self, snippet: SnippetScore) -> list[SnippetScore]:
        """The snippet that has all its neighbours now, if there is one."""
        self._kept.append(snippet)
        if len(self._kept) - self._given <= self._reach:
            return []
        return [self._next()]

    def flush(self) -> list[SnippetScore]:
        """The snippets whose neighbours will not come any more."""
        rest = [self._next() for _ in range(len(self._kept) - self._given)]
        self._kept, self._given = [], 0
        return rest

    def _next(self) -> SnippetScore:
        snippet = self._kept[self._given]
        window = self._kept[max(0, self._given - self._reach) : self._given + self._reach + 1]
        total = np.zeros_like(snippet.scores)
        for neighbour in window:
            total += neighbour.scores
        self._given += 1
        if self._given > self._reach:
            del self._kept[0]
            self._given -= 1
        return replace(snippet, scores=total / len(window))

    def state_dict(self) -> State:
        """The state as arrays, exact."""
        rows = [[s.start_seconds, s.centre_seconds, s.end_seconds, *s.scores] for s in self._kept]
        return {
            "rows": np.array(rows, dtype=np.float64).reshape(-1, 3 + self._num_classes),
            "given": np.array(self._given),
        }

    def restore(self, state: SavedState) -> None:
        """Go on from a saved state; a `UsageError` where it is damaged."""
        rows = state.take("rows", np.float64, (None, 3 + self._num_classes))
        given = state.take("given", np.int64)
        state.require_all_taken()
        if not 0 <= given <= len(rows) <= 2 * self._reach + 1:
            raise damaged(f"{given} of {len(rows)} snippets were smoothed")
        self._given = given
        self._kept = [
            SnippetScore(
                scores=row[3:], start_seconds=row[0], centre_seconds=row[1], end_seconds=row[2]
            )
            for row in rows
        ]
