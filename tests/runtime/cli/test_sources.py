"""SOURCE arguments to jobs."""

from __future__ import annotations

import errno
import os
from pathlib import Path

import pytest

from wsgn.errors import InputError, UsageError
from wsgn.extraction.videos import expand_videos
from wsgn.runtime.cli.sources import expand_sources


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Some empty files, in the working directory."""
    for name in ("b.mp4", "a.mkv", "a.mp4", "notes.md", ".hidden.mp4", "deep/c.MOV", "odd[1].mp4"):
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def sources(*arguments: str) -> list[str]:
    return [job.source for job in expand_sources(arguments)]


def test_a_directory_gives_its_videos_sorted_with_those_of_its_folders(folder: Path) -> None:
    names = ["a.mkv", "a.mp4", "b.mp4", "deep/c.MOV", "odd[1].mp4"]
    assert sources(str(folder)) == [str(folder / name) for name in names]


def test_a_glob_is_expanded_and_a_file_with_such_a_name_is_not(folder: Path) -> None:
    assert sources("*.mp4") == ["a.mp4", "b.mp4", "odd[1].mp4"]
    assert sources("odd[1].mp4") == ["odd[1].mp4"]


def test_a_list_file_names_sources_relative_to_itself(folder: Path) -> None:
    (folder / "deep" / "list.txt").write_text("# comment\n\n../b.mp4\nc.MOV\n")
    assert sources("deep/list.txt") == ["deep/../b.mp4", "deep/c.MOV"]
    assert sources("@deep/list.txt") == ["deep/../b.mp4", "deep/c.MOV"]


def test_each_file_comes_once(folder: Path) -> None:
    assert sources("b.mp4", "deep/../b.mp4", f"file://{folder}/b.mp4") == ["b.mp4"]
    assert sources("a.mp4", str(folder / "a.mp4"), "a.m*") == ["a.mp4", "a.mkv"]


def test_results_of_different_sources_have_different_names(folder: Path) -> None:
    (folder / "deep" / "b.mp4").touch()
    names = ["a.mkv", "a.mp4", "deep/c.MOV", "deep/b.mp4", "b.mp4", "-"]
    jobs = expand_sources(names, ["b"])
    assert [job.output_name for job in jobs] == ["a", "a.mp4", "c", "b.mp4", "b.mp4-2", "stdin"]
    keys = ["a.mkv", "a.mp4", "c", "deep/b", f"{folder.name}/b", "stdin"]
    assert [job.key for job in jobs] == keys


def test_a_missing_file_fails_only_when_its_turn_comes(folder: Path) -> None:
    (job,) = expand_sources(["nothing.mp4"])
    assert job.problem is None


@pytest.mark.parametrize(
    ("argument", "code"),
    [
        ("empty", "empty_directory"),
        ("*.avi", "no_match"),
        ("@nothing", "missing"),
        ("nothing.txt", "missing"),
        ("empty.txt", "empty_list"),
        ("binary.txt", "bad_list"),
    ],
)
def test_what_gives_nothing_is_a_job_with_a_problem(folder: Path, argument: str, code: str) -> None:
    (folder / "empty").mkdir()
    (folder / "empty.txt").write_text("# nothing\n")
    (folder / "binary.txt").write_bytes(b"\xff\xfe\x00")
    (job,) = expand_sources([argument])
    assert getattr(job.problem, "code", None) == code


@pytest.mark.parametrize("argument", ["rtsp://camera/1", "0", "/dev/video7", "srt://a/b.mp4"])
def test_live_sources_are_refused_in_words(folder: Path, argument: str) -> None:
    with pytest.raises(UsageError, match="live source"):
        expand_sources([argument])


def test_a_refusal_does_not_repeat_a_password(folder: Path) -> None:
    with pytest.raises(UsageError, match="'rtsp://camera/1'"):
        expand_sources(["rtsp://user:secret@camera/1"])


@pytest.mark.parametrize(
    ("address", "words"),
    [
        ("foo://films/a.mp4", "a kind that is not known"),
        ("s3:///a.mp4", "names no bucket"),
        ("s3://somebody:hunter2@films/a.mp4", "leave them out"),
    ],
)
@pytest.mark.parametrize("end", ["", "s/"])
def test_an_address_that_no_store_could_answer_makes_the_command_wrong(
    folder: Path, address: str, words: str, end: str
) -> None:
    """A video's as a folder's; in a list it fails alone."""
    pytest.importorskip("fsspec", reason="the extra remote is not installed")
    for expand in (expand_sources, expand_videos):
        with pytest.raises(UsageError, match=words) as caught:
            expand(["a.mp4", address + end])
        assert "hunter2" not in str(caught.value)
    (folder / "list.txt").write_text(f"a.mp4\n{address}{end}\n")
    _, job = expand_sources(["list.txt"])
    assert words in str(job.problem)
    assert "hunter2" not in f"{job.problem}{job.source}"


def test_a_folder_that_cannot_be_listed_fails_alone(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Root may list all of them, so the system's answer is planted."""
    listed = os.scandir

    def refuse(path: str) -> object:
        if Path(path).name == "deep":
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
        return listed(path)

    monkeypatch.setattr(os, "scandir", refuse)
    failed, *others = expand_sources([str(folder)])
    assert failed.source == str(folder / "deep")
    assert "cannot be read: Permission denied" in str(failed.problem)
    assert [Path(job.source).name for job in others] == ["a.mkv", "a.mp4", "b.mp4", "odd[1].mp4"]
    (job,) = expand_sources([str(folder / "deep")])
    assert "cannot be read" in str(job.problem)
    with pytest.raises(InputError, match="deep cannot be read"):
        expand_videos([str(folder)])


@pytest.mark.parametrize("argument", ["n" * 300, "n" * 300 + "/*", "@" + "n" * 300])
def test_an_argument_that_can_be_no_name_is_a_job_with_a_problem(
    folder: Path, argument: str
) -> None:
    (job,) = expand_sources([argument])
    assert getattr(job.problem, "code", None) == "unreadable"


def test_what_a_folder_or_a_pattern_leaves_out_is_told_once_each(folder: Path) -> None:
    told: list[str] = []
    expand_sources([str(folder), "*", "a.mp4"], tell=told.append)
    assert told == [
        f"{folder}: left out: 1 file that does not look like a video (.md 1), 1 hidden video.",
        "*: left out: 1 folder.",
    ]
