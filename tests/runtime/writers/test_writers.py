"""Result files against texts written by hand."""

from __future__ import annotations

import json
import os
from pathlib import Path

import numpy as np
import pytest

from wsgn.errors import OutputError
from wsgn.localization.segments import Segment
from wsgn.runtime.cli.tables import result_table
from wsgn.runtime.events import (
    EndEvent,
    Event,
    ProgressEvent,
    RetractEvent,
    SegmentEvent,
    StartEvent,
)
from wsgn.runtime.writers import (
    FORMATS,
    ResultCollector,
    SourceResult,
    open_writer,
    render_json,
)
from wsgn.runtime.writers.documents import render_srt, render_vtt
from wsgn.runtime.writers.files import ResultFile


def segment(number: int, label: str, start: float, end: float, *, final: bool = True) -> Event:
    return SegmentEvent(
        id=number,
        rev=int(final),
        label=label,
        start_seconds=start,
        end_seconds=end,
        score=0.875,
        final=final,
        at_seconds=end,
        reason="end",
    )


END = EndEvent(
    source="v", complete=True, seconds=1, frames=1, snippets=1, segments=2, decode_failures=0
)
EVENTS: list[Event] = [
    StartEvent(id=1, label="late", start_seconds=3599.9996, at_seconds=1.0),
    ProgressEvent(source="v", at_seconds=1.0, duration_seconds=None),
    segment(1, "late", 0.0, 1.0, final=False),
    segment(1, "late", 3599.9996, 36001.5),
    segment(2, "a<b> & c,\n--> d", 1.25, 62.0),
    segment(3, "gone", 5.0, 6.0),
    RetractEvent(id=3, label="gone", at_seconds=6.0),
    END,
]


def written(kind: str, folder: Path) -> str:
    path = folder / f"v.{kind}"
    writer = open_writer(kind, path, "v")
    for event in EVENTS:
        writer.write(event)
    assert not path.exists()
    writer.commit(partial=False)
    assert [entry.name for entry in folder.iterdir()] == [path.name]
    return path.read_text("utf-8")


def test_webvtt(tmp_path: Path) -> None:
    assert written("vtt", tmp_path) == (
        "WEBVTT\n"
        "\n"
        "1\n"
        "00:00:01.250 --> 00:01:02.000\n"
        "a&lt;b&gt; &amp; c, --&gt; d (0.88)\n"
        "\n"
        "2\n"
        "01:00:00.000 --> 10:00:01.500\n"
        "late (0.88)\n"
    )


def test_subrip(tmp_path: Path) -> None:
    assert written("srt", tmp_path) == (
        "1\n"
        "00:00:01,250 --> 00:01:02,000\n"
        "a\u2039b\u203a & c, --\u203a d (0.88)\n"
        "\n"
        "2\n"
        "01:00:00,000 --> 10:00:01,500\n"
        "late (0.88)\n"
    )


def test_csv(tmp_path: Path) -> None:
    assert written("csv", tmp_path) == (
        "video,label,start_seconds,end_seconds,score\n"
        'v,"a<b> & c,\n--> d",1.250000,62.000000,0.875000\n'
        "v,late,3599.999600,36001.500000,0.875000\n"
    )


def test_activitynet_json(tmp_path: Path) -> None:
    assert json.loads(written("json", tmp_path))["results"] == {
        "v": [
            {"label": "a<b> & c,\n--> d", "score": 0.875, "segment": [1.25, 62.0]},
            {"label": "late", "score": 0.875, "segment": [3599.9996, 36001.5]},
        ]
    }


def test_json_lines_have_every_event_but_progress_and_count_without_gaps(tmp_path: Path) -> None:
    lines = [json.loads(line) for line in written("jsonl", tmp_path).splitlines()]
    assert [line["seq"] for line in lines] == list(range(7))
    assert [line["type"] for line in lines] == [
        "start", "segment", "segment", "segment", "segment", "retract", "end"
    ]  # fmt: skip


def test_json_lines_are_on_the_disk_before_the_end(tmp_path: Path) -> None:
    writer = open_writer("jsonl", tmp_path / "v.jsonl", "v")
    writer.write(EVENTS[0])
    (temporary,) = tmp_path.iterdir()
    assert json.loads(temporary.read_text())["label"] == "late"
    writer.discard()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("kind", FORMATS)
def test_a_partial_result_has_a_name_of_its_own_until_a_whole_one_comes(
    tmp_path: Path, kind: str
) -> None:
    for partial, name in ((True, f"v.partial.{kind}"), (False, f"v.{kind}")):
        writer = open_writer(kind, tmp_path / f"v.{kind}", "v")
        writer.write(END)
        writer.commit(partial=partial)
        assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_people_are_shown_the_best_of_those_that_overlap() -> None:
    spans = [("wave", 0, 4, 0.5), ("wave", 1, 3, 0.9), ("wave", 3, 5, 0.2), ("jump", 1, 3, 0.1)]
    result = SourceResult(
        name="v",
        segments=tuple(
            Segment(label=label, start_seconds=start, end_seconds=end, score=score)
            for label, start, end, score in spans
        ),
    )
    # The third touches the best, and overlaps only one that is not shown.
    assert [one.score for one in result.clearest().segments] == [0.9, 0.2, 0.1]
    table = result_table("v.mp4", result)
    assert table.count("wave") == 2
    assert "(1 more overlap" in table
    assert render_vtt(result).count("-->") == render_srt(result).count("-->") == 3
    assert len(json.loads(render_json([result]))["results"]["v"]) == 4
    assert "more overlap" not in result_table("v.mp4", result.clearest())


def test_the_best_of_those_that_overlap_is_found_among_thousands() -> None:
    random = np.random.default_rng(0)
    start = random.integers(0, 2000, 3000)
    end = start + random.integers(1, 30, 3000)
    score = random.permutation(3000) / 3000
    segments = tuple(
        Segment(label="ab"[index % 2], start_seconds=a, end_seconds=b, score=s)
        for index, (a, b, s) in enumerate(zip(start, end, score, strict=True))
    )
    free = np.ones((2, 2030), dtype=np.bool_)
    expected = set()
    for index in np.argsort(-score):
        seconds = free[index % 2, start[index] : end[index]]
        if seconds.all():
            seconds[:] = False
            expected.add(index)
    # Compared with each other one by one, they took a minute.
    found = SourceResult(name="v", segments=segments).clearest().segments
    assert found == tuple(one for index, one in enumerate(segments) if index in expected)


def test_no_segments_is_a_valid_result() -> None:
    collector = ResultCollector("v")
    collector.push(END)
    assert collector.result().segments == ()
    assert collector.result().complete


def test_a_directory_that_cannot_be_made_is_an_output_error(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(OutputError, match="cannot write"):
        ResultFile(tmp_path / "file" / "v.json")


@pytest.mark.skipif(not os.path.exists("/dev/full"), reason="needs /dev/full")  # noqa: PTH110
def test_a_full_disk_is_an_output_error(tmp_path: Path) -> None:
    file = ResultFile(tmp_path / "v.json")
    full = os.open("/dev/full", os.O_WRONLY)
    # What the file writes to is the full disk from now on.
    os.dup2(full, file._file._file.fileno())  # type: ignore[union-attr]
    os.close(full)
    with pytest.raises(OutputError, match="no space left"):
        file.write("x")
    file.discard()
    assert list(tmp_path.iterdir()) == []
