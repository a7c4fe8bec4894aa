"""The table of faults of docs/live.md, row by row: what a live reader says, and that it goes on.

All rows of a kind run at the same time, each with a camera of its own: they mostly wait.
"""

from __future__ import annotations

import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from functools import partial
from typing import Any

import pytest
from cameras import Camera, Fault
from clips import Clip
from reading import LONGEST_SECONDS, Reading, ShortWaits, check_frames
from rtsp_server import RtspServer
from servers import FullBacklog, free_port
from stream_servers import HttpServer, TcpCamera, UdpCamera

from wsgn.video import Gap, VideoError
from wsgn.video.live import LiveFrame, Status

# Frames that a source gives before its fault.
NUM_BEFORE = 5
NUM_AFTER = 15
# How long the server is away: longer than what a reconnection may be wrong by.
AWAY_SECONDS = 3.0
# A new connection may hand over what it has looked at before, up to a second of it, at once.
MISPLACED_SECONDS = 2.0
# At a timeout of a second.
NOTICED_SECONDS = 3.0


def status(line: str, request: str = "DESCRIBE") -> Fault:
    return Fault(statuses={request: line})


# Faults of a camera that was never seen, and their causes.
NEVER_SEEN = {
    "OPTIONS is not answered": (Fault(mute="OPTIONS"), "no_answer"),
    "DESCRIBE is not answered": (Fault(mute="DESCRIBE"), "no_answer"),
    "SETUP is not answered": (Fault(mute="SETUP"), "no_answer"),
    "PLAY is not answered": (Fault(mute="PLAY"), "no_answer"),
    "no picture comes": (Fault(silent=True), "timeout"),
    "401": (status("401 Unauthorized"), "unauthorized"),
    "403": (status("403 Forbidden"), "unauthorized"),
    "404": (status("404 Not Found"), "not_found"),
    "453": (status("453 Not Enough Bandwidth", "SETUP"), "rejected"),
    "503": (status("503 Service Unavailable"), "rejected"),
}


# Of a sentence.
WORDS = {"no_answer": "no answer for", "name_unknown": "its name is not known"}


@dataclass
class Row:
    """A source that has a fault, and is repaired when that was noticed."""

    camera: Camera
    hurt: Callable[[], Any]
    heal: Callable[[], Any]
    options: dict[str, Any] = field(default_factory=dict)
    hurt_at: float | None = None
    is_healed: bool = False
    num_frames: int = 0

    def read(self) -> Reading:
        self.reading = Reading(self.camera.url, each=self._each, **self.options)
        return self.reading

    def _each(self, item: Any) -> None:
        self.num_frames += isinstance(item, LiveFrame)
        if self.num_frames == NUM_BEFORE and self.hurt_at is None:
            self.hurt_at = time.monotonic()
            self.hurt()
        elif isinstance(item, Status) and not self.is_healed:
            self.is_healed = True
            self.heal()


@pytest.fixture(scope="module")
def rtsp() -> Iterator[RtspServer]:
    with RtspServer() as made:
        yield made


@pytest.fixture(scope="module")
def http() -> Iterator[HttpServer]:
    with HttpServer() as made:
        yield made


def with_fault(camera: Camera, fault: Fault) -> None:
    camera.fault = fault


def cut_with(camera: Camera, fault: Fault) -> None:
    camera.fault = fault
    camera.cut()


def _nothing() -> None:
    """It comes back by itself."""


@pytest.fixture(scope="module")
def never_seen(rtsp: RtspServer, clip: Clip) -> Iterator[dict[str, Row]]:
    rows = {}
    for number, (name, (fault, _)) in enumerate(NEVER_SEEN.items()):
        camera = rtsp.add(f"never{number}", clip)
        camera.fault = fault
        rows[name] = Row(camera, _nothing, partial(with_fault, camera, Fault()))
        rows[name].read()
    yield rows
    for row in rows.values():
        row.reading.stop()


@pytest.mark.parametrize("name", NEVER_SEEN)
def test_a_source_that_was_never_seen_is_waited_for(never_seen: dict[str, Row], name: str) -> None:
    row, cause = never_seen[name], NEVER_SEEN[name][1]
    waiting = row.reading.wait_for_status("waiting")
    assert (waiting.cause, waiting.attempt, waiting.epoch) == (cause, 1, -1)
    row.reading.wait_for_frames(NUM_AFTER)
    assert row.reading.told() == [f"waiting {cause}", "info", "restored"]
    check_frames(row.reading, row.camera)


# The first cause of each, and those that may follow until the source is back.
LOST = {
    "the server closes": ("ended", ()),
    "the server resets": ("ended", ()),
    "the server goes and comes back": ("ended", ("refused",)),
    "the camera stalls": ("timeout", ()),
    "bytes trickle": ("timeout", ()),
    "the camera stalls, over UDP": ("timeout", ()),
    "a stream over HTTP ends": ("ended", ()),
    "a stream over HTTP is reset": ("ended", ()),
    "a stream over HTTP stalls": ("timeout", ()),
    "JPEGs end": ("ended", ()),
    "JPEGs stall": ("timeout", ()),
    "a stream over TCP ends": ("ended", ()),
    "a stream over TCP stalls": ("timeout", ()),
    "the sender over UDP dies": ("timeout", ()),
    "the camera is taken away": ("ended", ("not_found",)),
    "the password is changed": ("ended", ("unauthorized",)),
    "PLAY is not answered any more": ("ended", ("no_answer",)),
}


def _stalls(camera: Camera, **options: Any) -> Row:
    stall = partial(with_fault, camera, Fault(stalled=True))
    return Row(camera, stall, partial(with_fault, camera, Fault()), options)


def _comes_back(camera: Camera, fault: Fault) -> Row:
    """Cut, and then something else is wrong with it: repaired at the second status."""
    row = Row(camera, partial(cut_with, camera, fault), _nothing)

    def heal() -> None:
        row.is_healed = len(row.reading.statuses("lost")) > 1
        if row.is_healed:
            camera.fault = Fault()

    row.heal = heal
    return row


@pytest.fixture(scope="module")
def lost(rtsp: RtspServer, http: HttpServer, clip: Clip) -> Iterator[dict[str, Row]]:
    made: list[Any] = [TcpCamera(clip), TcpCamera(clip), RtspServer(), UdpCamera(clip, free_port())]
    tcp_ends, tcp_stalls, other, udp = made
    cameras = {
        name: rtsp.add(f"lost{number}", clip)
        for number, name in enumerate(("closes", "resets", "stalls", "trickles", "udp"))
    }
    gone = other.add("gone", clip)
    moved = [rtsp.add(f"moved{number}", clip) for number in range(3)]
    streams = [http.add(f"{name}.ts", clip) for name in ("ends", "resets", "stalls")]
    jpegs = [http.add(f"{name}.mjpeg", clip) for name in ("ends", "stalls")]

    def ends(camera: Camera, **how: bool) -> Row:
        return Row(camera, partial(camera.cut, **how), _nothing)

    def sender_comes_back() -> None:
        made.append(UdpCamera(clip, int(udp.camera.url.rpartition(":")[2])))
        made[-1].camera.began = udp.camera.began

    rows = {
        "the server closes": ends(cameras["closes"]),
        "the server resets": ends(cameras["resets"], reset=True),
        "the server goes and comes back": Row(gone, other.stop, _nothing),
        "the camera stalls": _stalls(cameras["stalls"]),
        "bytes trickle": Row(
            cameras["trickles"],
            partial(with_fault, cameras["trickles"], Fault(trickle=True)),
            partial(with_fault, cameras["trickles"], Fault()),
        ),
        "the camera stalls, over UDP": _stalls(cameras["udp"], rtsp_transport="udp"),
        "a stream over HTTP ends": ends(streams[0]),
        "a stream over HTTP is reset": ends(streams[1], reset=True),
        "a stream over HTTP stalls": _stalls(streams[2]),
        "JPEGs end": ends(jpegs[0]),
        "JPEGs stall": _stalls(jpegs[1]),
        "a stream over TCP ends": Row(tcp_ends.camera, tcp_ends.cut, _nothing),
        "a stream over TCP stalls": _stalls(tcp_stalls.camera),
        "the sender over UDP dies": Row(udp.camera, udp.stop, sender_comes_back),
        "the camera is taken away": _comes_back(moved[0], status("404 Not Found")),
        "the password is changed": _comes_back(moved[1], status("401 Unauthorized")),
        "PLAY is not answered any more": _comes_back(moved[2], Fault(mute="PLAY")),
    }

    def server_comes_back() -> None:
        row = rows["the server goes and comes back"]
        row.is_healed = len(row.reading.statuses("lost")) > 1
        if row.is_healed:
            threading.Timer(AWAY_SECONDS, other.start).start()

    rows["the server goes and comes back"].heal = server_comes_back
    for row in rows.values():
        row.read()
    yield rows
    for row in rows.values():
        row.reading.stop()
    for one in made:
        one.stop()


@pytest.mark.parametrize("name", LOST)
def test_a_source_that_is_lost_comes_back(lost: dict[str, Row], name: str) -> None:
    row, (cause, later) = lost[name], LOST[name]
    reading = row.reading
    reading.wait_for_status("restored")
    reading.wait_for_frames(NUM_AFTER)
    causes = [status.cause for status in reading.statuses("lost")]
    assert causes == [cause, *later]
    (gap,) = reading.of(Gap)
    assert gap.cause == "lost"
    told = [word for word in reading.told() if not word.startswith("lost")]
    assert sorted(told) == ["gap lost", "info", "info", "restored"]
    first = reading.statuses("lost")[0]
    assert row.hurt_at is not None
    assert 0 < reading.time_of(first) - row.hurt_at < NOTICED_SECONDS
    (restored,) = reading.statuses("restored")
    assert restored.lost_seconds is not None
    assert 0 < restored.lost_seconds < LONGEST_SECONDS
    # Nothing of the time that is missing, and nothing before it twice.
    before = [frame for frame in reading.frames if frame.epoch == 0]
    behind = [frame for frame in reading.frames if frame.epoch == 1]
    assert before[-1].seconds <= gap.from_seconds < gap.to_seconds <= behind[0].seconds
    assert len(before) + len(behind) == len(reading.frames)
    check_frames(reading, row.camera, tolerance_seconds=MISPLACED_SECONDS)


def test_nobody_listens_until_somebody_does(clip: Clip) -> None:
    port = free_port()
    reading = Reading(f"rtsp://127.0.0.1:{port}/door")
    assert reading.wait_for_status("waiting").cause == "refused"
    with RtspServer(port=port) as server:
        camera = server.add("door", clip)
        reading.wait_for_frames(NUM_AFTER)
        reading.stop()
    assert reading.told() == ["waiting refused", "info", "restored"]
    check_frames(reading, camera)


@pytest.mark.parametrize(
    ("address", "cause"),
    [("rtsp://127.0.0.1:{port}/door", "no_answer"), ("rtsp://no..name/door", "name_unknown")],
)
def test_nobody_is_there(address: str, cause: str) -> None:
    with FullBacklog() as port:
        reading = Reading(address.format(port=port), reconnect=0)
        error = reading.wait_for_end()
    assert isinstance(error, VideoError)
    assert error.code == "not_opened"
    assert reading.told() == []
    assert WORDS[cause] in str(error)


@pytest.mark.parametrize(
    ("encoding", "code"), [(None, "no_video_stream"), ("X-NOBODY-KNOWS", "undecodable")]
)
def test_what_will_never_be_read_is_an_error(door: Camera, encoding: str | None, code: str) -> None:
    door.fault = Fault(encoding=encoding)
    error = Reading(door.url).wait_for_end()
    assert isinstance(error, VideoError)
    assert error.code == code
    assert door.url in str(error)


def test_reconnections_may_be_counted(door: Camera) -> None:
    reading = Reading(door.url, reconnect=2)
    reading.wait_for_frames(NUM_BEFORE)
    cut_with(door, status("404 Not Found"))
    error = reading.wait_for_end()
    assert isinstance(error, VideoError)
    assert error.code == "lost"
    assert "not tried again after 2 times" in str(error)
    assert [status.cause for status in reading.statuses("lost")] == ["ended", "not_found"]
    assert door.requests.count("DESCRIBE") == 3


def test_a_refused_password_is_not_tried_often(door: Camera) -> None:
    door.fault = status("401 Unauthorized")
    waits = ShortWaits()
    reading = Reading(door.url, backoff=waits)
    # Not shortened: cameras lock accounts.
    assert reading.wait_for_status("waiting").cause == "unauthorized"
    reading.stop()
    assert waits.waits == [60.0]
