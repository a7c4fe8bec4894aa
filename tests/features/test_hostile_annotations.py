"""Annotation folders of strangers, whose columns hold what no column does."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from wsgn.data.annotations import VideoAnnotation, write_annotations
from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError
from wsgn.features.annotation_layouts import read_any_annotations

NAMES = ("a", "b", "c")
GOOD: dict[str, list[Any]] = {
    "videoname": [*NAMES],
    "classlist": ["wave", "jump"],
    "subset": ["train"] * 3,
    "duration": [2.0] * 3,
    "original_fps": [25.0] * 3,
    "labels": [["wave"]] * 3,
    "labels_all": [["wave"]] * 3,
    "segments": [[[0.5, 1.5]]] * 3,
}
ODD = [
    None, True, 1, -1.5, float("nan"), float("inf"), 10**30, "x", "\ud800", "", b"b", [], [[]],
    [None], ["a", 1], [["a"]], {"a": 1}, (1,), [[1, 2, 3]], [["a", "b"]], [[1, float("nan")]],
    [[2, 1]], "a\0",
]  # fmt: skip


def by_name(video: VideoAnnotation) -> str:
    return video.name


def write(folder: Path, columns: dict[str, list[Any]]) -> None:
    for name, values in columns.items():
        holder = np.empty(len(values), dtype=object)
        for index, value in enumerate(values):
            holder[index] = value
        np.save(folder / f"{name}.npy", holder, allow_pickle=True)


def test_the_folder_that_the_others_differ_from_is_read(tmp_path: Path) -> None:
    write(tmp_path, GOOD)
    found = read_any_annotations([str(tmp_path)])
    assert [video.name for video in found.videos] == [*NAMES]
    assert found.videos[0].segments == (("wave", 0.5, 1.5),)


@pytest.mark.parametrize("column", GOOD)
def test_an_odd_value_is_refused_or_can_be_written_and_read_back(
    tmp_path: Path, column: str
) -> None:
    for value in ODD:
        for values in ([value, *GOOD[column][1:]], [value] * len(GOOD[column]), [value]):
            write(tmp_path, GOOD | {column: values})
            try:
                found = read_any_annotations([str(tmp_path)])
            except InputError:
                continue
            write_annotations(tmp_path / "a.json", found)
            again = read_annotations(tmp_path / "a.json")
            # Read back they are sorted by name.
            assert sorted(again.videos, key=by_name) == sorted(found.videos, key=by_name)
            assert again.classes == found.classes


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (b"a 1", "line 1 is not"),
        (b"a 0 1\n\na 1 2 3", "line 3 is not"),
        (b"a nan 2", "finite seconds"),
        (b"a 1 1e400", "finite seconds"),
        (b"a 3 1", "before it starts"),
        (b"a \xff 1", "cannot be read"),
    ],
)
def test_odd_ambiguous_intervals_are_refused(tmp_path: Path, text: bytes, words: str) -> None:
    write(tmp_path, GOOD)
    (tmp_path / "Ambiguous_test.txt").write_bytes(text)
    with pytest.raises(InputError, match=words):
        read_any_annotations([str(tmp_path)])
