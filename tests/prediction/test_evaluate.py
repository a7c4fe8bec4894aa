"""Rules for segments by their names, and what predictions are worth, against plain arithmetic."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest
from planted_predictions import planted
from toy import CLASSES, feature_model, short_training

from wsgn.checkpoint import Calibration, Checkpoint
from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.errors import UsageError
from wsgn.localization.proposals import MultiThresholdRule
from wsgn.manifest import DetectionRule, Prior
from wsgn.metrics.annotations import truth_of
from wsgn.metrics.charades_files import CharadesTruth
from wsgn.prediction.evaluate import charades_scores, chosen_rule, classification_map

MIDDLE = DetectionRule(open_thresholds=(0.1, 0.2, 0.3), close_thresholds=(0.1, 0.2, 0.3))
OWN = MultiThresholdRule(thresholds=(0.25, 0.5), smoothing_snippets=5)
NONE = (0.0, 0.0, 0.0)
TRAINED = Checkpoint(
    # Three snippets of 0.4 s.
    model=feature_model(smoothing_seconds=1.0),
    train=short_training(),
    step=6,
    weights={},
    calibration=Calibration(
        prior=Prior(count=0.0, mean=NONE, variance=NONE, log_mean_exponential=NONE, maximum=NONE),
        detection=MIDDLE,
    ),
    optimizer={},
)
assert TRAINED.calibration is not None
WITH_OWN_RULE = replace(TRAINED, calibration=replace(TRAINED.calibration, proposals=OWN))


@pytest.mark.parametrize(
    ("name", "checkpoint", "rule"),
    [
        ("trained", TRAINED, MIDDLE),
        ("trained", WITH_OWN_RULE, OWN),
        ("middle", TRAINED, MIDDLE),
        ("middle", WITH_OWN_RULE, MIDDLE),
        ("many", TRAINED, MultiThresholdRule(smoothing_snippets=3)),
        ("many", WITH_OWN_RULE, OWN),
    ],
)
def test_a_rule_has_a_name(name: str, checkpoint: Checkpoint, rule: object) -> None:
    assert chosen_rule(name, checkpoint) == rule


@pytest.mark.parametrize("name", ["trained", "middle", "many"])
def test_a_training_that_goes_on_has_no_rule_yet(name: str) -> None:
    with pytest.raises(UsageError, match="resume it first"):
        chosen_rule(name, replace(TRAINED, calibration=None))


def test_points_between_snippets_are_interpolated_and_those_beyond_held() -> None:
    # Centres at 1, 3 and 5 s of a video of 10 s, whose points lie 0.4 s apart.
    scores = np.zeros((3, 157))
    scores[:, 7] = [1.0, 2.0, 0.0]
    truth = CharadesTruth(
        video_ids=("unseen", "seen"),
        length_seconds=np.array([10.0, 10.0]),
        labels=np.zeros((2, 25, 157), dtype=bool),
    )
    found = charades_scores(truth, [planted("seen", scores, seconds=2.0)])
    assert found.shape == (2, 25, 157)
    assert np.isneginf(found[0]).all()
    expected = {0: 1.0, 2: 1.0, 5: 1.5, 8: 1.8, 10: 1.0, 13: 0.0, 24: 0.0}
    for point, value in expected.items():
        assert found[1, point, 7] == pytest.approx(value), point
    assert not found[1, :, :7].any()


def test_video_scores_are_ranked_among_the_videos() -> None:
    labels = [("wave",), ("jump",), ("wave", "bow")]
    videos = tuple(
        VideoAnnotation(
            name=f"v{index}", subset="test", duration_seconds=None, labels=names, segments=()
        )
        for index, names in enumerate(labels)
    )
    # One frame a video. Wave: ranks 1 and 3 are right (5/6); jump: rank 2 (1/2); bow: rank 1.
    rows = [[0.9, 0.2, 0.1], [0.5, 0.1, 0.2], [0.3, 0.0, 0.3]]
    predictions = [planted(f"v{i}", np.array([row])) for i, row in enumerate(rows)]
    annotations = Annotations(classes=CLASSES, videos=videos)
    found = classification_map(annotations, predictions[::-1])
    assert found == pytest.approx(100 * (5 / 6 + 1 / 2 + 1) / 3)


def test_the_truth_holds_every_segment() -> None:
    video = VideoAnnotation(
        name="b",
        subset="test",
        duration_seconds=9.0,
        labels=("bow", "wave"),
        segments=(("bow", 1.0, 2.5), ("wave", 3.0, 4.0)),
    )
    truth = truth_of([replace(video, name="a", segments=()), video], CLASSES)
    assert truth.videos == ("a", "b")
    assert truth.instance_videos.tolist() == [1, 1]
    assert truth.instance_classes.tolist() == [2, 0]
    assert truth.instance_start_seconds.tolist() == [1.0, 3.0]
    assert truth.instance_end_seconds.tolist() == [2.5, 4.0]
