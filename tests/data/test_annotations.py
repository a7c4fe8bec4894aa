"""Annotations and feature folders: what is read, and what is refused with a sentence."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

from wsgn.data.annotations import read_annotations, snippet_labels
from wsgn.data.features import FeatureDataset
from wsgn.errors import InputError
from wsgn.manifest import Sampling

SAMPLING = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)
DATABASE = {
    "b": {"subset": "test", "duration": 9.0, "annotations": []},
    "a": {
        "subset": "train",
        "labels": ["wave"],
        "annotations": [{"label": "jump", "segment": [1.0, 2.0]}],
    },
}
LABELLED = DATABASE | {"a": {"subset": "train", "labels": ["wave"], "annotations": []}}


def written(path: Path, document: object) -> Path:
    path.write_text(json.dumps(document))
    return path


def test_videos_labels_and_segments_are_read(tmp_path: Path) -> None:
    annotations = read_annotations(
        written(tmp_path / "a.json", {"database": DATABASE, "classes": ["wave", "jump"]})
    )
    assert annotations.classes == ("wave", "jump")
    (video,) = annotations.subset("train")
    # Video-level labels are what the file says, even where the segments disagree.
    assert video.labels == ("wave",)
    assert video.segments == (("jump", 1.0, 2.0),)


def test_snippet_labels_hold_where_the_centre_lies_inside() -> None:
    annotations = [("wave", 1.0, 2.0)]
    from wsgn.data.annotations import VideoAnnotation

    video = VideoAnnotation(
        name="v", subset="train", duration_seconds=None, labels=(), segments=tuple(annotations)
    )
    labels = snippet_labels(video, np.array([0.9, 1.0, 1.5, 2.0, 2.1]), ("jump", "wave"))
    assert labels[:, 1].tolist() == [0, 1, 1, 1, 0]
    assert labels[:, 0].sum() == 0


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "database"),
        ({"database": {}}, "database"),
        ({"database": {"v": {"annotations": []}}}, "'v'"),
        ({"database": {"v": {"subset": "train", "annotations": [{"label": "x"}]}}}, "segment"),
        ({"database": DATABASE, "classes": ["jump"]}, "wave"),
        ({"database": DATABASE, "classes": ["jump", "wave", "wave"]}, "only once"),
        ({"database": DATABASE}, "jump"),
        ({"database": {"v": {"subset": "train", "labels": "wave"}}}, "list of names"),
    ],
)
def test_wrong_annotations_are_refused(tmp_path: Path, document: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_annotations(written(tmp_path / "a.json", document))


def test_missing_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_annotations(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InputError, match="not a JSON"):
        read_annotations(tmp_path / "broken.json")
    annotations = read_annotations(written(tmp_path / "a.json", {"database": LABELLED}))
    with pytest.raises(InputError, match="test, train"):
        annotations.subset("validation")


def test_features_lie_on_their_time_base(tmp_path: Path) -> None:
    annotations = read_annotations(written(tmp_path / "a.json", {"database": LABELLED}))
    np.save(tmp_path / "a.npy", np.arange(12, dtype=np.float16).reshape(4, 3))
    source = FeatureDataset(tmp_path, annotations.subset("train"), ("wave",), SAMPLING, 3)
    sample = source.load(0)
    assert sample.inputs.shape == (4, 3)
    assert sample.inputs[1].tolist() == [3, 4, 5]
    # 16 frames at 25 per second: 0.64 s each, centres in the middle.
    np.testing.assert_allclose(sample.times.centre_seconds, [0.32, 0.96, 1.6, 2.24])
    thinned = source.load_for_training(0, np.random.default_rng(0), thinning=2, augment=True)
    assert len(thinned.inputs) == 2


@pytest.mark.parametrize(
    ("array", "words"),
    [
        (np.zeros((4, 5)), r"\(T, 3\)"),
        (np.zeros((0, 3)), r"\(T, 3\)"),
        (np.full((4, 3), np.nan), "NaN"),
        (np.array([{}], dtype=object), "not a readable"),
    ],
)
def test_wrong_features_are_refused(tmp_path: Path, array: np.ndarray, words: str) -> None:
    annotations = read_annotations(written(tmp_path / "a.json", {"database": LABELLED}))
    np.save(tmp_path / "a.npy", array, allow_pickle=True)
    source = FeatureDataset(tmp_path, annotations.subset("train"), ("wave",), SAMPLING, 3)
    with pytest.raises(InputError, match=words):
        source.load(0)


def test_missing_features_are_named(tmp_path: Path) -> None:
    annotations = read_annotations(written(tmp_path / "a.json", {"database": LABELLED}))
    with pytest.raises(InputError, match=r"a\.npy"):
        FeatureDataset(tmp_path, annotations.subset("train"), ("wave",), SAMPLING, 3)
