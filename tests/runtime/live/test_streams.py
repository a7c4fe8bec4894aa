"""Live sources side by side: what each says, and what one does to the others."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest
from commands import HANG_SECONDS
from standins import (
    INFO,
    UNIX,
    GatedEngine,
    Script,
    Step,
    frames,
    hang,
    release_the_others,
    source,
    status,
    streams,
    until_stopped,
    wait_for,
)

from wsgn.engines.engine import Engine
from wsgn.errors import EngineError, UsageError
from wsgn.runtime import DetectOptions, DetectorOptions, detect_frames, open_engine
from wsgn.runtime.events import Event
from wsgn.runtime.live import streams as streams_module
from wsgn.runtime.live.detect import detect_live, live_sources
from wsgn.runtime.live.inbox import Inbox
from wsgn.runtime.live.options import StreamOptions
from wsgn.runtime.live.stream import WallClock
from wsgn.runtime.live.streams import Streams
from wsgn.runtime.pipeline import StopFlag
from wsgn.runtime.streaming.snippets import Snippet
from wsgn.video.errors import VideoError
from wsgn.video.grid import Gap
from wsgn.video.live.items import LiveFrame
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.source import LiveSource


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


@pytest.mark.parametrize("late", [False, True])
def test_a_loss_ends_the_segment_that_is_open_and_says_so_in_order(
    engine: Engine, late: bool
) -> None:
    script = [
        *played(("black", 2.0), ("red", 2.0)),
        status("lost", "ended", 4.0, retry_seconds=0.5),
        status("lost", "ended", 4.0, attempt=2),
        Gap(from_seconds=4.0, to_seconds=9.0, cause="lost"),
        status("restored", None, 9.0, lost_seconds=5.0, epoch=1),
        *played(("red", 2.0), ("black", 2.0), begin_seconds=9.0, epoch=1),
    ]
    lines = of(list(streams({"a": script}, GatedEngine(engine, late=late)).events()), "a")
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


def test_nothing_is_made_up_where_a_camera_flaps(engine: Engine) -> None:
    short = [played(("red", 0.7), begin_seconds=2.0 * number, epoch=number) for number in range(4)]
    lines = of(list(streams({"a": itertools.chain(*short)}, engine).events()), "a")
    assert [event.type for event in lines] == ["source", "end"]
    assert (lines[-1].frames, lines[-1].snippets) == (28, 0)


def test_media_time_that_falls_ends_what_is_open_and_not_the_run(engine: Engine) -> None:
    script = [
        *played(("black", 2.0), ("red", 2.0)),
        *frames(("red", 2.0), ("black", 2.0), begin_seconds=1.0),
    ]
    lines = of(list(streams({"a": script}, engine).events()), "a")
    assert [event.reason for event in lines if event.type == "segment"] == ["gap", "threshold"]


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


def stale(*scenes: tuple[str, float], **where: Any) -> Iterator[LiveFrame]:
    """Frames that came long before they could be answered."""
    for frame in frames(*scenes, **where):
        yield replace(frame, arrival=frame.arrival - 2 * HANG_SECONDS)


def late_script(engine: GatedEngine, dropped_seconds: float) -> list[Step]:
    """A red scene of which so many seconds come too late.

    A snippet lasts 0.8 s, begins 0.2 s behind the one before, and is late where its last frame is.
    """
    begin = 4.0 + dropped_seconds
    return [
        *played(("black", 2.0), ("red", 2.0)),
        engine.asked(17),
        *stale(("red", dropped_seconds), begin_seconds=4.0),
        *frames(("red", 2.0), ("black", 2.0), begin_seconds=begin),
    ]


@pytest.mark.parametrize("late", [False, True])
@pytest.mark.parametrize(("seconds", "is_gap"), [(1.0, False), (1.2, True), (30.0, True)])
def test_what_waited_too_long_is_dropped_and_told(
    engine: Engine, seconds: float, is_gap: bool, late: bool
) -> None:
    """A short hole is bridged; a longer one ends the segment, as any other gap does."""
    gated = GatedEngine(engine, late=late)
    lines = of(list(streams({"a": late_script(gated, seconds)}, gated).events()), "a")
    dropped = [event for event in lines if event.type == "dropped"]
    assert sum(event.snippets for event in dropped) == round(seconds * 5)
    assert dropped[0].from_seconds == pytest.approx(3.4)
    assert dropped[-1].to_seconds == pytest.approx(3.4 + seconds)
    end = lines[-1]
    assert (end.dropped, end.late_seconds) == (round(seconds * 5), pytest.approx(seconds))
    assert [event.state for event in lines if event.type == "status"] == ["late"]
    gaps = [(e.from_seconds, e.to_seconds, e.cause) for e in lines if e.type == "gap"]
    assert gaps == ([(pytest.approx(3.4), pytest.approx(3.4 + seconds), "late")] if is_gap else [])
    found = [(event.id, event.reason) for event in lines if event.type == "segment"]
    assert found == ([(1, "gap"), (2, "threshold")] if is_gap else [(1, "threshold")])


def test_nothing_is_dropped_where_nothing_may_be(engine: Engine) -> None:
    live = LiveOptions(drop="never", max_lag_seconds=0.5)
    gated = GatedEngine(engine)
    script = late_script(gated, 30.0)
    lines = of(list(streams({"a": script}, gated, live=live).events()), "a")
    assert [event.type for event in lines] == ["source", "start", "segment", "end"]
    assert lines[-1].dropped == 0


def test_one_that_floods_the_engine_does_not_hold_up_the_others(engine: Engine) -> None:
    """All of one's snippets wait before another's first does."""
    flooded, waits = threading.Event(), threading.Event()
    flood = [*played(("black", 60.0)), lambda _: flooded.set(), until_stopped]
    quick = [wait_for(flooded), *played(("red", 4.0)), lambda _: waits.set(), until_stopped]
    slow = GatedEngine(engine, waits)
    stop = StopFlag()
    order = []
    run = streams({"flood": flood, "quick": quick}, slow, stop=stop)
    for event in run.events():
        order.append((event.source, event.type))
        if event.type == "start":
            counted = run.statistics().sources["flood"].counters.snippets
            stop.request()
    assert counted < 100


def test_a_stop_ends_all_with_what_is_open(engine: Engine) -> None:
    stop = StopFlag()
    hanging = Script([[*played(("black", 1.0)), hang(25.0)]])
    scripts: dict[str, Any] = {
        "a": [*played(("black", 2.0), ("red", 2.0)), until_stopped],
        "b": [status("waiting", "refused"), until_stopped],
        "hanging": hanging,
    }
    events = []
    for event in streams(scripts, engine, stop=stop).events():
        events.append(event)
        if event.type == "start":
            stop.request()
    hanging.released.set()
    assert [event.reason for event in of(events, "a", "segment")] == ["signal"]
    assert {event.source for event in events if event.type == "end"} == {*scripts}
    assert not any(event.complete for event in events if event.type == "end")


def test_what_was_read_before_a_stop_is_still_scored(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_LAST_SECONDS", HANG_SECONDS)
    stop, gate = StopFlag(), threading.Event()

    def stop_all(_: object) -> None:
        stop.request()
        gate.set()

    script = [*played(("black", 10.0)), stop_all, until_stopped]
    *_, end = streams({"a": script}, GatedEngine(engine, gate), stop=stop).events()
    assert (end.type, end.snippets, end.complete) == ("end", 47, False)


def test_a_thread_that_hangs_is_left_to_itself(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_TICK_SECONDS", 0.0)
    long = hang(31.0)
    # What a thread says after another has taken over is not heard.
    ignored = [long, *played(("green", 9.0))]
    script = Script(
        [
            ignored,
            [release_the_others, *played(("black", 2.0)), long],
            [status("waiting", "refused"), long],
            [long],
        ]
    )
    lines = of(list(streams({"a": script}, engine).events()), "a")
    script.released.set()
    assert [(event.type, getattr(event, "state", None)) for event in lines] == [
        ("status", "waiting"),
        ("status", "restored"),
        ("source", None),
        ("status", "lost"),
        ("status", "lost"),
        ("error", None),
        ("end", None),
    ]
    assert [line.cause for line in lines if line.type == "status"] == [
        "no_answer", None, "no_answer", "refused",
    ]  # fmt: skip
    assert (lines[-2].code, lines[-1].restarts, lines[-1].frames) == ("stuck", 3, 20)


def test_a_thread_that_comes_back_by_itself_is_heard_again(
    engine: Engine, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(streams_module, "_TICK_SECONDS", 0.0)
    # Longer than two timeouts, and not yet three.
    silent = hang(25.0)
    again = frames(("red", 2.0), ("black", 2.0), begin_seconds=2.0)
    script = Script([itertools.chain(played(("black", 2.0)), [silent], again)])
    lines = []
    for event in streams({"a": script}, engine).events():
        lines.append((event.type, getattr(event, "state", None)))
        if event.type == "status":
            script.released.set()
    assert lines == [
        ("source", None),
        ("status", "lost"),
        ("status", "restored"),
        ("start", None),
        ("segment", None),
        ("end", None),
    ]
    assert len(script.resumed_from) == 1


def test_sources_come_and_go_while_others_play(engine: Engine) -> None:
    gone = threading.Event()
    scripts = {
        "first": [
            *played(("black", 2.0), ("red", 2.0)),
            until_stopped,
            lambda _: gone.set(),
        ],
        "added": [*played(("black", 2.0), ("blue", 2.0)), until_stopped],
        "stays": [*played(), until_stopped],
    }
    stop = StopFlag()
    run = streams(scripts, engine, stop=stop, begin_with=("first", "stays"))
    events = []
    for event in run.events():
        events.append(event)
        if (event.source, event.type) == ("first", "start"):
            run.remove("first")
            run.add(source("added"))
            assert run.names == ["stays", "added"]
        elif (event.source, event.type) == ("added", "start"):
            stop.request()
    assert gone.wait(HANG_SECONDS)
    assert [(e.label, e.reason) for e in of(events, "first", "segment")] == [("red", "signal")]
    assert [(e.id, e.label) for e in of(events, "added", "segment")] == [(1, "blue")]
    assert [e.type for e in of(events, "stays")].count("end") == 1


def test_what_begins_anew_leaves_nothing_of_what_had_its_name(engine: Engine) -> None:
    error = VideoError("not_opened", "it is not there.")
    run = streams({"a": Script([[*played(), until_stopped], [error]])}, engine)
    for event in run.events():
        if event.type == "source":
            # Another camera, which never gives a picture.
            run.remove("a")
            run.add(source("a"))
    assert run.snapshot() == {}


def test_a_later_run_goes_on(engine: Engine) -> None:
    first = Script([[*played(("black", 2.0), ("red", 3.0), ("black", 2.0), epoch=0)]])
    run = streams({"a": first}, engine)
    ended = list(run.events())[-1]
    saved = run.snapshot()
    assert saved["a"].position.media_seconds == pytest.approx(7.0)
    assert saved["a"].ended
    # What an earlier snapshot held is not what is kept now.
    run.saved({"a": replace(saved["a"])})
    assert (run.unsaved, run.snapshot()) == ({"a"}, saved)
    run.saved(saved)
    assert (run.unsaved, run.snapshot()) == (set(), {})
    second = Script([played(("red", 3.0), ("black", 2.0), begin_seconds=60.0, epoch=1)])
    lines = of(list(streams({"a": second}, engine, saved=saved).events()), "a")
    assert second.resumed_from == [saved["a"].position]
    assert (lines[0].type, lines[0].resumed, lines[0].epoch) == ("source", True, 1)
    assert [event.id for event in lines if event.type == "segment"] == [2]
    assert (lines[-1].frames, lines[-1].segments) == (ended.frames + 50, 2)
    # Another class is looked for: what was learned is of another run.
    third = Script([played()])
    lines = of(list(streams({"a": third}, engine, saved=saved, scores="window").events()), "a")
    assert (lines[0].type, lines[0].code) == ("warning", "state_of_another_run")
    assert [event.id for event in lines if event.type == "segment"] == [1, 2]
    assert third.resumed_from == [None]


def test_an_engine_that_gives_no_numbers_ends_the_run(tmp_path: Path) -> None:
    path = planted.write_engine(tmp_path / "nan.onnx", nan_above=0.5)
    # After hours without any: those of late are judged.
    script = played(("black", 600.0), ("green", 5.0))
    with (
        open_engine(path, num_threads=1) as broken,
        pytest.raises(EngineError, match=r"NaN or infinity for [12]\d of the last 1000 snippets"),
    ):
        list(streams({"a": script}, broken).events())


def test_a_few_outputs_that_are_no_numbers_are_left_out(tmp_path: Path) -> None:
    path = planted.write_engine(tmp_path / "nan.onnx", nan_above=0.5)
    few = (("black", 100.0), ("green", 1.0), ("black", 100.0), ("red", 2.0), ("black", 2.0))
    with open_engine(path, num_threads=1) as broken:
        lines = of(list(streams({"a": played(*few)}, broken).events()), "a")
    assert [event.code for event in lines if event.type == "warning"] == ["non_finite"]
    assert [event.label for event in lines if event.type == "segment"] == ["red"]


def test_what_does_not_fit_is_refused(engine: Engine, tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="two sources are called 'a'"):
        Streams([source("a"), source("a")], engine)
    with pytest.raises(UsageError, match="there is no source"):
        Streams([], engine)
    exact = StreamOptions(detector=DetectorOptions(scores="exact"))
    with pytest.raises(UsageError, match="a: exact scores are known when a source has ended"):
        Streams([source("a")], engine, exact)
    Streams([source("a", realtime=True)], engine, exact)
    large = StreamOptions(live=LiveOptions(max_lag_seconds=1e5))
    with pytest.raises(UsageError, match=r"over 2 GB .*--max-lag"):
        Streams([source("a")], engine, large)
    odd = StreamOptions(live=LiveOptions(source_options={"rtsp_flags": "1", "no_such": "1"}))
    with pytest.raises(UsageError, match="know no option 'no_such' of sources"):
        Streams([source("a")], engine, odd)
    with pytest.raises(UsageError, match="no source called 'b'"):
        Streams([source("a")], engine).remove("b")
    with pytest.raises(UsageError, match="batch_size must be at least 1"):
        StreamOptions(batch_size=0)
    with pytest.raises(TypeError, match="must be a list"):
        detect_live("rtsp://a/1", engine)
    with pytest.raises(UsageError, match="is a file and no live source"):
        detect_live([tmp_path], engine)
    with pytest.raises(UsageError, match=r"'http://web/a.mp4' is a file and no live source"):
        detect_live([LiveSource(name="a", address="http://u:secret@web/a.mp4")], engine)


def test_addresses_alone_get_names_of_their_own() -> None:
    made = live_sources(["rtsp://u:secret@door/1", "rtsp://u:secret@door/1?x=2", "0"], 1.0)
    assert [one.name for one in made] == ["door_1", "door_1-2", "video0"]
    assert "secret" not in repr(made)


def offer(inbox: Inbox, should_stop: Callable[[], bool], arrival: float = 0.0) -> None:
    snippet = Snippet(start_seconds=0.0, epoch=0, frames=np.zeros((1, 1, 1, 3), np.uint8))
    inbox.offer("a", snippet, arrival=arrival, wall_offset=0.0, should_stop=should_stop)


def test_what_waits_is_bounded_although_nobody_takes_it() -> None:
    inbox = Inbox(age_seconds=3.0, capacity=0, stride_seconds=0.2)
    for number in range(100):
        offer(inbox, lambda: False, arrival=float(number))
        assert inbox.num_waiting("a") <= 4


def test_a_thread_is_held_back_where_nothing_may_be_dropped() -> None:
    inbox = Inbox(age_seconds=None, capacity=2, stride_seconds=0.2)
    asked: list[bool] = []

    def answers(*given: bool) -> Callable[[], bool]:
        """Whether to stop, each time that the thread asks before it waits on."""
        left = iter(given)

        def should_stop() -> bool:
            asked.append(True)
            return next(left, False)

        return should_stop

    offer(inbox, answers())
    offer(inbox, answers())
    assert (inbox.num_waiting("a"), len(asked)) == (2, 2)
    offer(inbox, answers(False, False, True))
    assert (inbox.num_waiting("a"), len(asked)) == (2, 5)
    assert [one.number for one in inbox.collect(1, 0.0).batch] == [0]
    offer(inbox, answers())
    assert [one.number for one in inbox.collect(9, 0.0).batch] == [1, 2]


def test_the_wall_clock_of_an_epoch_is_what_was_said_last() -> None:
    clock = WallClock()
    assert clock.unix_seconds(1.0) is None
    # An opening hands over in no time what was filmed in a second.
    for seconds, offset in ((0.0, 101.0), (0.5, 100.5), (1.0, 100.0)):
        clock.learn(seconds, 0, offset)
    clock.learn(20.0, 1, 150.0)
    assert [clock.unix_seconds(seconds) for seconds in (-1.0, 0.5, 19.0, 20.0, 30.0)] == [
        99.0, 100.5, 119.0, 170.0, 180.0,
    ]  # fmt: skip
