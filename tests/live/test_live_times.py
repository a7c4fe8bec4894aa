"""Live pictures whose times, sizes or bytes are not what they should be: where they end up.

As in test_live_faults.py all rows run at the same time.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import pytest
from cameras import Camera, Fault
from clips import Clip, drawn_clip, read_bar_code
from reading import TIMEOUT_SECONDS, Reading, check_frames
from rtsp_server import RtspServer
from stream_servers import HttpServer

from wsgn.video import FrameGrid, Gap
from wsgn.video.live.items import LiveFrame, Skipped

NUM_BEFORE = 8
NUM_AFTER = 20


@dataclass
class Row:
    """A camera that changes while it is read."""

    camera: Camera
    # Once, when some frames have come.
    change: Callable[[Camera], Any] = lambda camera: None
    # When something is said of it.
    heal: Callable[[Camera], Any] = lambda camera: None
    options: dict[str, Any] = field(default_factory=dict)
    num_frames: int = 0

    def read(self) -> None:
        self.reading = Reading(self.camera.url, each=self._each, **self.options)

    def _each(self, item: Any) -> None:
        self.num_frames += isinstance(item, LiveFrame)
        if self.num_frames == NUM_BEFORE + NUM_AFTER:
            self.reading.stop()
        if isinstance(item, LiveFrame) and self.num_frames == NUM_BEFORE:
            self.change(self.camera)
        elif getattr(item, "state", "") == "lost":
            self.heal(self.camera)


def to(**fault: Any) -> Callable[[Camera], None]:
    """The change to a fault."""

    def change(camera: Camera) -> None:
        camera.fault = Fault(**fault)

    return change


@pytest.fixture(scope="module")
def rows(clip: Clip) -> Iterator[dict[str, Row]]:
    wide = drawn_clip(width=400, height=300)

    def widen(camera: Camera) -> None:
        camera.clip = wide

    changes: dict[str, tuple[Callable[[Camera], Any], Callable[[Camera], Any]]] = {
        "wraps": (to(), to()),
        "jumps": (to(shift_seconds=3600.0), to()),
        "falls": (to(shift_seconds=-2.0), to()),
        "widens": (widen, to()),
        "loses packets": (to(lost=15), to()),
        "is damaged": (to(damaged=12), to()),
        "is damaged through": (to(damaged=1), to()),
    }
    with RtspServer() as rtsp, HttpServer() as http:
        made = {}
        for number, (name, (change, heal)) in enumerate(changes.items()):
            made[name] = Row(rtsp.add(f"row{number}", clip), change, heal)
        talks = made["has sound"] = Row(rtsp.add("talks", clip))
        talks.camera.has_sound = True
        talks.camera.report_seconds = 1.0
        made["wraps"].camera.fault = Fault(first_timestamp=(1 << 32) - 90_000)
        slow = drawn_clip(rate=8, seconds=4)
        made["JPEGs"] = Row(http.add("slow.mjpeg", slow))
        made["is damaged through"].options["timeout_seconds"] = TIMEOUT_SECONDS
        playlist = http.add("steady.m3u8", clip)
        playlist.lead_seconds = 8.0
        made["playlist"] = Row(playlist)
        for row in made.values():
            row.read()
        yield made
        for row in made.values():
            row.reading.stop()


def read(row: Row) -> Reading:
    assert row.reading.wait_for_end() is None
    assert row.num_frames >= NUM_BEFORE + NUM_AFTER
    return row.reading


@pytest.mark.parametrize("name", ["wraps", "widens", "has sound"])
def test_what_is_no_fault_is_not_seen(rows: dict[str, Row], name: str) -> None:
    reading = read(rows[name])
    assert reading.told() == ["info"]
    assert {frame.epoch for frame in reading.frames} == {0}
    check_frames(reading, rows[name].camera)


@pytest.mark.parametrize("name", ["jumps", "falls"])
def test_times_that_jump_begin_an_epoch(rows: dict[str, Row], name: str) -> None:
    reading = read(rows[name])
    assert reading.told() in (["info"], ["info", "gap jump"])
    assert {frame.epoch for frame in reading.frames} == {0, 1}
    check_frames(reading, rows[name].camera)
    assert reading.frames[-1].seconds < 60


def test_lost_packets_cost_pictures(rows: dict[str, Row]) -> None:
    reading = read(rows["loses packets"])
    assert reading.statuses("lost") == []
    assert {frame.epoch for frame in reading.frames} == {0}


def test_damaged_pictures_are_counted(rows: dict[str, Row]) -> None:
    reading = read(rows["is damaged"])
    assert "decode_failure" in reading.told()
    assert reading.reader.decode_failures > 0
    assert reading.statuses("lost") == []
    assert {frame.epoch for frame in reading.frames} == {0}


def test_a_stream_without_a_sound_picture_is_opened_again(rows: dict[str, Row]) -> None:
    reading = read(rows["is damaged through"])
    assert [status.cause for status in reading.statuses("lost")] == ["undecodable"]
    assert reading.frames[-1].epoch == 1
    # Seen by bar codes, where what was damaged has none.
    codes = [read_bar_code(frame.image) for frame in reading.frames if frame.epoch == 1]
    assert None not in codes


def test_jpegs_lie_where_they_come(rows: dict[str, Row]) -> None:
    """Their demuxer counts 25 pictures a second, of which there are 8."""
    reading = read(rows["JPEGs"])
    check_frames(reading, rows["JPEGs"].camera)


def test_segments_of_a_playlist_follow_one_another(rows: dict[str, Row]) -> None:
    reading = read(rows["playlist"])
    assert reading.told() == ["info"]
    frames = reading.frames
    # The first segments are there before their time comes: what counts is what they show.
    codes = [read_bar_code(frame.image) for frame in frames]
    assert None not in codes
    steps = [((later or 0) - (code or 0)) % 100 for code, later in pairwise(codes)]
    assert set(steps) <= {2, 3}


@pytest.fixture
def playlist(clip: Clip) -> Iterator[Camera]:
    with HttpServer() as server:
        made = server.add("door.m3u8", clip)
        made.lead_seconds = 8.0
        yield made


def test_a_playlist_that_breaks_off_for_a_moment_goes_on_in_its_epoch(playlist: Camera) -> None:
    reading = Reading(playlist.url)
    reading.wait_for_frames(NUM_BEFORE)
    # Segments and playlists are asked for one by one: libav asks again, or the reader does.
    playlist.fault = Fault(statuses={"GET": "503 Service Unavailable"})
    asked = len(playlist.requests)
    playlist.wait_for(lambda: len(playlist.requests) >= asked + 3)
    playlist.fault = Fault()
    reading.wait(lambda: reading.frames[-1].seconds > 5.5)
    reading.stop()
    assert [word for word in reading.told() if word != "info"] == []
    codes = [read_bar_code(frame.image) or 0 for frame in reading.frames]
    assert {(later - code) % 100 for code, later in pairwise(codes)} <= {2, 3}


def test_a_playlist_whose_writer_died_gives_nothing_twice(
    playlist: Camera, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("wsgn.video.live.reader._PLAYLIST_SECONDS", TIMEOUT_SECONDS)
    playlist.fault = Fault(stalled=True)
    playlist.num_segments = 10
    reading = Reading(playlist.url, timeout_seconds=0.7)
    lost = reading.wait_for_status("lost")
    assert lost.cause in ("timeout", "ended")
    num_seen = len(reading.frames)
    # What it filmed until now is not in the playlist any more.
    playlist.lead_seconds += 20.0
    playlist.fault = Fault()
    reading.wait_for_status("restored")
    reading.wait_for_frames(NUM_AFTER)
    assert {frame.epoch for frame in reading.frames[:num_seen]} == {0}
    codes = [read_bar_code(frame.image) for frame in reading.frames[:num_seen]]
    assert len(set(codes)) == len(codes)
    # Another one only where that is told.
    assert reading.frames[-1].epoch == len(reading.of(Gap)) >= 1


# Each picture: a sink that takes half of what is filmed.
EVERY = FrameGrid(frame_rate=25, height=48, width=64, resize="stretch")
SLOW_SECONDS = 0.08
# More than may be by chance, where one of two readings ran just before a machine stood still.
FURTHER_SECONDS = 1.0


def slowly(item: Any) -> None:
    if isinstance(item, LiveFrame):
        time.sleep(SLOW_SECONDS)


def true_delays(reading: Reading, camera: Camera) -> list[float]:
    """Of the last ten frames, when each was taken after it was filmed."""
    came = list(zip(list(reading.items), list(reading.times), strict=False))
    delays = []
    for item, moment in [pair for pair in came if isinstance(pair[0], LiveFrame)][-10:]:
        code = read_bar_code(item.image)
        assert code is not None
        delays.append(moment - camera.filmed(code, before=moment))
    return delays


def test_a_source_that_is_late_leaves_pictures_out(server: RtspServer) -> None:
    """Against one that must not: its delay grows for as long as it is read."""
    long = drawn_clip(seconds=20, width=160, height=120)
    cameras = [server.add(name, long) for name in ("oldest", "never")]
    options: dict[str, Any] = {"grid": EVERY, "each": slowly, "max_lag_seconds": 0.6}
    readings = [Reading(camera.url, drop=camera.name, **options) for camera in cameras]
    oldest, never = readings

    def is_far_behind() -> bool:
        of_oldest, of_never = map(true_delays, readings, cameras)
        return max(of_never, default=0.0) > max(of_oldest) + FURTHER_SECONDS

    oldest.wait(lambda: len(oldest.of(Skipped)) >= 2 and is_far_behind())
    for reading in readings:
        reading.stop()
    late = oldest.statuses("late")
    assert [status.cause for status in late] == ["late"]
    assert all(skipped.pictures > 0 for skipped in oldest.of(Skipped))
    assert oldest.frames[-1].epoch >= 1
    assert never.of(Skipped) == []
    assert "late late" not in never.told()
    assert {frame.epoch for frame in never.frames} == {0}
    for skipped in oldest.of(Skipped):
        assert skipped.to_seconds > skipped.from_seconds
        begin, end = skipped.from_seconds, skipped.to_seconds - 1e-6
        assert [frame for frame in oldest.frames if begin <= frame.seconds < end] == []


def test_reading_stops_in_a_stall(door: Camera) -> None:
    reading = Reading(door.url, timeout_seconds=TIMEOUT_SECONDS)
    reading.wait_for_frames(3)
    door.fault = Fault(stalled=True)
    # What was sent before has been read.
    door.wait_for(lambda: time.monotonic() > reading.reader.last_picture + 0.5)
    reading.stop()
    assert reading.wait_for_end() is None
    assert reading.statuses("lost") == []


def test_reading_ends_where_it_is_told(door: Camera) -> None:
    reading = Reading(door.url, end_seconds=1.0)
    assert reading.wait_for_end() is None
    assert [frame.seconds for frame in reading.frames] == [n / 10 for n in range(10)]
