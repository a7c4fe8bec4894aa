"""Thresholds and priors from planted predictions, by hand."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from manifests import METHOD_RULES

from wsgn.localization.segments import SnippetTimes
from wsgn.prediction.calibrate import calibrate
from wsgn.prediction.predict import VideoPrediction


def planted(scores: list[list[float]], logits: list[list[float]]) -> VideoPrediction:
    times = np.arange(len(scores), dtype=np.float64)
    values = np.array(scores)
    return VideoPrediction(
        name="v",
        times=SnippetTimes(
            start_seconds=times,
            centre_seconds=times + 0.5,
            end_seconds=times + 1,
            epoch=np.zeros(len(scores), dtype=np.int64),
        ),
        selection_logits=np.array(logits),
        class_probabilities=np.ones_like(values),
        scores=values,
    )


VIDEOS = [
    planted([[0.0, 0.2], [1.0, 0.2]], [[0.0, 1.0], [2.0, 1.0]]),
    planted([[0.1, 0.2], [0.3, 0.6]], [[4.0, 1.0], [6.0, 1.0]]),
]
LABELS = np.array([[1.0, 0.0], [1.0, 1.0]])


def test_thresholds_are_the_mean_middle_of_the_positive_videos() -> None:
    detection = calibrate(VIDEOS, LABELS, smoothing_snippets=1).detection
    # First class: (0.5 + 0.2) / 2; second: the second video alone.
    assert detection.open_thresholds == pytest.approx((0.35, 0.4))
    assert detection.close_thresholds == detection.open_thresholds


def test_smoothing_goes_before_the_thresholds() -> None:
    detection = calibrate(VIDEOS, LABELS, smoothing_snippets=3).detection
    # Two snippets become equal: the middle is their mean.
    assert detection.open_thresholds == pytest.approx((0.35, 0.4))
    assert detection.smoothing_snippets == 3


def test_the_prior_is_of_the_logits_within_videos() -> None:
    prior = calibrate(VIDEOS, LABELS, smoothing_snippets=1, prior_count=5.0).prior
    assert prior.count == 5.0
    assert prior.mean == pytest.approx((3.0, 1.0))
    assert prior.variance == pytest.approx((1.0, 0.0))
    expected = np.log(np.exp([0.0, 2.0, 4.0, 6.0]).mean())
    assert prior.log_mean_exponential == pytest.approx((expected, 1.0))
    assert prior.maximum == pytest.approx((4.0, 1.0))


def test_the_prior_of_an_average_has_the_mean_weights_of_a_typical_video() -> None:
    rule = replace(
        METHOD_RULES["wsgn, average, cut"], global_mean=(1.0, 1.0), global_std=(2.0, 2.0)
    )
    prior = calibrate(VIDEOS, LABELS, rule=rule, smoothing_snippets=1).prior
    # Both snippets lie one deviation from their mean, or on it where the class does not vary.
    assert prior.mean_local == pytest.approx((np.exp(-1), 1.0), rel=1e-5)
    near, far = np.exp(-0.25), (np.exp(-2.25) + np.exp(-6.25)) / 2
    assert prior.mean_global == pytest.approx(((near + far) / 2, 1.0))
    for other in (None, METHOD_RULES["untrimmednets"], METHOD_RULES["wsgn, per frame"]):
        prior = calibrate(VIDEOS, LABELS, rule=other, smoothing_snippets=1).prior
        assert (prior.mean_local, prior.mean_global) == ((), ())


def test_a_class_without_positive_videos_takes_all_videos() -> None:
    detection = calibrate(VIDEOS, LABELS * [1.0, 0.0], smoothing_snippets=1).detection
    # The middles of the second class are 0.2 and 0.4.
    assert detection.open_thresholds[1] == pytest.approx(0.3)
