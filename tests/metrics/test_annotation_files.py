"""Ground truth and result files: what is read, and one sentence for what is wrong."""

from __future__ import annotations

import json

import pytest

from wsgn.errors import InputError
from wsgn.metrics import read_detections, read_truth

GOOD = {
    "subset": "test",
    "duration": 9.0,
    "annotations": [{"label": "run", "segment": [1, 2.5]}],
}


def write(tmp_path, document):
    path = tmp_path / "file.json"
    path.write_text(document if isinstance(document, str) else json.dumps(document))
    return path


def database(**changes):
    return {"database": {"v": {**GOOD, **changes}}}


def results(**changes):
    return {"results": {"v": [{"label": "run", "segment": [1, 2], "score": 0.5, **changes}]}}


def test_a_truth_is_read_in_file_order(tmp_path):
    other = {"subset": "training", "annotations": [{"label": "hop", "segment": [0, 1]}]}
    entry = {**GOOD, "ambiguous": [[3, 4]]}
    entry["annotations"] = [{"label": "run", "segment": [5, 6]}, *GOOD["annotations"]]
    path = write(tmp_path, {"database": {"t": other, "v": entry, "e": {**GOOD, "annotations": []}}})
    truth = read_truth(path, subset="test")
    assert truth.videos == ("v", "e")
    assert truth.classes == ("hop", "run")
    assert truth.instance_start_seconds.tolist() == [5, 1]
    assert truth.instance_end_seconds.tolist() == [6, 2.5]
    assert (truth.ambiguous_videos.tolist(), truth.ambiguous_end_seconds.tolist()) == ([0], [4])
    assert truth.subsets == ("test",)
    assert truth.other_videos == {"t"}
    assert read_truth(path).videos == ("t", "v", "e")


def test_labels_of_the_video_are_known_labels(tmp_path):
    assert read_truth(write(tmp_path, database(labels=["hop"]))).classes == ("hop", "run")


def test_listed_classes_keep_their_order(tmp_path):
    assert read_truth(write(tmp_path, {"classes": ["run", "a"], **database()})).classes[0] == "run"


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ("{", "not JSON"),
        ("\0", "not JSON"),
        ("[" * 100_000, "not JSON"),
        ([1], "an object is needed"),
        ({}, "no 'database'"),
        ({"database": []}, "a list where an object"),
        ({"database": {}}, "no videos"),
        ({"database": {"v": 3}}, "'v' is a number"),
        ({"database": {"v": {"annotations": []}}}, "no 'subset'"),
        ({"database": {"v": {"subset": "test"}}}, "no 'annotations'"),
        ({"classes": ["hop"], **database()}, "'run'"),
        (database(annotations=[{"label": "run"}]), "no 'segment'"),
        (database(annotations=[{"segment": [1, 2]}]), "no 'label'"),
        (database(annotations=[{"label": 3, "segment": [1, 2]}]), "a name is needed"),
        (database(annotations=[{"label": "run", "segment": [2, 1]}]), "before it starts"),
        (database(annotations=[{"label": "run", "segment": [2]}]), "pair"),
        (database(annotations=[{"label": "run", "segment": [1, float("nan")]}]), "finite"),
        (database(annotations=[{"label": "run", "segment": ["1", 2]}]), "a number is needed"),
        (database(ambiguous=[[4, 3]]), "ambiguous"),
        (database(ambiguous={"a": 1}), "a list is needed"),
    ],
)
def test_a_wrong_truth_is_one_sentence(tmp_path, document, word):
    with pytest.raises(InputError, match=word) as caught:
        read_truth(write(tmp_path, document))
    assert "\n" not in str(caught.value)


def test_a_missing_subset_names_those_that_exist(tmp_path):
    with pytest.raises(InputError, match="no subset 'validation'; it has 'test'"):
        read_truth(write(tmp_path, database()), subset="validation")


def test_detections_are_read_in_file_order(tmp_path):
    item = {"label": "run", "segment": [1, 2], "score": 3}
    path = write(tmp_path, {"version": 1, "results": {"b": [item], "a": [item, item], "c": []}})
    found = read_detections(path)
    assert list(found.video_ids) == ["b", "a", "a"]
    assert found.scores.tolist() == [3.0, 3.0, 3.0]
    assert len(read_detections(write(tmp_path, {"results": {}}))) == 0


@pytest.mark.parametrize(
    ("document", "word"),
    [
        ({"result": {}}, "no 'results'"),
        ({"results": []}, "an object is needed"),
        ({"results": {"v": {}}}, "a list is needed"),
        ({"results": {"v": ["x"]}}, "an object is needed"),
        (results(score=float("nan")), "nan where a finite"),
        (results(score=float("inf")), "inf where a finite"),
        (results(score=10**400), "inf where a finite"),
        (results(score=None), "null where a number"),
        (results(score=True), "a boolean where a number"),
        (results(segment=[2, 1]), "before it starts"),
        (results(segment=[1, 2, 3]), "pair"),
        (results(segment=None), "pair"),
        (results(label=""), "empty where a name"),
        ({"results": {"v": [{"label": "run", "segment": [1, 2]}]}}, "no 'score'"),
    ],
)
def test_a_wrong_result_file_is_one_sentence(tmp_path, document, word):
    with pytest.raises(InputError, match=word) as caught:
        read_detections(write(tmp_path, document))
    assert "\n" not in str(caught.value)


def test_files_that_cannot_be_read(tmp_path):
    with pytest.raises(InputError, match="No such file"):
        read_detections(tmp_path / "none.json")
    with pytest.raises(InputError, match="holds no videos"):
        read_truth(tmp_path)
    binary = tmp_path / "binary.json"
    binary.write_bytes(b"\x80\x04\x95")
    with pytest.raises(InputError, match="not JSON"):
        read_truth(binary)
