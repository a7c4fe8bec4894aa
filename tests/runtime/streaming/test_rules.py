"""Thresholds and durations: the engine's own, and what a user may choose of them."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from manifests import CLASSES, small_manifest

from wsgn.errors import UsageError
from wsgn.manifest import AlarmRule, Manifest
from wsgn.runtime.streaming.rules import (
    DetectorOptions,
    alarm_words,
    online_rule,
    whole_video_rule,
)

# Of the manifest: every class opens at 0.25 and closes at 0.2.
OPEN, CLOSE = 0.25, 0.2
# Two frame scores whose middles are 0.4, 0.5 and 0.6.
SCORES = np.array([[0.0, 0.1, 0.2], [0.8, 0.9, 1.0]])


def test_a_threshold_for_one_label_opens_and_closes_it_alone() -> None:
    rule = online_rule(small_manifest(), DetectorOptions(open_threshold={CLASSES[1]: 0.7}))
    np.testing.assert_allclose(rule.open_thresholds, [OPEN, 0.7, OPEN])
    np.testing.assert_allclose(rule.close_thresholds, [CLOSE, 0.7, CLOSE])


def test_a_closing_threshold_above_the_middle_of_a_whole_video_is_lowered_to_it() -> None:
    rule = whole_video_rule(small_manifest(), DetectorOptions(close_threshold=0.5), SCORES)
    np.testing.assert_allclose(rule.open_thresholds, [0.4, 0.5, 0.6])
    np.testing.assert_allclose(rule.close_thresholds, [0.4, 0.5, 0.5])


def test_a_closing_threshold_above_one_of_a_stream_is_refused() -> None:
    with pytest.raises(UsageError, match=r"closing threshold 0\.3 lies above"):
        online_rule(small_manifest(), DetectorOptions(close_threshold=0.3))
    assert online_rule(small_manifest(), DetectorOptions(close_threshold=OPEN))


def test_labels_that_are_not_asked_for_never_open_or_close() -> None:
    rule = online_rule(small_manifest(), DetectorOptions(labels=(CLASSES[2],), close_threshold=0.1))
    np.testing.assert_array_equal(rule.open_thresholds, [np.inf, np.inf, OPEN])
    np.testing.assert_array_equal(rule.close_thresholds, [np.inf, np.inf, 0.1])


@pytest.mark.parametrize("longest", [0.4, 0.5])
def test_the_longest_must_be_longer_than_the_shortest(longest: float) -> None:
    options = DetectorOptions(minimum_duration_seconds=0.5, maximum_duration_seconds=longest)
    with pytest.raises(UsageError, match=r"must lie above the minimum of 0\.5 s"):
        online_rule(small_manifest(), options)


def calibrated() -> Manifest:
    manifest = small_manifest()
    alarms = AlarmRule(
        open_thresholds=(OPEN, 0.5, 0.9),
        false_alarms_per_hour=1.0,
        hours=(1.0,) * 3,
        false_alarms=(0,) * 3,
    )
    return replace(manifest, detection=replace(manifest.detection, alarms=alarms))


@pytest.mark.parametrize("mode", ["causal", "window"])
def test_streams_open_at_the_alarm_thresholds_and_close_where_they_did(mode: str) -> None:
    rule = online_rule(calibrated(), DetectorOptions(scores=mode))
    np.testing.assert_array_equal(rule.open_thresholds, [OPEN, 0.5, 0.9])
    np.testing.assert_array_equal(rule.close_thresholds, [CLOSE] * 3)
    # Between an engine's own threshold and the alarm's.
    rule = online_rule(calibrated(), DetectorOptions(scores=mode, close_threshold=OPEN))
    np.testing.assert_array_equal(rule.open_thresholds, [OPEN, 0.5, 0.9])


def test_whole_videos_and_thresholds_of_the_user_know_no_alarms() -> None:
    rule = online_rule(calibrated(), DetectorOptions(scores="exact"))
    np.testing.assert_array_equal(rule.open_thresholds, [OPEN] * 3)
    rule = online_rule(calibrated(), DetectorOptions(scores="window", open_threshold=0.3))
    np.testing.assert_array_equal(rule.open_thresholds, [0.3] * 3)
    one = DetectorOptions(scores="window", open_threshold={CLASSES[1]: 0.3})
    np.testing.assert_array_equal(online_rule(calibrated(), one).open_thresholds, [OPEN, 0.3, 0.9])


def test_an_engines_own_thresholds_can_be_had_beside_its_alarms() -> None:
    own = DetectorOptions(scores="window", own_thresholds=True)
    np.testing.assert_array_equal(online_rule(calibrated(), own).open_thresholds, [OPEN] * 3)
    one = replace(own, open_threshold={CLASSES[1]: 0.3})
    np.testing.assert_array_equal(online_rule(calibrated(), one).open_thresholds, [OPEN, 0.3, OPEN])
    assert alarm_words(calibrated(), own) is None
    for manifest, options, reason in (
        (small_manifest(), own, "has no alarm thresholds"),
        (calibrated(), replace(own, scores="exact"), "are for causal and window"),
        (calibrated(), replace(own, open_threshold=0.3), "of your own takes the place"),
    ):
        with pytest.raises(UsageError, match=f"need not be asked for: .*{reason}"):
            online_rule(manifest, options)


def test_what_is_said_of_alarms_is_said_where_they_count() -> None:
    said = alarm_words(calibrated(), DetectorOptions(scores="window"))
    assert said is not None
    assert "at most 1 an hour: 0.0 were counted, in 1.00 to 1.00 hours" in said
    assert alarm_words(small_manifest(), DetectorOptions(scores="window")) is None
    assert alarm_words(calibrated(), DetectorOptions()) is None
    one = DetectorOptions(scores="causal", open_threshold=0.3)
    assert alarm_words(calibrated(), one) is None
