"""Outputs that cannot be written, through the command line."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest
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


def test_an_output_that_is_a_file_is_6(run: Run, tmp_path: Path, video_path: Path) -> None:
    (tmp_path / "file").touch()
    outcome = run(video_path, "-o", tmp_path / "file")
    assert (outcome.code, outcome.events) == (6, [])
    assert "cannot write" in outcome.err


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
