"""The one list of what is a video, and the walk of folders."""

from __future__ import annotations

import os
from collections.abc import Iterable
from pathlib import Path

import pytest

from wsgn.video.files import (
    VIDEO_SUFFIXES,
    FolderVideos,
    is_video_name,
    matching_files,
    nothing_found,
    video_files,
    without_video_suffix,
)

# What the public reports name, and what cameras and recorders of the years write.
ENDINGS = (
    "3g2 3gp 264 265 asf av1 avi divx dv f4v flv gif h264 hevc insv ivf lrv m2t m2ts m2v m4v mjpeg "
    "mjpg mkv mod mov mp4 mpe mpeg mpg mts mxf ogm ogv qt rm ts vob webm wmv y4m"
)


def fill(folder: Path, names: Iterable[str]) -> None:
    for name in names:
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()


def names(folder: Path, found: FolderVideos) -> list[str]:
    return [str(path.relative_to(folder)) for path in found.videos]


def test_endings_count_in_any_case() -> None:
    for ending in ENDINGS.split():
        assert f".{ending}" in VIDEO_SUFFIXES
        for name in (f"a.{ending}", f"GOPR0001.{ending.upper()}", f"x.y.{ending.title()}"):
            assert is_video_name(name)
    for name in ("a.txt", "a.mp4.part", "mp4", ".mp4", "a.mp3", "a.jpg", "a.srt", "a"):
        assert not is_video_name(name)


def test_only_a_video_ending_is_taken_off() -> None:
    given = ["a.MP4", "v1.5", "a.b.mkv", "x/y.mov", "a"]
    assert [without_video_suffix(name) for name in given] == ["a", "v1.5", "a.b", "x/y", "a"]


def test_what_is_left_out_is_counted_and_named(tmp_path: Path) -> None:
    others = ("n.md", "x.jpg", "y.JPG", "README", ".h.mp4", "._b.mp4", ".t/z.mp4")
    fill(tmp_path, ("b.mp4", "deep/a.MOV", *others))
    found = video_files(tmp_path)
    assert names(tmp_path, found) == ["b.mp4", "deep/a.MOV"]
    assert found.left_out() == (
        "left out: 4 files that do not look like videos (.jpg 2, no ending 1, .md 1), "
        "1 hidden video"
    )


def test_nothing_is_said_where_nothing_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path, ("a.mp4", "b/c.webm"))
    assert video_files(tmp_path).left_out() is None


def test_a_linked_folder_is_followed_once(tmp_path: Path) -> None:
    fill(tmp_path, ("disk/a.mp4", "disk/deep/c.mp4", "videos/b.mp4"))
    videos = tmp_path / "videos"
    (videos / "train").symlink_to("../disk")
    (videos / "val").symlink_to(tmp_path / "disk")
    found = video_files(videos)
    assert names(videos, found) == ["b.mp4", "train/a.mp4", "train/deep/c.mp4"]
    assert found.left_out() == "left out: 1 link to what is read already"


def test_loops_end(tmp_path: Path) -> None:
    fill(tmp_path, ("videos/a.mp4", "videos/x/b.mp4", "other/c.mp4"))
    videos = tmp_path / "videos"
    for name, target in (("up", ".."), ("self", "."), ("x/back", "../../videos"), ("x/y", ".")):
        (videos / name).symlink_to(target)
    # Two folders that lead to each other.
    (videos / "other").symlink_to("../other")
    (tmp_path / "other" / "videos").symlink_to("../videos")
    found = video_files(videos)
    assert names(videos, found) == ["a.mp4", "other/c.mp4", "x/b.mp4"]
    assert found.num_links == 5


def test_a_link_to_a_folder_above_is_not_followed_however_it_was_reached(tmp_path: Path) -> None:
    fill(tmp_path, ("x/outside.mp4", "x/videos/a.mp4", "disk/b.mp4"))
    fill(tmp_path, ("real/not.mp4", "real/v/c.mp4"))
    videos = tmp_path / "x" / "videos"
    (videos / "train").symlink_to(tmp_path / "disk")
    # Above the folder by the way that leads through the link.
    (tmp_path / "disk" / "home").symlink_to(tmp_path / "x")
    assert names(videos, video_files(videos)) == ["a.mp4", "train/b.mp4"]
    # Above it on the disk, where the folder itself is a link.
    (tmp_path / "real" / "v" / "up").symlink_to("..")
    (tmp_path / "link").symlink_to("real/v")
    assert names(tmp_path / "link", video_files(tmp_path / "link")) == ["c.mp4"]


def test_a_folder_is_named_as_it_lies_there_not_by_a_link_to_it(tmp_path: Path) -> None:
    fill(tmp_path, ("z/deep/a.mp4",))
    (tmp_path / "a_link").symlink_to("z/deep")
    assert names(tmp_path, video_files(tmp_path)) == ["z/deep/a.mp4"]


def test_a_linked_file_comes_once_and_a_copy_by_hard_link_has_its_own_name(tmp_path: Path) -> None:
    fill(tmp_path, ("real/a.mp4", "outside.mp4", "videos/b.mp4"))
    videos = tmp_path / "videos"
    (videos / "a_latest.mp4").symlink_to("b.mp4")
    (videos / "c.mp4").symlink_to("../outside.mp4")
    (videos / "d.mp4").symlink_to("../outside.mp4")
    os.link(videos / "b.mp4", videos / "e.mp4")
    found = video_files(videos)
    assert names(videos, found) == ["b.mp4", "c.mp4", "e.mp4"]
    assert found.num_links == 2


def test_a_link_that_leads_nowhere_fails_when_its_turn_comes(tmp_path: Path) -> None:
    fill(tmp_path, ("a.mp4",))
    (tmp_path / "gone.mp4").symlink_to("nothing.mp4")
    assert names(tmp_path, video_files(tmp_path)) == ["a.mp4", "gone.mp4"]


def test_a_fifo_in_a_folder_is_left_out(tmp_path: Path) -> None:
    fill(tmp_path, ("a.mp4", "c.mp4"))
    os.mkfifo(tmp_path / "b.mp4")
    (tmp_path / "link.mp4").symlink_to("b.mp4")
    (tmp_path / "null.mp4").symlink_to("/dev/null")
    found = video_files(tmp_path)
    assert names(tmp_path, found) == ["a.mp4", "c.mp4"]
    assert found.left_out() == "left out: 3 FIFOs, sockets or devices"


def test_a_pattern_takes_any_ending_and_names_what_is_no_file(tmp_path: Path) -> None:
    fill(tmp_path, ("a.mp4", "a.xyz", "ad/b.mp4"))
    os.mkfifo(tmp_path / "a.mkv")
    found = matching_files(str(tmp_path / "a*"))
    assert names(tmp_path, found) == ["a.mp4", "a.xyz"]
    assert found.left_out() == "left out: 1 FIFO, socket or device, 1 folder"


@pytest.mark.parametrize(
    ("files", "rest"),
    [((), ""), (("a.txt",), " (left out: 1 file that does not look like a video (.txt 1))")],
)
def test_a_folder_without_videos_says_what_is_there(
    tmp_path: Path, files: tuple[str, ...], rest: str
) -> None:
    fill(tmp_path, files)
    sentence = nothing_found(str(tmp_path), video_files(tmp_path))
    assert f"holds no video files, nor do the folders in it{rest};" in sentence
