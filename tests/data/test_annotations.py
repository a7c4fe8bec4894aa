"""Annotations: what is read, and what is refused with a sentence."""

from __future__ import annotations

import json
import math
from pathlib import Path

import numpy as np
import pytest

from wsgn.data.annotations import (
    Annotations,
    VideoAnnotation,
    checked_annotations,
    snippet_labels,
    write_annotations,
)
from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError

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
    video = VideoAnnotation(
        name="v", subset="train", duration_seconds=None, labels=(), segments=tuple(annotations)
    )
    labels = snippet_labels(video, np.array([0.9, 1.0, 1.5, 2.0, 2.1]), ("jump", "wave"))
    assert labels[:, 1].tolist() == [0, 1, 1, 1, 0]
    assert labels[:, 0].sum() == 0


def test_labels_are_those_of_the_segments_where_the_file_names_none(tmp_path: Path) -> None:
    segments = [{"label": "wave", "segment": [0, 1]}, {"label": "bow", "segment": [1, 2]}]
    videos = {
        "none": {"subset": "s", "annotations": segments},
        "null": {"subset": "s", "annotations": segments, "labels": None},
        "empty": {"subset": "s", "annotations": segments, "labels": []},
    }
    path = written(tmp_path / "a.json", {"database": videos})
    labels = {video.name: video.labels for video in read_annotations(path).videos}
    # An empty list is what the file says: nothing is known to occur.
    assert labels == {"none": ("bow", "wave"), "null": ("bow", "wave"), "empty": ()}


def test_without_classes_all_labels_are_classes(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", {"database": DATABASE})
    assert read_annotations(path).classes == ("jump", "wave")


def test_labels_can_be_derived_from_the_segments(tmp_path: Path) -> None:
    path = written(tmp_path / "a.json", {"database": DATABASE, "classes": ["wave", "jump"]})
    (video,) = read_annotations(path, labels_from_segments=True).subset("train")
    assert video.labels == ("jump",)


def test_the_file_of_activitynet_is_read(tmp_path: Path) -> None:
    """With the fields, and without the annotations of the test set, that it has."""
    videos = {
        "one": {
            "subset": "training", "resolution": "320x240", "url": "https://example.org/one",
            "duration": 82.75, "annotations": [{"segment": [0.01, 8.3], "label": "Long jump"}],
        },
        "two": {"subset": "testing", "duration": 9.5, "annotations": []},
    }  # fmt: skip
    document = {"version": "VERSION 1.3", "taxonomy": [{"nodeName": "Root"}], "database": videos}
    annotations = read_annotations(written(tmp_path / "a.json", document))
    assert annotations.classes == ("Long jump",)
    assert annotations.subset("training")[0].segments == (("Long jump", 0.01, 8.3),)
    assert annotations.subset("testing")[0].labels == ()


def test_frame_rates_and_ambiguous_intervals_are_read(tmp_path: Path) -> None:
    videos = {
        "fps": {"subset": "s", "fps": 29.97, "duration": 10, "ambiguous": [[1, 2.5]]},
        "frame": {"subset": "s", "frame": 250, "duration": 10, "labels": ["wave"]},
        "null": {"subset": "s", "fps": None, "duration": None, "ambiguous": None},
    }
    path = written(tmp_path / "a.json", {"database": videos})
    fps, frame, null = read_annotations(path).videos
    assert (fps.frame_rate, fps.ambiguous) == (29.97, ((1.0, 2.5),))
    assert (frame.frame_rate, frame.ambiguous) == (25.0, ())
    assert (null.frame_rate, null.duration_seconds, null.ambiguous) == (None, None, ())


def test_what_is_written_is_read(tmp_path: Path) -> None:
    full = VideoAnnotation(
        name="a",
        subset="train",
        duration_seconds=1 / 3,
        labels=("wävé", "bow"),
        segments=(("bow", 0.1, 0.2), ("bow", 0.0, 0.3)),
        frame_rate=30000 / 1001,
        ambiguous=((0.2, 0.25),),
    )
    empty = VideoAnnotation(name="b", subset="x", duration_seconds=None, labels=(), segments=())
    annotations = Annotations(classes=("wävé", "bow"), videos=(full, empty))
    write_annotations(tmp_path / "a.json", annotations)
    assert read_annotations(tmp_path / "a.json") == annotations


@pytest.mark.parametrize(
    ("document", "words"),
    [
        ([], "where an object is needed"),
        ({}, "no 'database'"),
        ({"database": {}}, "no videos"),
        ({"database": {"v": {"annotations": []}}}, "'v' has no 'subset'"),
        ({"database": {"v": {"subset": "train", "annotations": [{"label": "x"}]}}}, "'segment'"),
        ({"database": {"v": {"subset": "s", "duration": 10**400}}}, "finite number is needed"),
        ({"database": {"v": {"subset": "s", "duration": "9"}}}, "number is needed"),
        ({"database": {"v": {"subset": "s", "ambiguous": [[2, 1]]}}}, "before it starts"),
        ({"database": DATABASE, "classes": ["jump"]}, "wave"),
        ({"database": DATABASE, "classes": ["jump", "wave", "wave"]}, "only once"),
        ({"database": {"v": {"subset": "train"}}}, "at least one class"),
        ({"database": {"v": {"subset": "train", "labels": "wave"}}}, "list is needed"),
    ],
)
def test_wrong_annotations_are_refused(tmp_path: Path, document: object, words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_annotations(written(tmp_path / "a.json", document))


def test_missing_and_broken_files_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="No such file"):
        read_annotations(tmp_path / "none.json")
    (tmp_path / "broken.json").write_text("{")
    with pytest.raises(InputError, match="is not JSON"):
        read_annotations(tmp_path / "broken.json")
    annotations = read_annotations(written(tmp_path / "a.json", {"database": LABELLED}))
    with pytest.raises(InputError, match="test, train"):
        annotations.subset("validation")


def test_one_video_without_a_duration_does_not_stop_the_others(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    entries = {
        "zero": {"duration": 0, "frame": 250},
        "below": {"duration": -1},
        "rate": {"duration": 3, "fps": 0},
        "whole": {"duration": 10, "frame": 250, "labels": ["wave"]},
    }
    database = {name: {"subset": "s"} | entry for name, entry in entries.items()}
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"database": database}))
    videos = {video.name: video for video in read_annotations(path).videos}
    assert {n: (v.duration_seconds, v.frame_rate) for n, v in videos.items()} == {
        "zero": (None, None), "below": (None, None), "rate": (3.0, None), "whole": (10.0, 25.0),
    }  # fmt: skip
    assert "has the duration -1 (and 2 more like it), which counts as unknown" in caplog.text


@pytest.mark.parametrize(("name", "told"), [("Background", True), ("backgrounds", False)])
def test_a_background_that_would_be_learned_as_an_action_is_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, name: str, told: bool
) -> None:
    database = {"a": {"subset": "s", "labels": ["wave"]}, "b": {"subset": "s", "labels": [name]}}
    path = written(tmp_path / "a.json", {"database": database})
    assert read_annotations(path).classes == (name, "wave")
    assert ("'Background' is learned and found as an action" in caplog.text) == told
    caplog.clear()
    # Whoever lists it means it.
    path = written(tmp_path / "b.json", {"database": database, "classes": ["wave", name]})
    assert read_annotations(path).classes == ("wave", name)
    assert caplog.text == ""


@pytest.mark.parametrize("end", [math.nan, math.inf])
def test_segments_that_are_no_times_are_refused(end: float) -> None:
    """As arrays of others can hold them; JSON cannot."""
    video = VideoAnnotation(
        name="v", subset="s", duration_seconds=9.0, labels=(), segments=(("wave", 1.0, end),)
    )
    with pytest.raises(InputError, match=r"'v' has a segment from 1\.0 to"):
        checked_annotations("here", ("wave",), [video])


def test_names_that_no_file_can_have_are_written_and_read_back(tmp_path: Path) -> None:
    """Lone surrogates, controls and letters of any script; only a conversion needs files."""
    names = ("\ud800", "a\0b", "\u202e\u4e2d", "line\nend", 'quote"')
    videos = tuple(
        VideoAnnotation(name=name, subset="s", duration_seconds=1.0, labels=("wave",), segments=())
        for name in sorted(names)
    )
    annotations = Annotations(classes=("wave",), videos=videos)
    write_annotations(tmp_path / "a.json", annotations)
    assert read_annotations(tmp_path / "a.json") == annotations


@pytest.mark.parametrize(
    ("path", "more", "dataset"),
    [
        ("thumos14.json", {}, "thumos14"),
        ("thumos14.json", {"version": "VERSION 1.3"}, "thumos14"),
        ("kitchen/annotations.json", {"version": 3}, "kitchen"),
        ("a.json", {"version": "wsgn-synthetic-videos-1"}, "synthetic videos"),
        ("a.json", {"version": "wsgn-synthetic-features-1"}, "synthetic features"),
        (f"{'a' * 220}.json", {}, "a" * 200),
    ],
)
def test_a_dataset_has_a_name(
    tmp_path: Path, path: str, more: dict[str, object], dataset: str
) -> None:
    (tmp_path / path).parent.mkdir(exist_ok=True)
    database = {"a": {"subset": "train", "labels": ["wave"]}}
    (tmp_path / path).write_text(json.dumps({"database": database} | more))
    assert read_annotations(tmp_path / path).dataset == dataset


def test_what_was_made_up_stays_so_when_it_is_written_again(tmp_path: Path) -> None:
    database = {"a": {"subset": "train", "labels": ["wave"]}}
    document = {"database": database, "version": "wsgn-synthetic-features-1"}
    (tmp_path / "a.json").write_text(json.dumps(document))
    write_annotations(tmp_path / "b.json", read_annotations(tmp_path / "a.json"))
    assert read_annotations(tmp_path / "b.json").dataset == "synthetic features"
