"""What is wrong with somebody's clips is one sentence, before anything is trained."""

from __future__ import annotations

import shutil
from collections.abc import Mapping
from pathlib import Path

import pytest
from drawn_clips import write_clip

from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError
from wsgn.learning.check import CheckedClips, check_clips


def folder_of(folder: Path, counts: Mapping[str, int]) -> Path:
    """Clips of classes, each of another content."""
    for number, (label, count) in enumerate(counts.items()):
        for index in range(count):
            write_clip(folder / label / f"{index}.mp4", shade=10 * number + index)
    return folder


def checked(folder: Path) -> CheckedClips:
    return check_clips(read_annotations(folder), folder, least_seconds=0.3)


def test_good_clips_are_all_kept_and_few_are_told(tmp_path: Path) -> None:
    found = checked(folder_of(tmp_path, {"walk": 3, "jump": 3, "background": 1}))
    assert len(found.annotations.videos) == len(found.digests) == 7
    assert found.annotations.classes == ("jump", "walk")
    assert ["few clips of 'jump', 'walk'" in notice for notice in found.notices] == [True]


def test_no_background_is_told(tmp_path: Path) -> None:
    found = checked(folder_of(tmp_path, {"walk": 10, "jump": 10}))
    assert len(found.notices) == 1
    assert "no clips of background" in found.notices[0]


def test_what_cannot_be_read_and_what_is_short_is_left_out(tmp_path: Path) -> None:
    folder_of(tmp_path, {"walk": 4, "jump": 3, "background": 1})
    (tmp_path / "walk" / "0.mp4").write_bytes(b"no video at all")
    (tmp_path / "walk" / "nothing.mp4").touch()
    write_clip(tmp_path / "jump" / "short.mp4", shade=90, num_frames=2)
    found = checked(tmp_path)
    names = {video.name for video in found.annotations.videos}
    assert not names & {"walk/0", "walk/nothing", "jump/short"}
    assert len(names) == 7
    assert "left out: " in found.notices[0]
    assert "and 1 more cannot be read" in found.notices[0]
    assert found.notices[1].startswith("left out: 'jump/short', shorter than 0.3 s")


def test_a_copy_is_left_out_and_one_of_another_class_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, {"walk": 3, "jump": 3, "background": 1})
    shutil.copy(tmp_path / "walk" / "0.mp4", tmp_path / "walk" / "copy.mp4")
    found = checked(tmp_path)
    assert len(found.annotations.videos) == 7
    assert found.notices[0] == "left out: 'walk/copy', copies of other clips."
    shutil.copy(tmp_path / "walk" / "1.mp4", tmp_path / "jump" / "9.mp4")
    with pytest.raises(InputError, match=r"'jump/9' \(jump\) and 'walk/1' \(walk\) are the same"):
        checked(tmp_path)


def test_all_clips_equal_leave_too_few(tmp_path: Path) -> None:
    folder_of(tmp_path, {"walk": 1, "background": 3})
    for index in range(1, 6):
        shutil.copy(tmp_path / "walk" / "0.mp4", tmp_path / "walk" / f"{index}.mp4")
    with pytest.raises(InputError, match=r"'walk' has 1 clip.* at least 3"):
        checked(tmp_path)


def test_a_refusal_says_why_clips_are_left_out_and_which_classes_may_be_one(
    tmp_path: Path,
) -> None:
    folder_of(tmp_path, {"walk": 3, "Walk ": 1, "background": 3})
    (tmp_path / "Walk " / "broken.mp4").write_bytes(b"no video")
    with pytest.raises(InputError) as refused:
        checked(tmp_path)
    assert "'Walk ' has 1 clip that can be used" in str(refused.value)
    assert "broken.mp4 is not a video" in str(refused.value)
    assert "'Walk ', 'walk' are different classes: name them alike" in str(refused.value)


def test_two_clips_are_too_few(tmp_path: Path) -> None:
    with pytest.raises(InputError, match=r"'jump', 'walk' have 1 clip each that.* at least 3"):
        checked(folder_of(tmp_path, {"walk": 1, "jump": 1}))


def test_one_class_needs_something_else(tmp_path: Path) -> None:
    folder_of(tmp_path, {"walk": 3})
    with pytest.raises(InputError, match=r"all clips show 'walk': .* folder 'background'"):
        checked(tmp_path)
    assert checked(folder_of(tmp_path, {"walk": 3, "nothing": 1})).annotations.classes == ("walk",)


def test_a_class_that_its_camera_tells_is_told(tmp_path: Path) -> None:
    folder_of(tmp_path, {"walk": 3, "jump": 3, "background": 1})
    for index in range(3):
        write_clip(tmp_path / "hop" / f"{index}.mp4", shade=60 + index, width=96)
    found = checked(tmp_path)
    assert [notice for notice in found.notices if "the clips of 'hop' differ" in notice]
    for index in range(3):
        write_clip(tmp_path / "hop" / f"{index}.mp4", shade=60 + index, width=96 + 16 * index)
    assert not [notice for notice in checked(tmp_path).notices if "differ" in notice]


def test_a_class_without_clips_is_refused(tmp_path: Path) -> None:
    folder_of(tmp_path, {"walk": 3, "jump": 3})
    (tmp_path / "hop").mkdir()
    with pytest.raises(InputError, match="hop' holds no video"):
        checked(tmp_path)


def test_a_name_in_a_table_that_no_file_has_is_told(tmp_path: Path) -> None:
    folder_of(tmp_path, {"walk": 3, "jump": 3})
    table = tmp_path / "clips.csv"
    rows = [f"{label}/{index}.mp4,{label}" for label in ("walk", "jump") for index in range(3)]
    table.write_text("\n".join(["video,label", *rows, "walk/7.mp4,walk"]))
    found = check_clips(read_annotations(table), tmp_path, least_seconds=0.3)
    assert "'walk/7.mp4' is not in" in found.notices[0]
    assert len(found.annotations.videos) == 6
