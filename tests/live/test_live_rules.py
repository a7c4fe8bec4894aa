"""Waits between attempts, what is told of an outage, storms, the names of faults and sources."""

from __future__ import annotations

import errno
from collections.abc import Callable

import pytest
from av.error import (
    ExitError,
    FFmpegError,
    HTTPForbiddenError,
    HTTPNotFoundError,
    HTTPServerError,
    HTTPUnauthorizedError,
    InvalidDataError,
)

from wsgn.errors import UsageError
from wsgn.video.live.backoff import OPENINGS_AT_A_TIME, Backoff, opening_slot
from wsgn.video.live.faults import Fault, opening_fault, reading_fault
from wsgn.video.live.moments import Moments
from wsgn.video.live.opening import escaped, opening_of
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.outage import Outage
from wsgn.video.live.source import LiveSource, default_name, is_live
from wsgn.video.live.storm import StormWatch


@pytest.mark.parametrize("draw", [0.0, 1.0])
def test_waits_double_up_to_half_a_minute(draw: float) -> None:
    backoff = Backoff(lambda: draw)
    part = 0.5 + draw / 2
    waits = [backoff.wait_seconds("refused") for _ in range(9)]
    expected = [0.5, 1, 2, 4, 8, 16, 30, 30, 30]
    assert waits == [part * seconds for seconds in expected]
    # Cameras lock accounts.
    assert backoff.wait_seconds("unauthorized") == 60.0
    backoff.reset()
    assert backoff.wait_seconds("ended") == part * 0.5


def test_an_outage_tells_each_cause_once_and_ends_with_pictures() -> None:
    outage = Outage(None, Backoff())
    assert [outage.is_new(cause) for cause in ("ended", "refused", "ended", "refused")] == [
        True, True, False, False,
    ]  # fmt: skip
    assert outage.is_told
    outage.end()
    assert not outage.is_told
    assert outage.is_new("ended")


@pytest.mark.parametrize("limit", [0, 1, 3])
def test_attempts_are_counted_until_a_picture(limit: int) -> None:
    outage = Outage(limit, Backoff())
    for _ in range(2):
        for _ in range(limit):
            assert outage.fault(Fault(cause="refused")) is not None
        outage.end()
    for _ in range(limit):
        outage.fault(Fault(cause="refused"))
    assert outage.fault(Fault(cause="refused")) is None


def test_so_many_openings_go_on_at_a_time_and_a_hanging_one_holds_none_up_for_ever() -> None:
    now = [0.0]

    def sleep(seconds: float) -> None:
        now[0] += seconds

    moments = Moments(lambda: now[0], sleep, lambda: False)
    slots = [opening_slot(5.0, moments) for _ in range(OPENINGS_AT_A_TIME)]
    for slot in slots:
        slot.__enter__()
    assert now[0] == 0.0
    with opening_slot(5.0, moments):
        assert now[0] == pytest.approx(5.0, abs=0.2)
    for slot in slots:
        slot.__exit__(None, None, None)
    with opening_slot(5.0, moments):
        assert now[0] < 5.5


def is_stormy(rates: list[int]) -> bool:
    """Whether any picture is part of a storm, of so many a second in each second."""
    watch = StormWatch()
    return any(
        watch.is_storm(second + index / rate)
        for second, rate in enumerate(rates)
        for index in range(rate)
    )


@pytest.mark.parametrize(
    ("rates", "expected"),
    [
        ([25] * 30 + [110] * 8, True),
        # Over 60 a second, and still no storm of a quick camera.
        ([60] * 30 + [110] * 8, False),
        # What was held back comes at once.
        ([25] * 30 + [250] + [25] * 10, False),
        ([25] * 30 + [110] * 4 + [25] + [110] * 4, False),
        # A camera that films slowly until something moves.
        ([1] * 30 + [25] * 60, False),
        # What is usual is not known yet.
        ([25] * 3 + [200] * 20, False),
    ],
)
def test_storms(rates: list[int], expected: bool) -> None:
    assert is_stormy(rates) is expected


def error(kind: type[FFmpegError], number: int = 0) -> FFmpegError:
    return kind(number, "words of libav with rtsp://me:secret@camera/1")


@pytest.mark.parametrize(
    ("raised", "elapsed", "cause"),
    [
        (error(HTTPUnauthorizedError), 0.0, "unauthorized"),
        (error(HTTPForbiddenError), 0.0, "unauthorized"),
        (error(HTTPNotFoundError), 0.0, "not_found"),
        (error(HTTPServerError), 0.0, "rejected"),
        (error(FFmpegError, errno.ECONNREFUSED), 0.0, "refused"),
        (error(FFmpegError, errno.EHOSTUNREACH), 3.1, "unreachable"),
        (error(FFmpegError, errno.ETIMEDOUT), 0.5, "no_answer"),
        (error(ExitError), 3.0, "no_answer"),
        # What libav says of a camera that never answers, by how long it took.
        (error(InvalidDataError), 3.0, "no_answer"),
        (error(FFmpegError, errno.EPERM), 3.0, "no_answer"),
        (error(InvalidDataError), 0.1, "broken"),
        (error(FFmpegError, errno.EIO), 0.1, "broken"),
        (error(FFmpegError, errno.ENOENT), 0.0, "not_found"),
        (error(FFmpegError, errno.EBUSY), 0.0, "rejected"),
    ],
)
def test_openings_fail_by_what_happened(raised: FFmpegError, elapsed: float, cause: str) -> None:
    fault = opening_fault(raised, elapsed, 3.0, "127.0.0.1")
    assert fault.cause == cause
    assert "secret" not in fault.words()


def test_a_name_that_nobody_knows() -> None:
    raised = error(FFmpegError, errno.EIO)
    assert opening_fault(raised, 0.1, 3.0, "camera.invalid").cause == "name_unknown"


@pytest.mark.parametrize(
    ("raised", "waited", "cause"),
    [
        (error(ExitError), 1.0, "timeout"),
        (error(FFmpegError, errno.ETIMEDOUT), 0.5, "timeout"),
        # A byte now and then.
        (error(FFmpegError, errno.EIO), 1.0, "timeout"),
        (error(FFmpegError, errno.EIO), 0.1, "ended"),
        (error(FFmpegError, errno.ECONNRESET), 0.0, "ended"),
        (error(InvalidDataError), 0.0, "broken"),
    ],
)
def test_readings_break_off_by_what_happened(
    raised: FFmpegError, waited: float, cause: str
) -> None:
    fault = reading_fault(raised, waited, 1.0, 2.0)
    assert (fault.cause, fault.seconds) == (cause, 2.0 if cause == "timeout" else 0.0)


@pytest.mark.parametrize(
    ("address", "live", "name"),
    [
        ("rtsp://me:secret@10.0.0.5:554/cam/stream1?token=secret", True, "10-0-0-5_stream1"),
        ("rtsp://me:se/cr@et@10.0.0.5/1", True, "10-0-0-5_1"),
        ("rtsp://10.0.0.1/user=admin_password=secret", True, "10-0-0-1"),
        ("udp://@:5000", True, "udp_5000"),
        ("/dev/video2", True, "video2"),
        ("0", True, "video0"),
        ("http://cam/live.m3u8", None, "cam_live-m3u8"),
        ("https://cam/", None, "cam"),
        ("-", False, "stdin"),
        ("file:///a/b.mp4", False, "file_b-mp4"),
        ("deep/a b.mp4", False, "a-b"),
    ],
)
def test_what_is_live_and_what_it_is_called(address: str, live: bool | None, name: str) -> None:
    assert is_live(address) is live
    assert default_name(address) == name


def test_a_file_of_such_a_name_is_the_file(
    tmp_path: object, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(str(tmp_path))
    assert is_live("7") is True
    with open("7", "w"):  # noqa: PTH123
        pass
    assert is_live("7") is False


def test_a_source_shows_no_credential() -> None:
    assert LiveSource(name="a", address="udp://@:5000").shown
    source = LiveSource(name="door", address="rtsp://me:secret@10.0.0.5/1?password=secret")
    assert "secret" not in f"{source!r} {source} {source.shown}"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: LiveSource(name="a", address="srt://10.0.0.1:9000"), "has no SRT.*ffmpeg -i srt"),
        (lambda: LiveSource(name="", address="0"), "needs a name"),
        (lambda: LiveSource(name="a", address="rtsp://cam:99999/1"), "check its host and port"),
        (lambda: LiveSource(name="a", address="rtsp:///1"), "names no host"),
        (lambda: LiveSource(name="a", address="0", rtsp_transport="http"), "tcp or udp"),
        (lambda: LiveOptions(timeout_seconds=0), "timeout_seconds must be a positive"),
        (lambda: LiveOptions(drop="newest"), "oldest or never"),
        (lambda: LiveOptions(reconnect=-1), "reconnect must not be negative"),
    ],
)
def test_what_makes_no_sense_is_refused(make: Callable[[], object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        make()


def test_how_addresses_are_opened() -> None:
    options = LiveOptions(timeout_seconds=4.0, source_options={"buffer_size": "1"})

    def opening(address: str, *, quick: bool = False, **rest: object) -> tuple[object, ...]:
        source = LiveSource(name="a", address=address, **rest)  # type: ignore[arg-type]
        made = opening_of(source, options, quick=quick)
        assert made.options["buffer_size"] == "1"
        return made.file, made.format, made.read_seconds, made.options.get("rtsp_transport")

    # RTSP asks twice.
    assert opening("rtsp://a/1") == ("rtsp://a/1", None, 2.0, "tcp")
    assert opening("rtsp://a/1", rtsp_transport="udp") == ("rtsp://a/1", None, 2.0, "udp")
    assert opening("rtsp://a/1", timeout_seconds=6.0)[2] == 3.0
    assert opening("http://a/1") == ("http://a/1", None, 4.0, None)
    assert opening("3")[:2] == ("/dev/video3", "v4l2")
    quick = opening_of(LiveSource(name="a", address="rtsp://a/1"), options, quick=True)
    assert quick.options["analyzeduration"] == "0"


@pytest.mark.parametrize(
    ("address", "expected"),
    [
        ("rtsp://me:p/w@cam/1", "rtsp://me:p%2Fw@cam/1"),
        ("rtsp://me:p@s?/#w@cam:554/1?a=b", "rtsp://me:p@s?/#w@cam:554/1?a=b"),
        ("rtsp://me:p?/#w@cam:554/1?a=b", "rtsp://me:p%3F%2F%23w@cam:554/1?a=b"),
        ("rtsp://me:p%40/w@cam/1", "rtsp://me:p%40%2Fw@cam/1"),
        # libav finds the host behind the last @ before the path.
        ("rtsp://me:p@w@cam/1", "rtsp://me:p@w@cam/1"),
        ("rtsp://cam/mail=a@b", "rtsp://cam/mail=a@b"),
        ("rtsp://cam:554/mail=a@b", "rtsp://cam:554/mail=a@b"),
        ("rtsp://[::1]:554/1", "rtsp://[::1]:554/1"),
        ("/dev/video0", "/dev/video0"),
    ],
)
def test_passwords_as_they_are_typed(address: str, expected: str) -> None:
    assert escaped(address) == expected
