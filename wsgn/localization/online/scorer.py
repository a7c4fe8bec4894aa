"""Causal frame scores of a stream: statistics of everything so far, or of a sliding window."""

from __future__ import annotations

from dataclasses import replace

import numpy as np

from wsgn.localization.online.state import SavedState, State, damaged
from wsgn.localization.online.window import SlidingWindow
from wsgn.localization.scoring import snippet_scores
from wsgn.localization.statistics import SelectionStatistics
from wsgn.manifest import AVERAGE, Manifest, SelectionRule
from wsgn.support.arrays import FloatArray

_STATISTICS = ("mean", "squared_deviations", "log_sum_exponential", "maximum")
# Under AVERAGE only: states of other engines stay what they were.
_SUMS = ("sum_local", "sum_global")


class CausalScorer:
    """Scores each snippet by all snippets so far, the prior's pseudo-observations included."""

    def __init__(self, manifest: Manifest) -> None:
        self._rule = manifest.selection
        self._statistics = SelectionStatistics.from_prior(manifest.prior, manifest.prior.count)

    def score(
        self, start_seconds: float, logits: FloatArray, probabilities: FloatArray
    ) -> FloatArray:
        """Frame scores (C,) of the next snippet."""
        self._statistics = self._statistics.updated(logits).counting(logits[None], self._rule)
        return snippet_scores(logits, probabilities, self._statistics, self._rule)

    def state_dict(self) -> State:
        """The state as arrays, exact."""
        names = _names(self._rule)
        state: State = {name: getattr(self._statistics, name) for name in names}
        return state | {"count": np.array(self._statistics.count)}

    def restore(self, state: SavedState) -> None:
        """Go on from a saved state; a `UsageError` where it is damaged."""
        count = state.take("count", np.float64)
        shape = self._statistics.mean.shape
        # Of nothing, two of them are minus infinity.
        arrays = {
            name: state.take(name, np.float64, shape, finite=count > 0)
            for name in _names(self._rule)
        }
        state.require_all_taken()
        if count < 0:
            raise damaged(f"it has counted {count} snippets")
        if any((arrays[name] < 0).any() for name in _SUMS if name in arrays):
            raise damaged("its sums of weights are negative")
        self._statistics = replace(self._statistics, count=count, **arrays)


class WindowScorer:
    """Scores each snippet by the snippets of the last `window_seconds`.

    Until the window holds as many snippets as the prior counts, the prior fills it up; from then on
    the statistics are exactly those of the window.
    """

    def __init__(self, manifest: Manifest, window_seconds: float) -> None:
        self._rule = manifest.selection
        self._prior = manifest.prior
        self._window = SlidingWindow(len(manifest.classes), window_seconds)

    def score(
        self, start_seconds: float, logits: FloatArray, probabilities: FloatArray
    ) -> FloatArray:
        """Frame scores (C,) of the next snippet."""
        window = self._window
        window.push(start_seconds, logits)
        prior = SelectionStatistics.from_prior(self._prior, self._prior.count - len(window))
        statistics = prior.merged(window.statistics())
        # Sums are of all snippets under the statistics of now, and cost as much as there are.
        if self._rule.gate != "product":
            statistics = statistics.counting(window.logits, self._rule)
        return snippet_scores(logits, probabilities, statistics, self._rule)

    def state_dict(self) -> State:
        """The state as arrays, exact."""
        return self._window.state_dict()

    def restore(self, state: SavedState) -> None:
        """Go on from a saved state; a `UsageError` where it is damaged."""
        self._window.restore(state)


def _names(rule: SelectionRule) -> tuple[str, ...]:
    return (*_STATISTICS, *_SUMS) if rule.weight_scale == AVERAGE else _STATISTICS
