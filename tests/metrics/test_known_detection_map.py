"""The published detection file under all six protocols, against its known mAP."""

from __future__ import annotations

import json

import numpy as np
import pytest
from places import SHARED
from plain_evaluator import Scene, plain_map

from wsgn.metrics import evaluate_detection, read_detections, read_truth

DATA = SHARED / "data"
KNOWN = DATA / "known_answers" / "stpn_known_map.json"
pytestmark = pytest.mark.skipif(not KNOWN.is_file(), reason=f"needs the shared data in {DATA}")

COUNTS = {
    "activitynet-210": 210,
    "activitynet-211": 211,
    "activitynet-212": 212,
    "thumos-2015": 213,
    "thumos-2014": 213,
    "wtalc": 212,
}


@pytest.fixture(scope="module")
def truth():
    return read_truth(DATA / "thumos14" / "thumos14.json", subset="test")


@pytest.fixture(scope="module")
def detections():
    return read_detections(DATA / "known_answers" / "stpn_results.json")


@pytest.mark.parametrize("protocol", COUNTS)
def test_equals_the_known_map(truth, detections, protocol):
    known = json.loads(KNOWN.read_text())
    result = evaluate_detection(truth, detections, protocol, known["tiou"])
    np.testing.assert_allclose(result.map_percent, known["mAP"][protocol], rtol=0, atol=1e-9)
    assert result.num_videos == COUNTS[protocol]
    assert len(result.classes) == 20


def test_the_thumos_test_set_has_3358_instances(truth, detections):
    assert evaluate_detection(truth, detections, "thumos-2015").num_instances == 3358


@pytest.mark.parametrize("protocol", COUNTS)
def test_the_oracle_of_the_other_tests_equals_the_known_map(truth, detections, protocol):
    known = json.loads(KNOWN.read_text())
    database = json.loads((DATA / "thumos14" / "thumos14.json").read_text())["database"]
    results = json.loads((DATA / "known_answers" / "stpn_results.json").read_text())["results"]
    test = {video: entry for video, entry in database.items() if entry["subset"] == "test"}
    scene = Scene(
        instances=[
            (video, item["label"], *item["segment"])
            for video, entry in test.items()
            for item in entry["annotations"]
        ],
        detections=[
            (video, item["label"], *item["segment"], item["score"])
            for video, found in results.items()
            for item in found
        ],
        ambiguous={video: entry["ambiguous"] for video, entry in test.items()},
    )
    answer = plain_map(scene, protocol, [0.1, 0.5])
    assert answer == pytest.approx([known["mAP"][protocol][index] for index in (0, 4)], abs=1e-9)
