"""Average precision and video classification against hand-computed answers."""

from __future__ import annotations

import numpy as np
import pytest

from wsgn.errors import InputError, UsageError
from wsgn.metrics import evaluate_classification
from wsgn.metrics.average_precision import average_precision, true_first_on_ties


def column(*flags):
    return np.array(flags, dtype=np.bool_)[:, None]


def test_recall_equal_to_a_tenth_reaches_that_point():
    # 3 hits of 10 reach recall 0, .1, .2 and .3 with precision 1.
    hits = column(True, True, True)
    assert average_precision(hits, ~hits, 10, "eleven_point")[0] == pytest.approx(4 / 11)


def test_an_entry_that_is_neither_hit_nor_miss_does_not_count():
    hits, misses = column(False, True), column(False, False)
    assert average_precision(hits, misses, 1)[0] == 1


@pytest.mark.parametrize("interpolation", ["none", "all_point", "eleven_point"])
def test_an_empty_ranking_has_no_precision(interpolation):
    nothing = np.zeros((0, 2), dtype=np.bool_)
    assert average_precision(nothing, nothing, 3, interpolation).tolist() == [0, 0]


def test_hits_come_first_only_among_equal_scores():
    hits = column(False, True, False, True)
    order = true_first_on_ties(hits, ~hits, np.array([0.9, 0.9, 0.5, 0.4]))
    assert order[:, 0].tolist() == [1, 0, 2, 3]


def test_classification_of_four_videos():
    scores = [[0.9, 0.1], [0.8, 0.2], [0.7, 0.3], [0.6, 0.4]]
    labels = [[1, 1], [0, 0], [1, 0], [0, 0]]
    result = evaluate_classification(scores, labels)
    # Ranks 1 and 3 of the first class; rank 4 of the second.
    np.testing.assert_allclose(result.average_precision_percent, [100 * (1 + 2 / 3) / 2, 100 / 4])
    assert result.map_percent == pytest.approx(100 * ((1 + 2 / 3) / 2 + 1 / 4) / 2)
    assert result.num_videos == 4


def test_equal_scores_keep_the_order_of_the_videos():
    # A hundred equal scores: an unstable sort would shuffle them.
    labels = np.zeros((100, 1))
    labels[49] = 1
    result = evaluate_classification(np.zeros((100, 1)), labels)
    assert result.map_percent == pytest.approx(100 / 50)


def test_a_class_that_no_video_has_is_left_out_of_the_mean():
    result = evaluate_classification([[0.5, 0.5], [0.1, 0.9]], [[1, 0], [0, 0]])
    assert np.isnan(result.average_precision_percent[1])
    assert result.map_percent == 100


@pytest.mark.parametrize(
    ("scores", "labels", "kind"),
    [
        ([[0.5]], [[1, 0]], UsageError),
        ([0.5], [1], UsageError),
        ([[float("nan")]], [[1]], UsageError),
        ([[0.5]], [[2]], UsageError),
        ([[0.5]], [[0]], InputError),
    ],
)
def test_wrong_arrays_are_refused(scores, labels, kind):
    with pytest.raises(kind):
        evaluate_classification(scores, labels)
