"""Running statistics against NumPy on everything at once."""

from __future__ import annotations

import numpy as np
from hypothesis import given
from hypothesis import strategies as st
from manifests import METHOD_RULES

from wsgn.localization.statistics import SelectionStatistics

FIELDS = ("mean", "squared_deviations", "log_sum_exponential", "maximum")


def logits(seed: int, count: int, scale: float) -> np.ndarray:
    return np.random.default_rng(seed).normal(size=(count, 3)) * scale + scale


def assert_same(got: SelectionStatistics, expected: SelectionStatistics) -> None:
    assert got.count == expected.count
    for name in FIELDS:
        np.testing.assert_allclose(
            getattr(got, name), getattr(expected, name), rtol=1e-9, atol=1e-9
        )


def test_of_is_what_numpy_says() -> None:
    x = logits(0, 40, 2.0)
    statistics = SelectionStatistics.of(x)
    np.testing.assert_allclose(statistics.mean, x.mean(axis=0))
    np.testing.assert_allclose(statistics.squared_deviations / 40, x.var(axis=0))
    np.testing.assert_allclose(statistics.log_sum_exponential, np.log(np.exp(x).sum(axis=0)))


@given(st.integers(0, 99), st.integers(1, 30), st.sampled_from([1e-3, 1.0, 300.0]))
def test_one_snippet_at_a_time_is_the_same(seed: int, count: int, scale: float) -> None:
    x = logits(seed, count, scale)
    running = SelectionStatistics.empty(3)
    for row in x:
        running = running.updated(row)
    assert_same(running, SelectionStatistics.of(x))


def test_sums_are_added() -> None:
    rule = METHOD_RULES["wsgn, average, cut"]
    x = logits(1, 5, 1.0)
    one, other = (SelectionStatistics.of(part).counting(part, rule) for part in (x[:2], x[2:]))
    both = one.merged(other)
    np.testing.assert_allclose(both.sum_local, one.sum_local + other.sum_local)
    np.testing.assert_allclose(both.sum_global, one.sum_global + other.sum_global)
    assert (one.sum_local > 0).all()


@given(st.integers(0, 99), st.integers(1, 30), st.integers(1, 30))
def test_merging_is_the_same(seed: int, first: int, second: int) -> None:
    x = logits(seed, first + second, 3.0)
    merged = SelectionStatistics.of(x[:first]).merged(SelectionStatistics.of(x[first:]))
    assert_same(merged, SelectionStatistics.of(x))
    assert_same(SelectionStatistics.empty(3).merged(merged), merged)
