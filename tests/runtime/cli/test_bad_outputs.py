"""Outputs that cannot be written, through the command line."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
from contents import contents
from outcomes import Run


def test_an_output_that_exists_is_refused_before_decoding(
    run: Run, tmp_path: Path, video_path: Path
) -> None:
    existing = tmp_path / f"{video_path.stem}.csv"
    existing.write_text("mine")
    arguments = (video_path, "-o", tmp_path, "-f", "csv,json")
    refused = run(*arguments)
    assert (refused.code, refused.events) == (6, [])
    assert "exists already" in refused.err
    assert existing.read_text() == "mine"
    assert run(*arguments, "--overwrite").code == 0
    assert existing.read_text().startswith("video,label")
    resumed = run(*arguments, "--resume")
    assert resumed.code == 0
    assert not resumed.of_type("source")
    assert "1 of 1 source done: all of them were already there" in resumed.err


def test_several_outputs_that_exist_are_counted(run: Run, tmp_path: Path, video_path: Path) -> None:
    other = tmp_path / "other.mp4"
    shutil.copy(video_path, other)
    arguments = (video_path, other, "-o", tmp_path / "out", "-f", "csv")
    assert run(*arguments).code == 0
    # Two, and the document of both.
    assert "and 2 more exist already" in run(*arguments).err
    (tmp_path / "out" / "other.csv").unlink()
    assert "2 of 2 sources done, 1 of them already there." in run(*arguments, "--resume").err
    assert "2 of 2 sources done: all of them were" in run(*arguments, "--resume").err


@pytest.mark.parametrize(
    ("kind", "damage"),
    [
        ("csv", b"video,label\nother,a\n"),
        ("csv", b"video,label,start_seconds,end_seconds,score\nother,a,1,nan,0.5\n"),
        ("csv", b'video,label,start_seconds,end_seconds,score\nother,"a'),
        ("csv", b"\xff\xfe"),
        ("json", b"{}"),
        ("json", b'{"results": {"a": [{"label": 1, "segment": [0, 1], "score": 1}]}}'),
    ],
)
def test_an_earlier_result_that_cannot_be_joined_is_told(
    run: Run, tmp_path: Path, video_path: Path, kind: str, damage: bytes
) -> None:
    other = tmp_path / "other.mp4"
    shutil.copy(video_path, other)
    (tmp_path / f"planted.{kind}").write_bytes(damage)
    outcome = run(video_path, other, "-o", tmp_path, "-f", kind, "--resume")
    assert outcome.code == 6
    assert "planted." in outcome.err
    assert "cannot be read: remove it, or add --overwrite" in outcome.err


@pytest.mark.parametrize("workers", [(), ("--workers", 1)])
def test_what_another_run_has_made_is_not_resumed(
    run: Run, tmp_path: Path, video_path: Path, workers: tuple[str | int, ...]
) -> None:
    """Neither with other options nor with another engine; nothing is changed."""
    other = tmp_path / "other.mp4"
    shutil.copy(video_path, other)
    arguments = (video_path, other, "-o", tmp_path / "out", "-f", "jsonl,csv", *workers)
    assert run(*arguments).code == 0
    path = tmp_path / "out" / "other.jsonl"
    (tmp_path / "out" / f"{video_path.stem}.jsonl").unlink()
    before = contents(tmp_path / "out")
    refused = run(*arguments, "--resume", "--threshold", "0.9")
    assert (refused.code, refused.events) == (6, [])
    assert f"'{path}' was made with other options of detection, and --resume" in refused.err
    assert contents(tmp_path / "out") == before
    first, rest = path.read_text().split("\n", 1)
    line = json.loads(first)
    path.write_text(json.dumps(line | {"engine_sha256": "0" * 64}) + "\n" + rest)
    refused = run(*arguments, "--resume")
    assert (refused.code, refused.events) == (6, [])
    assert "other.jsonl' was made with another engine, and --resume" in refused.err
    path.write_text("[")
    assert "cannot be read: remove it, or add --overwrite" in run(*arguments, "--resume").err
    path.write_text(f"{first}\n{rest}")
    assert "2 of 2 sources done, 1 of them already there." in run(*arguments, "--resume").err


def test_an_output_that_is_a_file_is_6(run: Run, tmp_path: Path, video_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = run(video_path, "-o", tmp_path / "file")
    assert (outcome.code, outcome.events) == (6, [])
    assert "cannot write" in outcome.err


@pytest.mark.parametrize("name", ["x" * 300, "a/" + "x" * 300, "x/" * 3000])
def test_an_output_that_no_folder_can_be_called_is_6(
    run: Run, tmp_path: Path, video_path: Path, name: str
) -> None:
    outcome = run(video_path, "-o", tmp_path / name)
    assert (outcome.code, outcome.events) == (6, [])
    assert "too long" in outcome.err
    assert list(tmp_path.iterdir()) == []


def test_a_read_only_output_is_6(run: Run, tmp_path: Path, video_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    outcome = run(video_path, "-o", tmp_path / "out")
    tmp_path.chmod(0o700)
    assert outcome.code == 6


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="needs /dev/full")
def test_a_full_stdout_is_6_in_one_sentence(
    command: list[str], environment: dict[str, str], engine_path: Path, video_path: Path
) -> None:
    with Path("/dev/full").open("wb") as full:
        done = subprocess.run(
            [*command, str(video_path), "-e", str(engine_path)],
            stdout=full,
            stderr=subprocess.PIPE,
            env=environment,
            text=True,
            check=False,
        )
    assert done.returncode == 6
    assert done.stderr.strip().splitlines() == [
        "wsgn-run: error: cannot write 'standard output' (no space left on device): free or choose "
        "another place with --output."
    ]


def test_a_closed_pipe_is_quiet(
    command: list[str], environment: dict[str, str], engine_path: Path, video_path: Path
) -> None:
    reading, writing = os.pipe()
    os.close(reading)
    done = subprocess.run(
        [*command, str(video_path), "-e", str(engine_path)],
        stdout=writing,
        stderr=subprocess.PIPE,
        env=environment,
        text=True,
        check=False,
    )
    os.close(writing)
    assert (done.returncode, done.stderr) == (6, "")
