"""The table of faults of docs/live.md, row by row: what a live reader says, and that it goes on."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from cameras import Camera, Fault
from clips import Clip
from fault_rows import LOST, NEVER_SEEN, NUM_AFTER, NUM_BEFORE, Row, read_all, status
from reading import (
    LONGEST_SECONDS,
    PATIENT_SECONDS,
    TIMEOUT_SECONDS,
    Reading,
    ShortWaits,
    check_frames,
)
from servers import FullBacklog

from wsgn.video import Gap, VideoError

# A new connection may hand over what it has looked at before, up to a second of it, at once.
MISPLACED_SECONDS = 2.0
# RTSP looks at nothing when it comes back; it is away for longer than this when it stalls.
CLOSE_SECONDS = 1.5
# Of a sentence.
WORDS = {"no_answer": "no answer for", "name_unknown": "its name is not known"}


@pytest.fixture(scope="module")
def never_seen(clip: Clip) -> Iterator[dict[str, Row]]:
    with read_all(NEVER_SEEN, clip) as rows:
        yield rows


@pytest.mark.parametrize("name", NEVER_SEEN)
def test_a_source_that_was_never_seen_is_waited_for(never_seen: dict[str, Row], name: str) -> None:
    row, (cause,) = never_seen[name], NEVER_SEEN[name].causes
    waiting = row.reading.wait_for_status("waiting")
    assert (waiting.cause, waiting.attempt, waiting.epoch) == (cause, 1, -1)
    assert row.reading.wait_for_end() is None
    assert len(row.reading.frames) >= NUM_AFTER
    assert row.reading.told() == [f"waiting {cause}", "info", "restored"]
    check_frames(row.reading, row.camera)


@pytest.fixture(scope="module")
def lost(clip: Clip) -> Iterator[dict[str, Row]]:
    with read_all(LOST, clip) as rows:
        yield rows


@pytest.mark.parametrize("name", LOST)
def test_a_source_that_is_lost_comes_back(lost: dict[str, Row], name: str) -> None:
    row = lost[name]
    reading = row.reading
    assert reading.wait_for_end() is None
    (restored,) = reading.statuses("restored")
    assert tuple(status.cause for status in reading.statuses("lost")) == LOST[name].causes
    assert 0 < row.noticed_seconds() < 3 * TIMEOUT_SECONDS
    assert restored.lost_seconds is not None
    assert 0 < restored.lost_seconds < LONGEST_SECONDS
    if "decode_failure" in reading.told():
        # What of damaged pictures can be decoded is nobody's choice.
        return
    told = [word for word in reading.told() if not word.startswith("lost")]
    if not row.camera.has_times:
        # Where pictures lie as they come, a machine that stands still is a gap.
        told = [word for word in told if word != "gap jump"]
    assert sorted(told) == ["gap lost", "info", "info", "restored"]
    # Nothing of the time that is missing, and nothing before it twice.
    for number, gap in enumerate(reading.of(Gap)):
        assert gap.from_seconds < gap.to_seconds
        for frame in reading.frames:
            is_before = frame.epoch <= number
            assert is_before == (frame.seconds <= gap.from_seconds)
            assert is_before != (frame.seconds >= gap.to_seconds)
    assert reading.frames[-1].epoch == len(reading.of(Gap))
    tolerance = CLOSE_SECONDS if name == "it stalls" else MISPLACED_SECONDS
    check_frames(reading, row.camera, tolerance_seconds=tolerance)


@pytest.mark.parametrize(
    ("address", "seconds", "cause"),
    [
        ("rtsp://127.0.0.1:{port}/door", 0.6, "no_answer"),
        ("rtsp://no..name/door", PATIENT_SECONDS, "name_unknown"),
    ],
)
def test_nobody_is_there(address: str, seconds: float, cause: str) -> None:
    with FullBacklog() as port:
        reading = Reading(address.format(port=port), reconnect=0, open_timeout_seconds=seconds)
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
    error = Reading(door.url, open_timeout_seconds=0.8).wait_for_end()
    assert isinstance(error, VideoError)
    assert error.code == code
    assert door.url in str(error)


def test_reconnections_may_be_counted(door: Camera) -> None:
    reading = Reading(door.url, reconnect=2)
    reading.wait_for_frames(NUM_BEFORE)
    door.fault = status("404 Not Found")
    door.cut()
    error = reading.wait_for_end()
    assert isinstance(error, VideoError)
    assert error.code == "lost"
    assert "not tried again after 2 times" in str(error)
    assert [status.cause for status in reading.statuses("lost")] == ["ended", "not_found"]
    assert door.requests.count("DESCRIBE") == 3


def test_a_refused_password_is_not_tried_often(door: Camera) -> None:
    door.fault = status("401 Unauthorized")
    waits = ShortWaits()
    reading = Reading(door.url, make_backoff=lambda: waits)
    # Not shortened: cameras lock accounts.
    assert reading.wait_for_status("waiting").cause == "unauthorized"
    reading.stop()
    assert waits.waits == [60.0]
