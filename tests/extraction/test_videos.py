"""VIDEO arguments: files, folders and patterns."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.errors import InputError, UsageError
from wsgn.extraction.videos import expand_videos


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    for name in ("b.mp4", "a.MKV", "deep/c.webm", ".hidden.mp4", "words.txt", ".d/e.mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    return tmp_path


def names(*arguments: object) -> list[str]:
    return [video.name for video in expand_videos([str(argument) for argument in arguments])]


def test_a_folder_gives_its_videos(folder: Path) -> None:
    assert names(folder) == ["a", "b", "c"]


def test_a_pattern_gives_its_files(folder: Path) -> None:
    assert names(folder / "**" / "*.webm", folder / "?.mp4") == ["c", "b"]


def test_a_file_comes_once_and_a_missing_one_stays(folder: Path) -> None:
    assert names(folder / "b.mp4", folder, folder / "none.mp4") == ["b", "a", "c", "none"]


def test_two_videos_of_one_name_in_a_folder_are_named_by_their_paths(folder: Path) -> None:
    (folder / "deep" / "b.mp4").touch()
    (folder / "deep" / "b.avi").touch()
    assert names(folder) == ["a", "b", "deep/b.avi", "deep/b.mp4", "c"]


def test_two_videos_of_one_name_are_refused(folder: Path) -> None:
    (folder / "deep" / "b.mp4").touch()
    with pytest.raises(UsageError, match=r"both give features named 'b'"):
        expand_videos([str(folder / "b.mp4"), str(folder / "deep" / "b.mp4")])


def test_nothing_found_is_said(folder: Path) -> None:
    with pytest.raises(InputError, match="no file matches"):
        expand_videos([str(folder / "*.avi")])
    (folder / "empty").mkdir()
    with pytest.raises(InputError, match="holds no video files"):
        expand_videos([str(folder / "empty")])
