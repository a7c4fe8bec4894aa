"""Names of annotations to video files."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from wsgn.data.video_folder import VideoFolder
from wsgn.errors import InputError
from wsgn.video.files import VIDEO_SUFFIXES


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    names = ("bikes.mp4", "GOPR0001.MP4", "sport/IMG 000.mov", "v1.5.mkv", "two.mp4", "two.avi")
    for name in (*names, "x/same.mp4", "y/same.mp4", "deep/er/only.ts", "e\u0301te.mp4"):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    return tmp_path


@pytest.mark.parametrize(
    ("name", "file"),
    [
        ("bikes", "bikes.mp4"),
        ("bikes.mp4", "bikes.mp4"),
        ("bikes.MP4", "bikes.mp4"),
        ("GOPR0001", "GOPR0001.MP4"),
        ("GOPR0001.mp4", "GOPR0001.MP4"),
        ("sport/IMG 000", "sport/IMG 000.mov"),
        ("sport/IMG 000.mov", "sport/IMG 000.mov"),
        # As wsgn-run and wsgn-features name it.
        ("IMG 000", "sport/IMG 000.mov"),
        ("only", "deep/er/only.ts"),
        ("v1.5", "v1.5.mkv"),
        ("two.avi", "two.avi"),
        ("x/same", "x/same.mp4"),
        # The same letters, stored in another way.
        ("\u00e9te", "e\u0301te.mp4"),
    ],
)
def test_a_name_finds_its_file(folder: Path, name: str, file: str) -> None:
    assert VideoFolder(folder).find(name) == folder / file


@pytest.mark.parametrize("ending", sorted(VIDEO_SUFFIXES))
def test_every_ending_is_found(tmp_path: Path, ending: str) -> None:
    (tmp_path / f"a{ending}").touch()
    (tmp_path / f"B{ending.upper()}").touch()
    videos = VideoFolder(tmp_path)
    assert [videos.find(name).suffix for name in ("a", "B")] == [ending, ending.upper()]


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("two", r"'two' may be any of 'two\.avi', 'two\.mp4'"),
        ("same", r"'same' may be any of 'x/same\.mp4', 'y/same\.mp4'"),
        ("sport/only", "'sport/only' is not in"),
        ("nothing", "'nothing' is not in .*: no video file there"),
        ("bikes.mkv", r"'bikes\.mkv' is not in .*, which has 'bikes\.mp4' instead"),
        ("a\x00b", r"'a\\u0000b' is not in"),
        ("\ud800", r"'\\ud800' is not in"),
        ("n" * 300, "is not in"),
        (f"{'d' * 300}/a", "is not in|cannot be read"),
        ("", "'' is not in"),
    ],
)
def test_what_is_not_one_file_is_said(folder: Path, name: str, message: str) -> None:
    with pytest.raises(InputError, match=message):
        VideoFolder(folder).find(name)


def test_a_fifo_is_no_video_of_a_dataset(folder: Path) -> None:
    os.mkfifo(folder / "pipe.mp4")
    (folder / "gone.mp4").symlink_to("nowhere.mp4")
    for name in ("pipe", "gone"):
        with pytest.raises(InputError, match=f"'{name}' is no file"):
            VideoFolder(folder).find(name)


def test_a_folder_that_is_not_there_is_said(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be read"):
        VideoFolder(tmp_path / "nothing").find("a")
