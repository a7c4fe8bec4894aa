"""States of streams, as NumPy reads them and as it would write them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from wsgn.errors import UsageError
from wsgn.localization.scoring import frame_scores
from wsgn.localization.statistics import SelectionStatistics
from wsgn.localization.streaming_state import (
    STATE_ROWS,
    prior_rows,
    state_rows,
    statistics_of_state,
    whole_video_scores,
)
from wsgn.manifest import COMPONENTS, SCORING_SCALES, Prior, SelectionRule

RULES = [
    SelectionRule(
        components=COMPONENTS,
        softmax_scale=scale,
        class_activation="softmax",
        global_mean=(0.5, -0.2),
        global_std=(1.0, 1.5),
    )
    for scale in SCORING_SCALES
]


def state_of(logits: np.ndarray) -> np.ndarray:
    """The state (5, C) after logits (T, C), as docs/graphs.md defines its rows."""
    largest = logits.max(axis=0)
    rows = [
        np.full(logits.shape[1], len(logits)),
        logits.mean(axis=0),
        logits.var(axis=0) * len(logits),
        largest,
        np.exp(logits - largest).sum(axis=0),
    ]
    return np.stack(rows).astype(np.float32)


AVERAGE = replace(RULES[0], weight_scale="average", gate="cut")


def averaging_state_of(logits: np.ndarray) -> np.ndarray:
    """The state (7, C): behind the five rows what each snippet weighed when it came."""
    statistics = SelectionStatistics.empty(2)
    for row in logits:
        statistics = statistics.updated(row).counting(row[None], AVERAGE)
    sums = np.stack([statistics.sum_local, statistics.sum_global]).astype(np.float32)
    return np.concatenate([state_of(logits), sums])


def random_logits(length: int, offset: float = 0.0) -> np.ndarray:
    return np.random.default_rng(length).normal(size=(length, 2)) + offset


@pytest.mark.parametrize("offset", [0.0, -200.0, 900.0])
def test_a_state_is_the_statistics_of_its_stream(offset: float) -> None:
    logits = random_logits(30, offset)
    found = statistics_of_state(state_of(logits))
    wanted = SelectionStatistics.of(logits)
    assert found.count == 30
    for name in ("mean", "squared_deviations", "log_sum_exponential", "maximum"):
        np.testing.assert_allclose(getattr(found, name), getattr(wanted, name), rtol=1e-6)


@pytest.mark.parametrize("rule", RULES, ids=SCORING_SCALES)
def test_exact_scores_follow_from_the_last_state(rule: SelectionRule) -> None:
    logits = random_logits(50)
    probabilities = np.random.default_rng(1).random(size=(50, 2))
    found = whole_video_scores(logits, probabilities, state_of(logits), rule)
    wanted = frame_scores(logits, probabilities, rule)
    # The state is float32.
    np.testing.assert_allclose(found, wanted, rtol=0, atol=1e-6 * max(1.0, wanted.max()))


def test_under_averages_a_state_has_two_more_rows() -> None:
    logits = random_logits(50)
    state = averaging_state_of(logits)
    assert state_rows(AVERAGE) == (*STATE_ROWS, "sum_local", "sum_global")
    assert state_rows(RULES[0]) == STATE_ROWS
    found = statistics_of_state(state)
    np.testing.assert_allclose([found.sum_local, found.sum_global], state[5:], rtol=1e-6)
    # The sums of a whole video are others, and are taken anew.
    whole = SelectionStatistics.of(logits).counting(logits, AVERAGE)
    assert (abs(found.sum_local - whole.sum_local) > 0.1).all()
    probabilities = np.random.default_rng(1).random(size=(50, 2))
    exact = whole_video_scores(logits, probabilities, state, AVERAGE)
    wanted = frame_scores(logits, probabilities, AVERAGE)
    np.testing.assert_allclose(exact, wanted, rtol=0, atol=1e-6)


def test_under_averages_a_prior_has_its_sums() -> None:
    prior = Prior(
        count=8.0,
        mean=(0.5, -1.0),
        variance=(2.0, 0.1),
        log_mean_exponential=(0.3, 0.0),
        maximum=(3.0, -2.0),
        mean_local=(0.5, 0.25),
    )
    rows = prior_rows(prior, AVERAGE)
    np.testing.assert_array_equal(rows[:6], prior_rows(prior, RULES[0]))
    assert rows[6:].tolist() == [[4.0, 2.0], [0.0, 0.0]]


def test_zeros_are_statistics_of_nothing() -> None:
    found = statistics_of_state(np.zeros((5, 3), dtype=np.float32))
    wanted = SelectionStatistics.of(random_logits(4))
    assert found.count == 0
    assert found.log_sum_exponential.tolist() == [-np.inf] * 3
    assert SelectionStatistics.empty(2).merged(wanted) is wanted


@pytest.mark.parametrize(
    ("state", "words"),
    [
        (np.zeros((2, 5, 3)), r"\(7, C\) under the weight_scale average, got \(2, 5, 3\)"),
        (np.zeros((4, 3)), r"got \(4, 3\)"),
        (np.eye(5), "one count of snippets, got 0.0 to 1.0"),
        (np.full((5, 2), -1.0), "got -1.0 to -1.0"),
        (np.full((5, 2), np.nan), "got nan"),
        (np.full((5, 2), 2.0**24), "begin a new stream"),
    ],
)
def test_what_is_no_state_is_refused(state: np.ndarray, words: str) -> None:
    with pytest.raises(UsageError, match=words):
        statistics_of_state(state)


@pytest.mark.parametrize("log_mean", [0.3, 95.0, -400.0])
def test_a_prior_in_rows_is_the_prior(log_mean: float) -> None:
    prior = Prior(
        count=7.5,
        mean=(0.5, -1.0),
        variance=(2.0, 0.1),
        log_mean_exponential=(log_mean, 0.0),
        maximum=(3.0, -2.0),
    )
    rows = prior_rows(prior, RULES[0])
    wanted = SelectionStatistics.from_prior(prior, prior.count)
    assert rows.dtype == np.float32
    as_state = statistics_of_state(rows[: len(STATE_ROWS)])
    assert as_state.count == 7.5
    for name in ("mean", "squared_deviations", "log_sum_exponential"):
        np.testing.assert_allclose(getattr(as_state, name), getattr(wanted, name), rtol=1e-6)
    assert rows[5].tolist() == [3.0, -2.0]


def test_a_prior_of_nothing_lies_below_every_logit() -> None:
    zeros = (0.0, 0.0)
    prior = Prior(count=0.0, mean=zeros, variance=zeros, log_mean_exponential=zeros, maximum=zeros)
    rows = prior_rows(prior, RULES[0])
    assert (rows[[3, 5]] == np.finfo(np.float32).min).all()
    assert not rows[[0, 1, 2, 4]].any()
