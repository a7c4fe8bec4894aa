"""A folder for each class as annotations."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError


def _tree(folder: Path, *names: str) -> Path:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return folder


def test_classes_and_background(tmp_path: Path) -> None:
    _tree(tmp_path, "walk/1.mp4", "walk/deep/er.MOV", "jump/1.avi", "No Action/1.mkv", "notes.txt")
    found = read_annotations(tmp_path)
    assert found.classes == ("jump", "walk")
    assert [(video.name, video.labels, video.subset) for video in found.videos] == [
        ("No Action/1", (), "train"),
        ("jump/1", ("jump",), "train"),
        ("walk/1", ("walk",), "train"),
        ("walk/deep/er", ("walk",), "train"),
    ]
    assert found.dataset == tmp_path.name


def test_subset_folders(tmp_path: Path) -> None:
    _tree(tmp_path, "train/walk/1.mp4", "val/walk/2.mp4", "Test/background/3.mp4")
    found = read_annotations(tmp_path)
    assert [(video.name, video.subset) for video in found.videos] == [
        ("Test/background/3", "test"),
        ("train/walk/1", "train"),
        ("val/walk/2", "validation"),
    ]


def test_names_that_differ_in_their_ending(tmp_path: Path) -> None:
    _tree(tmp_path, "walk/1.mp4", "walk/1.avi")
    assert [v.name for v in read_annotations(tmp_path).videos] == ["walk/1.avi", "walk/1.mp4"]


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((), "holds no videos"),
        (("a.mp4", "walk/b.mp4"), "'a.mp4' .* in no folder of a class"),
        (("train/a.mp4",), "'a.mp4' .* in no folder of a class"),
        (("walk/a.mp4", "jump/readme.txt"), "jump' holds no video"),
        (("train/walk/a.mp4", "train/jump/readme.txt"), "jump' holds no video"),
        (("background/a.mp4",), "at least one class"),
    ],
)
def test_what_is_wrong_is_said(tmp_path: Path, names: tuple[str, ...], words: str) -> None:
    with pytest.raises(InputError, match=words):
        read_annotations(_tree(tmp_path, *names))
