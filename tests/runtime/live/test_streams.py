"""Live sources side by side: what each says, and what one does to the others."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import planted
import pytest
from standins import INFO, UNIX, Script, Step, frames, status, streams

from wsgn.engines.engine import Engine
from wsgn.runtime import DetectOptions, DetectorOptions, detect_frames, open_engine
from wsgn.runtime.events import Event
from wsgn.video.errors import VideoError
from wsgn.video.grid import Gap


@pytest.fixture(scope="module")
def engine(engine_path: Path) -> Iterator[Engine]:
    with open_engine(engine_path, num_threads=1) as opened:
        yield opened


def played(*scenes: tuple[str, float], **where: Any) -> list[Step]:
    """A connection that gives these scenes."""
    return [INFO, *frames(*(scenes or planted.SCENES), **where)]


def of(events: list[Event], name: str, *types: str) -> list[Any]:
    return [
        event for event in events if event.source == name and (not types or event.type in types)
    ]


def test_a_stream_finds_what_the_same_frames_give_in_a_file(engine: Engine) -> None:
    scenes = (*planted.SCENES, ("green", 3.0), ("black", 2.0))
    options = DetectOptions(detector=DetectorOptions(scores="window", window_seconds=120.0))
    pairs = [(frame.seconds, frame.image) for frame in frames(*scenes)]
    expected = [
        event
        for event in detect_frames(pairs, engine, options)
        if event.type in ("start", "segment")
    ]
    found = of(
        list(streams({"a": played(*scenes), "b": played()}, engine, scores="window").events()),
        "a", "start", "segment",
    )  # fmt: skip
    assert len(found) == len(expected) == 6
    for event, wanted in zip(found, expected, strict=True):
        one, other = event.to_dict(), wanted.to_dict()
        assert one.pop("source") == "a"
        assert one.pop("start_unix_seconds") == pytest.approx(UNIX + event.start_seconds)
        if event.type == "segment":
            assert one.pop("end_unix_seconds") == pytest.approx(UNIX + event.end_seconds)
        assert one.pop("at_unix_seconds") > UNIX
        assert one == pytest.approx(other)


def test_every_line_has_its_source_and_each_source_its_own_order(engine: Engine) -> None:
    names = [f"camera{number}" for number in range(8)]
    events = list(streams({name: played() for name in names}, engine).events())
    for name in names:
        lines = of(events, name)
        assert lines[0].type == "source"
        assert (lines[0].live, lines[0].epoch, lines[0].resumed) == (True, 0, False)
        assert lines[0].start_unix_seconds == pytest.approx(UNIX)
        assert lines[-1].type == "end"
        assert (lines[-1].complete, lines[-1].frames, lines[-1].segments) == (True, 120, 2)
        assert [(e.id, e.label) for e in lines if e.type == "segment"] == [(1, "red"), (2, "blue")]
    assert {event.source for event in events} == {*names}


def test_a_loss_ends_the_segment_that_is_open_and_says_so_in_order(engine: Engine) -> None:
    script = [
        *played(("black", 2.0), ("red", 2.0)),
        status("lost", "ended", 4.0, retry_seconds=0.5),
        status("lost", "ended", 4.0, attempt=2),
        Gap(from_seconds=4.0, to_seconds=9.0, cause="lost"),
        status("restored", None, 9.0, lost_seconds=5.0, epoch=1),
        *played(("red", 2.0), ("black", 2.0), begin_seconds=9.0, epoch=1),
    ]
    lines = of(list(streams({"a": script}, engine).events()), "a")
    assert [(event.type, getattr(event, "state", None)) for event in lines] == [
        ("source", None),
        ("start", None),
        ("status", "lost"),
        ("gap", None),
        ("status", "restored"),
        ("segment", None),
        ("start", None),
        ("segment", None),
        ("end", None),
    ]
    first, second = (event for event in lines if event.type == "segment")
    assert (first.id, first.reason, first.end_seconds) == (1, "gap", pytest.approx(4.0))
    assert (second.id, second.start_seconds) == (2, pytest.approx(9.0))
    assert lines[2].to_dict()["retry_seconds"] == 0.5
    assert (lines[-1].lost_seconds, lines[-1].complete) == (5.0, True)


def test_a_dead_one_leaves_seven_alone(engine: Engine) -> None:
    scripts: dict[str, Any] = {f"camera{number}": played() for number in range(7)}
    scripts["dead"] = [
        status("waiting", "refused"),
        VideoError("no_video_stream", "dead: there is only sound."),
    ]
    events = list(streams(scripts, engine).events())
    assert [e.type for e in of(events, "dead")] == ["status", "error", "end"]
    error, end = of(events, "dead", "error", "end")
    assert (error.code, end.complete) == ("no_video_stream", False)
    assert len([event for event in events if event.type == "segment"]) == 14


def test_a_thread_that_fails_is_replaced_until_it_is_too_often(engine: Engine) -> None:
    script = Script(
        [
            [*played(("black", 2.0), epoch=number, begin_seconds=10.0 * number), ValueError("pw")]
            for number in range(4)
        ]
    )
    events = list(streams({"a": script, "b": played()}, engine).events())
    lines = of(events, "a")
    assert [event.type for event in lines] == [
        "source",
        *["warning", "status", "status"] * 3,
        "warning",
        "error",
        "end",
    ]
    assert [e.state for e in lines if e.type == "status"] == ["lost", "restored"] * 3
    assert lines[-2].code == "stuck"
    assert lines[-1].frames == 4 * 20
    assert script.resumed_from[0] is None
    assert [p.media_seconds for p in script.resumed_from[1:] if p] == [2.0, 12.0, 22.0]
    assert "pw" not in "".join(str(event) for event in events)
    assert of(events, "b", "end")[0].complete
