"""Results that were written by a run are read as they were, and damaged ones are sentences."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest
from outcomes import Run

from wsgn.errors import InputError
from wsgn.runtime.results import read_results

ROWS = [("wave", 1.25, 3.5, 0.75), ("jump", 2.0, 2.5, 0.5)]


def event(kind: str, **fields: object) -> str:
    return json.dumps({"seq": 0, "type": kind, **fields}) + "\n"


def segment(number: int, row: tuple[str, float, float, float], **fields: object) -> str:
    label, start, end, score = row
    times = {"start_seconds": start, "end_seconds": end}
    return event("segment", id=number, label=label, score=score, final=True, **times, **fields)


def source(name: str, **fields: object) -> str:
    facts = {"duration_seconds": 12.0, "frame_rate": 25.0, "start_offset_seconds": 0.5}
    return event("source", source=name, **(facts | fields))


def test_both_formats_of_a_run_say_the_same(tmp_path: Path, video_path: Path, run: Run) -> None:
    assert run(video_path, "-o", tmp_path, "-f", "json,jsonl").code == 0
    (document,), (lines,) = (read_results(tmp_path / f"planted.{k}") for k in ("json", "jsonl"))
    assert document.result.segments == lines.result.segments != ()
    assert (document.result.name, lines.result.name) == ("planted", "planted")
    assert (lines.result.complete, lines.source) == (True, str(video_path))
    assert lines.frame_rate is not None
    assert document.frame_rate is None


def test_lines_of_several_sources_and_runs_keep_apart(tmp_path: Path) -> None:
    path = tmp_path / "all.jsonl"
    wave, jump = ROWS
    path.write_text(
        event("run")
        + source("x/a.mp4", frame_rate=None)
        + segment(1, wave)
        + event("retract", id=2)
        + source("y/b.mp4")
        + segment(1, jump)
        + event("segment", id=2, final=False)
        + event("end", source="y/b.mp4", complete=True)
        + event("run")
        + segment(1, wave, source="y/b.mp4")
        + '{"type": "segm'
    )
    first, second = read_results(path)
    assert (first.result.name, first.frame_rate, first.result.complete) == ("a", None, False)
    assert [one.label for one in first.result.segments] == ["wave"]
    assert [one.label for one in second.result.segments] == ["wave", "jump"]
    assert (second.result.start_offset_seconds, second.result.complete) == (0.5, True)


def test_gaps_and_the_wall_clock_of_a_camera(tmp_path: Path) -> None:
    """One run went on with the times of the first, and the last one began anew at 1000 s."""
    wave, jump = ROWS
    began = {"duration_seconds": None, "live": True}
    path = tmp_path / "door.jsonl"
    path.write_text(
        event("run")
        + source("door", start_unix_seconds=5000.0, **began)
        + event("gap", source="door", from_seconds=4.0, to_seconds=9.5, cause="lost")
        + segment(1, wave, source="door", start_unix_seconds=5001.25)
        + event("run")
        + source("door", start_unix_seconds=5000.5, **began)
        + segment(1, jump, source="door", start_unix_seconds=5002.5)
        + event("run")
        + segment(1, wave, source="door", start_unix_seconds=6001.25)
        + event("gap", source="door", from_seconds=7.0, to_seconds=8.0, cause="late")
    )
    ((_, result),) = [(one.source, one.result) for one in read_results(path)]
    assert result.start_unix_seconds == 5000.0
    assert result.gaps == ((4.0, 9.5), (1007.0, 1008.0))
    assert [(one.label, one.start_seconds) for one in result.segments] == [
        ("wave", 1.25), ("jump", 2.0), ("wave", 1001.25),
    ]  # fmt: skip


def test_two_sources_of_one_name_keep_their_paths(tmp_path: Path) -> None:
    (tmp_path / "all.jsonl").write_text(source("x/a.mp4") + source("y/a.mp4"))
    found = read_results(tmp_path / "all.jsonl")
    assert [one.result.name for one in found] == ["x/a.mp4", "y/a.mp4"]


@pytest.mark.parametrize(
    ("name", "text", "said"),
    [
        ("a.json", "[]", "a list stands where an object is needed"),
        ("a.json", "{}", "has no 'results'"),
        ("a.json", '{"results": {"": []}}', "the name of a video is empty"),
        ("a.json", '{"results": {"a": [{"label": "x", "segment": [2, 1], "score": 1}]}}', "before"),
        (
            "a.json",
            '{"results": {"a": []}, "external_data": {"start_offset_seconds": 3}}',
            "object",
        ),
        ("a.jsonl", "", "holds no lines of events"),
        ("a.jsonl", "{}\n", "holds no lines of events"),
        ("a.jsonl", "[1]\n", "line 1 must be a JSON object"),
        ("a.jsonl", segment(1, ROWS[0]), "line 1: 'source' is null"),
        ("a.jsonl", source("a") + segment(1, ("x", 2.0, 1.0, 0.5)), "line 2: a segment ends at"),
        ("a.jsonl", source("a", duration_seconds=1e99), "line 1: .*no time of a video"),
        ("a.jsonl", source("a") + segment(1, ("x", 2.0, 1e308, 0.5)), "line 2: .*of a video"),
        (
            "a.json",
            '{"results": {"a": [{"label": "x", "segment": [2, 1e308], "score": 1}]}}',
            "no time of a video",
        ),
        ("a.jsonl", source("a", start_unix_seconds=1e99), "line 1: .*no time of a clock"),
        ("a.jsonl", source("a", frame_rate="25"), "line 1: 'frame_rate' is text"),
        ("a.jsonl", "\udcff\n", "line 1 cannot be read as UTF-8"),
    ],
)
def test_what_is_no_result_is_a_sentence(tmp_path: Path, name: str, text: str, said: str) -> None:
    (tmp_path / name).write_bytes(text.encode("utf-8", "surrogateescape"))
    with pytest.raises(InputError, match=said):
        read_results(tmp_path / name)


def test_what_is_no_file_is_a_sentence(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="FIFO"):
        read_results(tmp_path / "a.jsonl")
    with pytest.raises(InputError, match="No such file"):
        read_results(tmp_path / "b.jsonl")
