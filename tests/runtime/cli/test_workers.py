"""A run in several processes: the same results, and one that dies or hangs costs its source."""

from __future__ import annotations

import json
import os
import signal
import subprocess
from pathlib import Path

import planted
import pytest
from contents import contents, without
from outcomes import Run
from planted_faults import plant_faults

from wsgn.runtime.cli.main import main

FORMATS = "jsonl,json,csv,html"


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Six short videos, and one that is none."""
    return planted.write_sources(
        tmp_path_factory.mktemp("worked"), ("a", "b", "crash", "d", "hang", "f")
    )


def test_workers_write_what_one_process_writes(run: Run, videos: Path, tmp_path: Path) -> None:
    one, two = tmp_path / "one", tmp_path / "two"
    alone = run(videos, "-o", one, "-f", FORMATS, "--threads", 1)
    shared = run(videos, "-o", two, "-f", FORMATS, "--threads", 1, "--workers", 2)
    assert (alone.code, shared.code) == (4, 4)
    assert contents(one) == contents(two)
    # On stdout the sources come as they end, each whole.
    by_source: list[dict[str, list[object]]] = []
    for outcome in (alone, shared):
        current, found = "", {}
        for event in outcome.events:
            assert event.pop("seq") == sum(map(len, found.values()))
            current = event.get("source", current)
            found.setdefault(current, []).append(event)
        by_source.append(found)
    assert by_source[0] == by_source[1]
    # All is there: no source is done again.
    assert run(videos, "-o", two, "-f", FORMATS, "--workers", 2, "--resume").code == 4
    assert contents(one) == contents(two)


def test_a_crash_and_a_hang_cost_one_source_each(
    run: Run,
    videos: Path,
    engine_path: Path,
    tmp_path: Path,
    command: list[str],
    environment: dict[str, str],
) -> None:
    one, shared = tmp_path / "one", tmp_path / "shared"
    run(videos, "-o", one, "-f", "jsonl,json", "--threads", 1)
    path = os.pathsep.join((plant_faults(tmp_path), environment["PYTHONPATH"]))
    words = [videos, "-e", engine_path, "-o", shared, "-f", "jsonl,json", "--threads", 1]
    words += ["--workers", 2, "--stall-limit", 8]
    ended = subprocess.run(
        [*command, *map(str, words)],
        env=environment | {"PYTHONPATH": path},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert ended.returncode == 4, ended.stderr
    assert "Traceback" not in ended.stderr
    assert "crash.mp4: the process that worked on it has ended (SIGSEGV)" in ended.stderr
    assert "hang.mp4: nothing came of it for 8 s" in ended.stderr
    assert "3 of 7 sources failed" in ended.stderr
    events = [json.loads(line) for line in ended.stdout.splitlines()]
    codes = {Path(e["source"]).name: e["code"] for e in events if e["type"] == "error"}
    assert codes.keys() == {"crash.mp4", "hang.mp4", "none.mp4"}
    assert (codes["crash.mp4"], codes["hang.mp4"]) == ("crashed", "stalled")
    # Every file but theirs is that of one process, and nothing else is left.
    left_out = without("crash", "hang", "detections")
    assert contents(shared, left_out) == contents(one, left_out)
    merged = json.loads((shared / "detections.json").read_bytes())["results"]
    assert list(merged) == ["a", "b", "d", "f"]


def test_a_worker_that_dies_last_leaves_nothing_under_a_temporary_name(
    run: Run,
    videos: Path,
    tmp_path: Path,
    environment: dict[str, str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    faults = os.pathsep.join((plant_faults(tmp_path), environment["PYTHONPATH"]))
    monkeypatch.setenv("PYTHONPATH", faults)
    names = [videos / "a.mp4", videos / "crash.mp4"]
    assert run(*names, "-o", tmp_path / "out", "-f", "jsonl", "--workers", 1).code == 4
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a.jsonl"]


@pytest.mark.parametrize("workers", [(), ("--workers", 1)])
def test_fail_fast_begins_no_other_source(
    run: Run, videos: Path, tmp_path: Path, workers: tuple[object, ...]
) -> None:
    names = [videos / "none.mp4", videos / "a.mp4"]
    assert run(*names, "-o", tmp_path / "out", "--fail-fast", *workers).code == 3
    assert not (tmp_path / "out").exists()


def test_a_signal_keeps_what_was_found_and_ends_the_workers(
    videos: Path,
    engine_path: Path,
    tmp_path: Path,
    command: list[str],
    environment: dict[str, str],
) -> None:
    path = os.pathsep.join((plant_faults(tmp_path), environment["PYTHONPATH"]))
    names = [videos / f"{name}.mp4" for name in ("a", "hang", "b")]
    words = [*names, "-e", engine_path, "-o", tmp_path / "out", "--workers", 2, "--threads", 1]
    with subprocess.Popen(
        [*command, *map(str, words)],
        env=environment | {"PYTHONPATH": path},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        assert process.stdout is not None
        ends = (line for line in process.stdout if '"type": "end"' in line)
        # a and b; the other worker hangs.
        next(ends)
        next(ends)
        process.send_signal(signal.SIGTERM)
        _, words_of_end = process.communicate(timeout=120)
    assert process.returncode == 143
    assert "Traceback" not in words_of_end
    assert {path.name for path in (tmp_path / "out").iterdir()} == {
        "a.jsonl",
        "b.jsonl",
        # Of the other source, cut short before anything came.
        "hang.partial.jsonl",
    }


def test_what_cannot_be_shared_is_a_sentence(
    engine_path: Path, video_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    def error_of(*arguments: object, code: int) -> str:
        assert main([*map(str, arguments)]) == code
        return capsys.readouterr().err

    given = (video_path, "-e", engine_path)
    assert "must be 1 to" in error_of(*given, "--workers", 0, code=2)
    assert "needs --workers" in error_of(*given, "--stall-limit", 9, code=2)
    assert "must be 1 to" in error_of(*given, "--workers", 1, "--stall-limit", 0, code=2)
    assert "stdin" in error_of("-", "-e", engine_path, "--workers", 1, code=2)
    # What an engine raises while it is opened in a worker is said as it is.
    words = error_of(*given, "--workers", 1, "--device", "cuda", "-o", tmp_path / "out", code=5)
    assert "in a worker" not in words
    assert "Traceback" not in words
    assert not (tmp_path / "out").exists()
