"""A sliding window's statistics are those of its snippets, whenever they came."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from wsgn.errors import UsageError
from wsgn.localization.online.state import SavedState
from wsgn.localization.online.window import SlidingWindow
from wsgn.localization.statistics import SelectionStatistics

NAMES = ("count", "mean", "squared_deviations", "log_sum_exponential", "maximum")


def require_equal(found: SelectionStatistics, logits: np.ndarray) -> None:
    """To the two passes over the snippets (n, C) themselves."""
    wanted = SelectionStatistics.of(logits)
    for name in NAMES:
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), 1e-9, 1e-9)


@settings(max_examples=60)
@given(
    seed=st.integers(0, 10_000),
    # Up to a time in which everything leaves the window at once.
    steps=st.lists(st.sampled_from([0.1, 0.4, 0.4, 0.4, 2.0, 30.0]), max_size=100),
    seconds=st.sampled_from([0.4, 1.0, 8.0, 100.0]),
    saved=st.sets(st.integers(0, 100), max_size=3),
)
def test_statistics_are_those_of_the_snippets_in_the_window(
    seed: int, steps: list[float], seconds: float, saved: set[int]
) -> None:
    random = np.random.default_rng(seed)
    # As of a scene that drifts, with a class that is far from 0.
    x = np.cumsum(random.normal(size=(len(steps), 2)), axis=0) + np.array([0.0, 50.0])
    times = np.cumsum(steps)
    window, unbroken = SlidingWindow(2, seconds), SlidingWindow(2, seconds)
    for t, row in enumerate(x):
        if t in saved:
            state = window.state_dict()
            window = SlidingWindow(2, seconds)
            window.restore(SavedState(state))
        window.push(float(times[t]), row)
        unbroken.push(float(times[t]), row)
        inside = times[: t + 1] > times[t] - seconds
        np.testing.assert_array_equal(window.logits, x[: t + 1][inside])
        found = window.statistics()
        require_equal(found, x[: t + 1][inside])
        for name in NAMES:
            # To the last bit, so that a stream goes on exactly as it would have.
            np.testing.assert_array_equal(
                getattr(found, name), getattr(unbroken.statistics(), name)
            )


def test_nothing_gathers_over_a_long_stream() -> None:
    """An outlier of every hour leaves no trace in a window that is long past it."""
    random = np.random.default_rng(0)
    window, x = SlidingWindow(1, 20.0), random.normal(size=(20_000, 1))
    x[::9000] = 1e6
    for t, row in enumerate(x):
        window.push(0.4 * t, row)
    require_equal(window.statistics(), x[-50:])
    assert len(window) == 50


def test_a_clock_that_begins_anew_keeps_the_window() -> None:
    window = SlidingWindow(1, 10.0)
    for start in (1000.0, 1004.0, 0.0, 4.0, 7.0):
        window.push(start, np.array([start]))
    assert window.logits[:, 0].tolist() == [1004.0, 0.0, 4.0, 7.0]


def test_a_state_from_before_there_were_two_stacks_can_be_gone_on_from() -> None:
    window, x = SlidingWindow(1, 10.0), np.arange(30.0)
    window.restore(SavedState({"starts": np.arange(8.0), "logits": x[:8, None]}))
    for t in range(8, 30):
        window.push(float(t), x[t : t + 1])
        require_equal(window.statistics(), x[max(0, t - 9) : t + 1, None])


@pytest.mark.parametrize("older", [-1, 3])
def test_more_older_snippets_than_there_are_is_damage(older: int) -> None:
    state = {"starts": np.zeros(2), "logits": np.zeros((2, 1)), "older": np.array(older)}
    with pytest.raises(UsageError, match="damaged"):
        SlidingWindow(1, 1.0).restore(SavedState(state | {"offset": np.array(0.0)}))
