"""Errors by kind: cases made by hand, and that the kinds add up, under every protocol."""

from __future__ import annotations

import numpy as np
import pytest

from wsgn.errors import UsageError
from wsgn.metrics import PROTOCOLS, Detections, Truth, evaluate_detection
from wsgn.metrics.detection import match_detections
from wsgn.metrics.diagnosis import KINDS, NUM_BANDS, diagnose, precision_recall

CLASSES = ("hop", "run")
# run at 0 to 10 and 50 to 60, hop at 20 to 30, and a video with one hop that nothing meets.
INSTANCES = [(0, 1, 0, 10), (0, 0, 20, 30), (0, 1, 50, 60), (1, 0, 0, 10)]


def truth_of(rows, videos=("a", "b")):
    columns = np.array(rows, dtype=np.float64).reshape(-1, 4)
    return Truth(
        videos=tuple(videos),
        classes=CLASSES,
        instance_videos=columns[:, 0].astype(int),
        instance_classes=columns[:, 1].astype(int),
        instance_start_seconds=columns[:, 2],
        instance_end_seconds=columns[:, 3],
    )


def detections_of(rows):
    """Rows of video, label, start, end; the first has the highest score."""
    return Detections(
        video_ids=[row[0] for row in rows],
        labels=[row[1] for row in rows],
        start_seconds=np.array([row[2] for row in rows], np.float64),
        end_seconds=np.array([row[3] for row in rows], np.float64),
        scores=np.linspace(1, 0.1, len(rows)),
    )


FOUND = detections_of(
    [
        ("a", "run", 0, 9),  # true
        ("a", "run", 1, 10),  # double: the first has it
        ("a", "run", 21, 30),  # wrong label: overlaps the hop by 0.9
        ("a", "run", 56, 66),  # localisation: 4 / 16
        ("a", "hop", 55, 65),  # both: 5 / 15 of a run
        ("a", "hop", 80, 90),  # background
        ("b", "run", 9.5, 20),  # background: 0.5 / 20
    ]
)


def test_each_kind_in_a_case_made_by_hand():
    found = diagnose(truth_of(INSTANCES), FOUND, "activitynet")
    assert KINDS == ("true", "double", "wrong label", "localisation", "both", "background")
    assert found.counts.tolist() == [[0, 0, 0, 0, 1, 1], [1, 1, 1, 1, 0, 1]]
    # The hop of a is met by a run, the hop of b by nothing; the second run only badly placed.
    assert found.num_found.tolist() == [0, 1]
    assert found.num_met.tolist() == [1, 1]
    assert found.num_missed.tolist() == [1, 0]
    # Of each class with two instances, the best two and the next two.
    assert found.bands[0].tolist() == [1, 1, 0, 0, 1, 1]
    assert found.bands[1].tolist() == [0, 0, 1, 1, 0, 0]
    assert found.bands[2].tolist() == [0, 0, 0, 0, 0, 1]
    assert [(video.name, video.ap_percent) for video in found.videos] == [("b", 0.0), ("a", 25.0)]
    assert [video.num_missed for video in found.videos] == [1, 0]


def test_what_a_kind_costs():
    """A run found second behind an error of each kind: without that kind its AP is 1."""
    first = {
        "wrong label": ("a", "run", 20, 30),
        "background": ("a", "run", 80, 90),
        "localisation": ("a", "run", 4, 14),
    }
    truth = truth_of([(0, 1, 0, 10), (0, 0, 20, 30)], ["a"])
    for kind, error in first.items():
        rows = [error, ("a", "run", 0, 10), ("a", "hop", 20, 30)]
        found = diagnose(truth, detections_of(rows), "activitynet")
        assert found.map_percent == 75.0
        gains = dict.fromkeys((*KINDS[1:], "missed"), 0.0) | {kind: 25.0}
        assert found.gains_percent == pytest.approx(gains)


def test_missed_instances_cost_recall():
    truth = truth_of([(0, 1, 0, 10), (0, 1, 50, 60)], ["a"])
    found = diagnose(truth, detections_of([("a", "run", 0, 10)]), "activitynet")
    assert found.map_percent == 50.0
    assert found.gains_percent["missed"] == pytest.approx(50.0)
    # A class of which nothing was detected, and nothing is left: it leaves the mean.
    truth = truth_of([(0, 1, 0, 10), (0, 0, 50, 60)], ["a"])
    found = diagnose(truth, detections_of([("a", "run", 0, 10)]), "activitynet")
    assert found.gains_percent["missed"] == pytest.approx(50.0)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_kinds_add_up_to_what_the_map_counts(protocol):
    generator = np.random.default_rng(3)
    starts = generator.uniform(0, 100, 60)
    instances = [(number % 4, number % 2, start, start + 8) for number, start in enumerate(starts)]
    truth = truth_of(instances, [f"video_test_{number}" for number in range(4)])
    rows = [
        (f"video_test_{number % 4}", CLASSES[number % 3 % 2], start, start + length)
        for number, (start, length) in enumerate(
            zip(generator.uniform(0, 100, 400), generator.uniform(2, 12, 400), strict=True)
        )
    ]
    found = diagnose(truth, detections_of(rows), protocol, 0.3)
    result = evaluate_detection(truth, detections_of(rows), protocol, (0.3,))
    matched = match_detections(truth, detections_of(rows), protocol, (0.3,))
    assert found.map_percent == pytest.approx(result.average_map_percent)
    assert found.counts.sum() == len(matched.found) == 400
    assert found.counts[:, 0].sum() == matched.hits.sum() == found.num_found.sum()
    whole = found.num_found + found.num_met + found.num_missed
    assert whole.tolist() == matched.num_positives.tolist()
    assert (found.counts.sum(axis=0) > 0).all()
    assert sum(video.counts.sum() for video in found.videos) == 400
    assert found.bands.shape == (NUM_BANDS, len(KINDS))
    assert min(found.gains_percent.values()) >= 0


def test_precision_at_recalls_of_the_envelope():
    matched = match_detections(
        truth_of([(0, 1, 0, 10), (0, 1, 50, 60)], ["a"]),
        detections_of([("a", "run", 80, 90), ("a", "run", 0, 10), ("a", "run", 50, 60)]),
        "activitynet",
        (0.5,),
    )
    found = precision_recall(matched, 0, np.array([0.0, 0.5, 1.0]))
    assert found[:, 0] == pytest.approx([2 / 3] * 3)
    fewer = match_detections(
        truth_of([(0, 1, 0, 10), (0, 1, 50, 60)], ["a"]),
        detections_of([("a", "run", 0, 10), ("a", "run", 80, 90)]),
        "activitynet",
        (0.5,),
    )
    assert precision_recall(fewer, 0, np.array([0.5, 0.6]))[:, 0].tolist() == [1.0, 0.0]


def test_a_background_above_the_threshold_is_refused():
    with pytest.raises(UsageError, match="background"):
        diagnose(truth_of(INSTANCES), FOUND, "activitynet", 0.05)


def test_nothing_detected_misses_everything():
    found = diagnose(truth_of(INSTANCES), detections_of([]), "activitynet")
    assert (found.num_missed.tolist(), found.counts.sum()) == ([2, 2], 0)
    assert found.gains_percent["missed"] == 0.0
