"""Late fusion: the mean of what several models say of one video."""

from __future__ import annotations

import numpy as np
import pytest
from planted_predictions import planted

from wsgn.errors import InputError
from wsgn.prediction.predict import fused

ONE = np.array([[0.0, 0.2], [0.4, 0.6]])
OTHER = np.array([[1.0, 0.0], [0.0, 0.2]])


def test_everything_is_averaged() -> None:
    both = fused([planted("a", ONE), planted("a", OTHER)])
    mean = np.array([[0.5, 0.1], [0.2, 0.4]])
    np.testing.assert_allclose(both.scores, mean)
    np.testing.assert_allclose(both.selection_logits, 2 * mean)
    np.testing.assert_allclose(both.class_probabilities, mean / 2)
    np.testing.assert_allclose(both.pooled_scores(), [0.35, 0.25])
    assert both.video_scores is None


def test_a_model_with_video_scores_of_its_own_meets_one_without() -> None:
    pooled = fused([planted("a", ONE, video_scores=np.array([1.0, 0.0])), planted("a", OTHER)])
    # Of the second they are the means over its frames, 0.5 and 0.1.
    np.testing.assert_allclose(pooled.pooled_scores(), [0.75, 0.05])


def test_one_model_stays_as_it_is() -> None:
    np.testing.assert_array_equal(fused([planted("a", ONE)]).scores, ONE)


@pytest.mark.parametrize(
    "other",
    [
        planted("b", OTHER),
        planted("a", OTHER, seconds=0.5),
        planted("a", OTHER[:1]),
    ],
)
def test_other_videos_and_other_times_are_refused(other: object) -> None:
    with pytest.raises(InputError, match="do not score the same times of video 'a'"):
        fused([planted("a", ONE), other])  # type: ignore[list-item]
