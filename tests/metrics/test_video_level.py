"""Scores of videos of which only the labels are known."""

from __future__ import annotations

import json

import numpy as np
import pytest

from wsgn.errors import InputError
from wsgn.metrics.video_level import evaluate_video_level

CLASSES = ("jump", "walk")


def test_counted_by_hand() -> None:
    scores = np.array([[0.9, 0.2], [0.6, 0.7], [0.8, 0.1], [0.3, 0.4], [0.5, 0.6]])
    labels = np.array([[1, 0], [1, 0], [0, 1], [1, 1], [0, 0]], dtype=np.bool_)
    found = evaluate_video_level(scores, labels, CLASSES)
    # jump by score: right, wrong (walk), right, wrong (none), right: (1 + 2/3 + 3/5) / 3.
    assert found.average_precision_percent[0] == pytest.approx(100 * (1 + 2 / 3 + 3 / 5) / 3)
    # walk: wrong, wrong, right, wrong, right: (1/3 + 2/5) / 2.
    assert found.average_precision_percent[1] == pytest.approx(100 * (1 / 3 + 2 / 5) / 2)
    # Of four labelled videos the first and the fourth.
    assert found.accuracy_percent == 50
    assert found.confusion.tolist() == [[1, 1], [1, 0], [0, 1]]
    text = found.as_text()
    assert "mAP 56.1 %, accuracy 50.0 % of 5 videos" in text
    assert text.splitlines()[-1].split() == ["(none)", "0", "1"]
    document = json.loads(json.dumps(found.as_object(), allow_nan=False))
    assert document["confusion"]["rows"] == {"jump": [1, 1], "walk": [1, 0], "(none)": [0, 1]}


def test_a_class_that_no_video_has() -> None:
    found = evaluate_video_level(
        np.array([[0.9, 0.2], [0.1, 0.3]]), np.array([[True, False], [False, False]]), CLASSES
    )
    assert found.map_percent == 100
    document = json.loads(json.dumps(found.as_object(), allow_nan=False))
    assert document["AP"] == {"jump": 100.0, "walk": None}


def test_no_labels_at_all() -> None:
    with pytest.raises(InputError, match="No video has a label"):
        evaluate_video_level(np.zeros((2, 2)), np.zeros((2, 2), dtype=np.bool_), CLASSES)


def test_one_class_alone_has_no_accuracy() -> None:
    found = evaluate_video_level(np.array([[0.9], [0.1]]), np.array([[True], [False]]), ("jump",))
    assert found.as_text() == "video classification mAP 100.0 % of 2 videos"
    assert found.as_object()["accuracy"] is None
