"""Files of sources without an end: readable at once, by the day, never torn."""

from __future__ import annotations

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import pytest

from wsgn.errors import OutputError
from wsgn.runtime.cli.console import Console
from wsgn.runtime.cli.live_files import LiveFiles
from wsgn.runtime.events import ProgressEvent, RunEvent, WarningEvent
from wsgn.runtime.writers.rotating import RotatingLines

RUN = RunEvent(version="1", engine="e.onnx", engine_sha256="0")


def moment(text: str) -> float:
    return datetime.fromisoformat(text).replace(tzinfo=UTC).timestamp()


def said(message: str) -> WarningEvent:
    return WarningEvent(source="door", code="x", message=message)


def read(path: Path) -> list[dict[str, Any]]:
    text = path.read_text("utf-8")
    assert text.endswith("\n")
    return [json.loads(line) for line in text.splitlines()]


class Lines:
    """A series whose clock the test sets."""

    def __init__(self, folder: Path, rotation: str, now: str = "2026-11-28T23:59:00") -> None:
        self.now = now
        self.series = RotatingLines(folder, "door", rotation, RUN, wall=lambda: moment(self.now))

    def write(self, message: str, now: str | None = None) -> None:
        self.now = now or self.now
        self.series.write(said(message))


def test_each_day_has_a_file_that_says_whose_it_is(tmp_path: Path) -> None:
    lines = Lines(tmp_path, "day")
    lines.write("a")
    first = tmp_path / "door.2026-11-28.jsonl"
    # Before anything is closed.
    assert [(one["seq"], one["type"]) for one in read(first)] == [(0, "run"), (1, "warning")]
    lines.write("b", "2026-11-29T00:00:00")
    lines.write("c", "2026-11-29T23:00:00")
    second = read(tmp_path / "door.2026-11-29.jsonl")
    assert [one.get("message") for one in second] == [None, "b", "c"]
    assert [one["seq"] for one in second] == [0, 1, 2]
    assert len(read(first)) == 2


@pytest.mark.parametrize(
    ("rotation", "names"),
    [
        ("hour", ["door.2026-11-28T23.jsonl", "door.2026-11-29T00.jsonl"]),
        ("never", ["door.jsonl"]),
    ],
)
def test_files_of_an_hour_and_for_ever(tmp_path: Path, rotation: str, names: list[str]) -> None:
    lines = Lines(tmp_path, rotation)
    lines.write("a")
    lines.write("b", "2026-11-29T00:10:00")
    assert sorted(path.name for path in tmp_path.iterdir()) == names


def test_a_later_run_goes_on_behind_the_last_whole_line(tmp_path: Path) -> None:
    lines = Lines(tmp_path, "never")
    lines.write("a")
    lines.series.close()
    path = tmp_path / "door.jsonl"
    # What a cut of power left, longer than what is looked at once.
    with path.open("a") as file:
        file.write('{"seq": 2, "ty' + "x" * 200_000)
    again = Lines(tmp_path, "never")
    again.write("b")
    kinds = [(one["seq"], one.get("message")) for one in read(path)]
    assert kinds == [(0, None), (1, "a"), (0, None), (1, "b")]


def test_a_file_without_a_whole_line_is_begun_again(tmp_path: Path) -> None:
    (tmp_path / "door.jsonl").write_text('{"seq"')
    Lines(tmp_path, "never").write("a")
    assert [one["type"] for one in read(tmp_path / "door.jsonl")] == ["run", "warning"]


def test_a_file_that_was_moved_is_begun_again(tmp_path: Path) -> None:
    lines = Lines(tmp_path, "never")
    lines.write("a")
    (tmp_path / "door.jsonl").rename(tmp_path / "old")
    lines.write("b")
    assert [one.get("message") for one in read(tmp_path / "door.jsonl")] == [None, "b"]
    assert [one.get("message") for one in read(tmp_path / "old")] == [None, "a"]


def test_two_runs_do_not_write_into_one_file(tmp_path: Path) -> None:
    lines = Lines(tmp_path, "never")
    lines.write("a")
    with pytest.raises(OSError, match="another run is writing into it"):
        Lines(tmp_path, "never").write("b")
    lines.series.close()
    Lines(tmp_path, "never").write("c")


def test_the_file_of_a_source_that_has_ended_is_free(tmp_path: Path) -> None:
    files = LiveFiles(tmp_path, "never", RUN, Console())
    files.write("door", said("a"))
    files.close("door")
    Lines(tmp_path, "never").write("b")
    files.close("yard")


def test_a_full_disk_takes_lines_alone(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    now = [0.0]
    files = LiveFiles(tmp_path, "never", RUN, Console(), monotonic=lambda: now[0])
    files.open("door")
    path, whole = tmp_path / "door.jsonl", tmp_path / "whole"
    path.rename(whole)
    path.symlink_to("/dev/full")
    for message in "abc":
        files.write("door", said(message))
    # It gives no line, so none is lost.
    files.write("door", ProgressEvent(source="door", at_seconds=1.0, duration_seconds=None))
    path.unlink()
    whole.rename(path)
    # Tried again each minute, and not before.
    files.write("door", said("d"))
    now[0] = 61.0
    files.write("door", said("e"))
    files.write("door", said("f"))
    assert [one.get("message") for one in read(path)][1:] == [
        None,
        "4 lines before this one could not be written here.",
        "e",
        "f",
    ]
    assert files.has_lost
    first, second = capsys.readouterr().err.splitlines()
    assert "no space left on device" in first
    assert "detection goes on" in first
    assert "can be written" in second


def test_what_cannot_be_written_at_the_start_ends_the_run(tmp_path: Path) -> None:
    (tmp_path / "door.jsonl").mkdir()
    files = LiveFiles(tmp_path, "never", RUN, Console())
    with pytest.raises(OutputError, match="is a directory"):
        files.open("door")


def test_without_a_folder_nothing_is_written(tmp_path: Path) -> None:
    files = LiveFiles(None, "day", RUN, Console())
    files.open("door")
    files.write("door", said("a"))
    files.close_all()
    assert not files.has_lost
