"""Each rule of the detection protocols on a case small enough for paper and pencil."""

from __future__ import annotations

import numpy as np
import pytest
from plain_evaluator import Scene
from scenes import as_detections, as_truth

from wsgn.errors import InputError, UsageError
from wsgn.localization.segments import Segment
from wsgn.metrics import Detections, evaluate_detection
from wsgn.metrics.protocol import PROTOCOLS

EVERY = tuple(PROTOCOLS)
ACTIVITYNET = tuple(name for name in EVERY if name.startswith("activitynet"))
THUMOS = ("thumos-2014", "thumos-2015")


def percent(protocol, truths, found, *, tiou=0.5, ambiguous=(), videos=("v",)):
    """mAP of `(start, end)` truths and `(start, end, score)` detections of one class in `v`."""
    scene = Scene(
        instances=[("v", "run", *row) for row in truths],
        detections=[("v", "run", *row) for row in found],
        ambiguous={"v": list(ambiguous)},
    )
    truth = as_truth(scene, list(videos), ["run"])
    return float(evaluate_detection(truth, as_detections(scene), protocol, [tiou]).map_percent[0])


@pytest.mark.parametrize("protocol", EVERY)
def test_a_perfect_detection_scores_100(protocol):
    assert percent(protocol, [(0, 16)], [(0, 16, 0.9)], tiou=0.9) == pytest.approx(100)


@pytest.mark.parametrize("protocol", EVERY)
def test_no_detection_scores_0(protocol):
    assert percent(protocol, [(0, 16)], []) == 0


# 16 of 32 seconds, 25 of 50 snippets: exactly 0.5, with nothing lost to rounding.
@pytest.mark.parametrize(
    ("protocol", "expected"),
    [*((name, 0) for name in THUMOS), *((name, 100) for name in (*ACTIVITYNET, "wtalc"))],
)
def test_overlap_equal_to_the_threshold_counts_unless_the_protocol_is_strict(protocol, expected):
    assert percent(protocol, [(0, 32)], [(0, 16, 0.9)], tiou=0.5) == pytest.approx(expected)


@pytest.mark.parametrize("protocol", THUMOS)
def test_thumos_divides_by_the_hull(protocol):
    # 2.8 of 5.6 s: over the hull 0.5, but over the sum of lengths minus the intersection one bit
    # more, which a strict comparison would let pass.
    assert percent(protocol, [(0.4, 6.0)], [(1.0, 3.8, 0.9)], tiou=0.5) == 0


@pytest.mark.parametrize("protocol", EVERY)
def test_a_ground_truth_is_found_only_once(protocol):
    # Hit, miss (the same once more), hit: precision 1 and 2/3 at the two positives.
    found = [(0, 16, 0.9), (0, 16, 0.8), (32, 48, 0.7)]
    answer = percent(protocol, [(0, 16), (32, 48)], found)
    # Eleven points: precision 1 up to recall 0.5 (6 points), 2/3 at the other 5.
    elevenths = 100 * (6 + 5 * 2 / 3) / 11
    usual = 100 * (1 + 2 / 3) / 2
    assert answer == pytest.approx(elevenths if protocol == "thumos-2014" else usual)


@pytest.mark.parametrize("protocol", EVERY)
def test_equal_ground_truths_count_each(protocol):
    assert percent(protocol, [(0, 16), (0, 16)], [(0, 16, 0.9)]) == pytest.approx(
        # Recall reaches 0.5: half of the area, or 6 of the 11 points.
        100 * 6 / 11 if protocol == "thumos-2014" else 50
    )


# The middle detection overlaps A = (0, 16) by 10/22 and B = (16, 32) by 6/26; the weaker one is A.
STEALS = [(6, 22, 0.9), (0, 16, 0.8)]


@pytest.mark.parametrize("protocol", ACTIVITYNET)
def test_a_confident_detection_takes_its_best_ground_truth_from_a_better_fitting_one(protocol):
    # It takes A; the exact detection of A does not touch B and is a miss.
    assert percent(protocol, [(0, 16), (16, 32)], STEALS, tiou=0.2) == pytest.approx(50)


def test_an_activitynet_detection_falls_back_to_its_second_best_free_ground_truth():
    # The first takes A; the second overlaps A more (10/22) but is left with B (6/26).
    found = [(0, 16, 0.9), (6, 22, 0.8)]
    assert percent("activitynet", [(0, 16), (16, 32)], found, tiou=0.2) == pytest.approx(100)
    assert percent("activitynet", [(0, 16), (16, 32)], found, tiou=0.25) == pytest.approx(50)


@pytest.mark.parametrize("protocol", THUMOS)
def test_a_thumos_ground_truth_takes_the_best_fitting_detection(protocol):
    # A takes the exact one, B the middle one: both are hits.
    assert percent(protocol, [(0, 16), (16, 32)], STEALS, tiou=0.2) == pytest.approx(100)


@pytest.mark.parametrize("protocol", THUMOS)
def test_thumos_ground_truths_choose_in_file_order(protocol):
    # (0, 20) overlaps both detections by 12/20, (10, 24) only the confident one, by 10/16.
    found = [(8, 20, 0.9), (0, 12, 0.8)]
    long_first = percent(protocol, [(0, 20), (10, 24)], found, tiou=0.55)
    short_first = percent(protocol, [(10, 24), (0, 20)], found, tiou=0.55)
    # On the tie the long one takes the confident detection, which leaves nothing for the other.
    one_of_two = 100 * 6 / 11 if protocol == "thumos-2014" else 50
    assert long_first == pytest.approx(one_of_two)
    assert short_first == pytest.approx(100)


def test_a_wtalc_detection_takes_the_first_ground_truth_that_is_enough():
    # (16, 48) fits the second exactly but takes the first, (0, 48), for which it is enough (2/3);
    # (16, 40) then takes the second (3/4). Best first would leave (0, 48) to it: 1/2 is not enough.
    truths, found = [(0, 48), (16, 48)], [(16, 48, 0.9), (16, 40, 0.8)]
    assert percent("wtalc", truths, found, tiou=0.6) == pytest.approx(100)
    assert percent("activitynet", truths, found, tiou=0.6) == pytest.approx(50)


@pytest.mark.parametrize(
    # 2.88 s are 4.5 snippets and 3.52 s are 5.5; the even ones are 4 (2.56 s) and 6 (3.84 s).
    ("rounded_end", "end"),
    [(2.56, 2.88), (3.84, 3.52)],
)
def test_wtalc_rounds_to_snippets_half_to_even(rounded_end, end):
    assert percent("wtalc", [(0, rounded_end)], [(0, end, 0.9)], tiou=1.0) == pytest.approx(100)
    assert percent("activitynet", [(0, rounded_end)], [(0, end, 0.9)], tiou=1.0) == 0


def test_wtalc_drops_detections_that_are_empty_after_rounding():
    # 0.3 s round to no snippet: without it the only hit has precision 1.
    found = [(0, 0.3, 0.9), (0, 16, 0.8)]
    assert percent("wtalc", [(0, 16)], found) == pytest.approx(100)
    assert percent("activitynet", [(0, 16)], found) == pytest.approx(50)


@pytest.mark.parametrize("protocol", THUMOS)
def test_thumos_does_not_count_a_miss_that_touches_an_ambiguous_interval(protocol):
    found = [(40, 56, 0.9), (0, 16, 0.8)]
    assert percent(protocol, [(0, 16)], found, ambiguous=[(50, 60)]) == pytest.approx(100)
    # Sharing a single point is not touching.
    assert percent(protocol, [(0, 16)], found, ambiguous=[(56, 60)]) == pytest.approx(50)


@pytest.mark.parametrize("protocol", THUMOS)
def test_thumos_keeps_a_hit_that_touches_an_ambiguous_interval(protocol):
    assert percent(protocol, [(0, 16)], [(0, 16, 0.9)], ambiguous=[(8, 24)]) == pytest.approx(100)


def test_wtalc_drops_even_a_hit_that_touches_an_ambiguous_interval():
    assert percent("wtalc", [(0, 16)], [(0, 16, 0.9)], ambiguous=[(8, 24)]) == 0


@pytest.mark.parametrize("protocol", ACTIVITYNET)
def test_activitynet_ignores_ambiguous_intervals(protocol):
    found = [(40, 56, 0.9), (0, 16, 0.8)]
    assert percent(protocol, [(0, 16)], found, ambiguous=[(50, 60)]) == pytest.approx(50)


# Hit, miss, miss, hit, hit of 4 positives: precision 1, 2/4, 3/5 at recall 1/4, 2/4, 3/4.
CURVE_TRUTHS = [(0, 16), (32, 48), (64, 80), (96, 112)]
CURVE = [(0, 16, 0.9), (200, 216, 0.8), (232, 248, 0.7), (32, 48, 0.6), (64, 80, 0.5)]


@pytest.mark.parametrize(
    ("protocol", "expected"),
    [
        ("thumos-2015", (1 + 0.5 + 0.6) / 4),
        ("wtalc", (1 + 0.5 + 0.6) / 4),
        # The envelope lifts 0.5 to the later 0.6.
        *((name, (1 + 0.6 + 0.6) / 4) for name in ACTIVITYNET),
        # Recall 0, .1, .2 at precision 1; .3 to .7 at 0.6; .8 to 1 are never reached.
        ("thumos-2014", (3 * 1 + 5 * 0.6) / 11),
    ],
)
def test_average_precision_of_a_curve_with_a_dip(protocol, expected):
    assert percent(protocol, CURVE_TRUTHS, CURVE) == pytest.approx(100 * expected)


@pytest.mark.parametrize("protocol", EVERY)
def test_equal_scores_keep_file_order_except_in_thumos_2014(protocol):
    miss_first = percent(protocol, [(0, 16)], [(32, 48, 0.5), (0, 16, 0.5)])
    hit_first = percent(protocol, [(0, 16)], [(0, 16, 0.5), (32, 48, 0.5)])
    assert hit_first == pytest.approx(100)
    assert miss_first == pytest.approx(100 if protocol == "thumos-2014" else 50)


def test_equal_overlaps_follow_the_published_evaluator():
    # Among two equally overlapping ground truths, few enough for NumPy to sort them by insertion,
    # the published argsort()[::-1] takes the last one; that leaves the first one to the second
    # detection, which cannot reach the last.
    found = [(0, 24, 0.9), (0, 8, 0.8)]
    assert percent("activitynet", [(0, 8), (16, 24)], found, tiou=0.3) == pytest.approx(100)


@pytest.mark.parametrize("protocol", EVERY)
def test_classes_weigh_equally_and_only_those_with_instances_count(protocol):
    scene = Scene(
        instances=[("v", "run", 0, 16), ("v", "run", 32, 48), ("v", "jump", 0, 16)],
        detections=[("v", "jump", 0, 16, 0.9), ("v", "swim", 0, 16, 0.9)],
    )
    truth = as_truth(scene, ["v"], ["jump", "run", "swim"])
    result = evaluate_detection(truth, as_detections(scene), protocol, [0.5])
    assert result.classes == ("jump", "run")
    np.testing.assert_allclose(result.average_precision_percent, [[100], [0]])
    assert result.average_map_percent == pytest.approx(50)


FALSE_ELSEWHERE = {
    # A confident detection in a video without instances; which protocols look at that video.
    "activitynet": (2, 50),
    "activitynet-210": (2, 50),
    "activitynet-211": (2, 50),
    "activitynet-212": (1, 100),
    "thumos-2014": (2, 50),
    "thumos-2015": (2, 50),
    "wtalc": (1, 100),
}


@pytest.mark.parametrize("protocol", EVERY)
def test_videos_without_instances_count_where_the_protocol_says_so(protocol):
    scene = Scene(
        instances=[("v", "run", 0, 16)],
        detections=[("empty", "run", 0, 16, 0.9), ("v", "run", 0, 16, 0.8)],
    )
    truth = as_truth(scene, ["v", "empty"], ["run"])
    result = evaluate_detection(truth, as_detections(scene), protocol, [0.5])
    assert (result.num_videos, float(result.map_percent[0])) == FALSE_ELSEWHERE[protocol]


@pytest.mark.parametrize(
    ("protocol", "left"),
    [("activitynet-210", 1), ("activitynet-211", 2), ("activitynet", 3), ("thumos-2015", 3)],
)
def test_named_videos_are_left_out_of_truth_and_detections(protocol, left):
    videos = ["video_test_0000270", "video_test_0001496", "v"]
    scene = Scene(
        instances=[(video, "run", 0, 16) for video in videos],
        detections=[(video, "run", 0, 16, 0.9) for video in videos],
    )
    truth = as_truth(scene, videos, ["run"])
    result = evaluate_detection(truth, as_detections(scene), protocol, [0.5])
    assert (result.num_videos, result.num_instances) == (left, left)
    assert result.num_ignored_detections == 3 - left
    assert result.map_percent[0] == pytest.approx(100)


def test_detections_can_be_made_from_segments():
    segment = Segment(label="run", start_seconds=0.0, end_seconds=16.0, score=0.5)
    detections = Detections.from_segments({"v": [segment], "w": []})
    truth = as_truth(Scene(instances=[("v", "run", 0, 16)], detections=[]), ["v", "w"], ["run"])
    assert evaluate_detection(truth, detections, "activitynet").average_map_percent == 100


@pytest.mark.parametrize(
    ("row", "word"),
    [(("x", "run", 0, 1, 0.5), "video 'x'"), (("v", "hop", 0, 1, 0.5), "label 'hop'")],
)
def test_unknown_videos_and_labels_are_input_errors(row, word):
    scene = Scene(instances=[("v", "run", 0, 16)], detections=[row])
    with pytest.raises(InputError, match=word):
        evaluate_detection(as_truth(scene, ["v"], ["run"]), as_detections(scene))


@pytest.mark.parametrize("tiou", [[], [0.0], [1.5], [float("nan")], [0.5, -1]])
def test_thresholds_lie_above_0_and_up_to_1(tiou):
    scene = Scene(instances=[("v", "run", 0, 16)], detections=[])
    with pytest.raises(UsageError, match="tIoU"):
        evaluate_detection(as_truth(scene, ["v"], ["run"]), as_detections(scene), "wtalc", tiou)


def test_an_unknown_protocol_is_a_usage_error():
    scene = Scene(instances=[("v", "run", 0, 16)], detections=[])
    with pytest.raises(UsageError, match="thumos-2015"):
        evaluate_detection(as_truth(scene, ["v"], ["run"]), as_detections(scene), "thumos")


def test_a_truth_without_instances_is_an_input_error():
    scene = Scene(instances=[], detections=[])
    with pytest.raises(InputError, match="no instance"):
        evaluate_detection(as_truth(scene, ["v"], ["run"]), as_detections(scene), "activitynet")


@pytest.mark.parametrize(
    ("protocol", "in_ambiguous", "elsewhere"),
    [
        *((name, "left out", "left out") for name in (*ACTIVITYNET[:3], "wtalc")),
        *((name, "left out", "false") for name in THUMOS),
        ("activitynet", "false", "false"),
    ],
)
def test_what_becomes_of_detections_in_the_video_with_ambiguous_intervals_only(
    protocol, in_ambiguous, elsewhere
):
    """As docs/datasets.md says of video_test_0001292."""
    for span, becomes in (((40, 47), in_ambiguous), ((10, 20), elsewhere)):
        scene = Scene(
            instances=[("v", "run", 0, 16)],
            detections=[("v", "run", 0, 16, 0.5), ("video_test_0001292", "run", *span, 0.9)],
            ambiguous={"video_test_0001292": [(39.9, 47.4)]},
        )
        truth = as_truth(scene, ["v", "video_test_0001292"], ["run"])
        found = evaluate_detection(truth, as_detections(scene), protocol, [0.5])
        # One false detection before the only true one halves the precision.
        assert found.map_percent[0] == pytest.approx(100 if becomes == "left out" else 50)
