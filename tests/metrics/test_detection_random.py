"""Random scenes with many ties: the vectorised evaluator equals the plain loops."""

from __future__ import annotations

import hypothesis.strategies as st
import numpy as np
import pytest
from hypothesis import given, settings
from plain_evaluator import Scene, plain_map
from scenes import as_detections, as_truth

from wsgn.metrics import evaluate_detection
from wsgn.metrics.matching import Wishes, serial_dictatorship
from wsgn.metrics.protocol import PROTOCOLS

VIDEOS = ["video_test_0000270", "video_test_0001292", "v", "w"]
CLASSES = ["jump", "run"]
TIOU = [0.1, 0.25, 0.5, 0.9]

# A coarse grid makes equal overlaps, overlaps equal to a threshold and touching ends common.
spans = st.tuples(st.integers(0, 30), st.integers(0, 12)).map(
    lambda pair: (pair[0] / 2, (pair[0] + pair[1]) / 2)
)
scores = st.integers(0, 4).map(lambda level: level / 4)
places = st.tuples(st.sampled_from(VIDEOS), st.sampled_from(CLASSES))


@st.composite
def scenes(draw):
    instances = draw(st.lists(st.tuples(places, spans), min_size=1, max_size=25))
    found = draw(st.lists(st.tuples(places, spans, scores), max_size=60))
    # At least one instance lies in a video that every protocol keeps.
    instances.append((("v", "run"), draw(spans)))
    return Scene(
        instances=[(*place, *span) for place, span in instances],
        detections=[(*place, *span, score) for place, span, score in found],
        ambiguous=draw(st.dictionaries(st.sampled_from(VIDEOS), st.lists(spans, max_size=3))),
    )


@pytest.mark.parametrize("protocol", PROTOCOLS)
@settings(max_examples=60)
@given(scene=scenes())
def test_equals_the_plain_loops(protocol, scene):
    truth = as_truth(scene, VIDEOS, CLASSES)
    result = evaluate_detection(truth, as_detections(scene), protocol, TIOU)
    expected = plain_map(scene, protocol, TIOU)
    np.testing.assert_allclose(result.map_percent, expected, rtol=0, atol=1e-9)


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_equals_the_plain_loops_on_a_crowded_scene(protocol):
    # Large enough for NumPy's partition step on equal overlaps and for many rounds of bidding.
    random = np.random.default_rng(5)

    def rows(size):
        start = random.integers(0, 200, size) / 2
        end = start + random.integers(0, 40, size) / 2
        columns = (random.choice(VIDEOS, size), random.choice(CLASSES, size), start, end)
        return list(zip(*(column.tolist() for column in columns), strict=True))

    scene = Scene(
        instances=rows(300),
        detections=[(*row, int(random.integers(9))) for row in rows(900)],
        ambiguous={"v": [(3.0, 8.0), (50.0, 51.5)], "w": [(0.0, 4.0)]},
    )
    result = evaluate_detection(
        as_truth(scene, VIDEOS, CLASSES), as_detections(scene), protocol, TIOU
    )
    np.testing.assert_allclose(
        result.map_percent, plain_map(scene, protocol, TIOU), rtol=0, atol=1e-9
    )


@given(wishes=st.lists(st.lists(st.integers(0, 7), unique=True, max_size=8), max_size=20))
def test_bidding_equals_choosing_one_after_the_other(wishes):
    expected = [-1] * 8
    for chooser, wanted in enumerate(wishes):
        free = [thing for thing in wanted if expected[thing] == -1]
        if free:
            expected[free[0]] = chooser
    flat = [(chooser, thing) for chooser, wanted in enumerate(wishes) for thing in wanted]
    columns = np.array(flat, dtype=np.int64).reshape(-1, 2)
    holder = serial_dictatorship(Wishes(chooser=columns[:, 0], wanted=columns[:, 1]), 8)
    assert holder.tolist() == expected


@settings(max_examples=50)
@given(scene=scenes(), gain=st.sampled_from([0.25, 3.0]))
def test_only_the_order_of_the_scores_counts(scene, gain):
    scaled = Scene(
        instances=scene.instances,
        detections=[(*row[:4], gain * row[4] - 7) for row in scene.detections],
        ambiguous=scene.ambiguous,
    )
    truth = as_truth(scene, VIDEOS, CLASSES)
    before = evaluate_detection(truth, as_detections(scene), "thumos-2015", TIOU)
    after = evaluate_detection(truth, as_detections(scaled), "thumos-2015", TIOU)
    np.testing.assert_array_equal(before.map_percent, after.map_percent)
