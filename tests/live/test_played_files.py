"""Files by their times, pipes as they come, and cameras of this machine, without a server."""

from __future__ import annotations

import errno
import io
import os
import threading
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path
from typing import Any

import av
import pytest
from clips import Clip, read_bar_code
from places import ROOT, SHARED
from reading import GRID, LONGEST_SECONDS
from stream_servers import transport_stream

from wsgn.video import FrameGrid, Gap, Notice, SampledFrame, VideoError, VideoReader
from wsgn.video.info import VideoInfo
from wsgn.video.live.items import LiveFrame, LivePosition, Skipped, Status
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.reader import LiveReader
from wsgn.video.live.source import LiveSource

SAMPLE_PATH = ROOT / "runtime" / "demo" / "demo.mp4"
# Real films beside the checkout, each with something of its own.
FILMS = ("bikes.mp4", "flipping_a_pancake.mkv", "h265_video.mp4", "av1_video.mkv", "walk.mkv")


class Clock:
    """Moves only where somebody waits."""

    def __init__(self) -> None:
        self.now = 5000.0
        self.wall_shift = 1.7e9

    def monotonic(self) -> float:
        return self.now

    def wall(self) -> float:
        return self.now + self.wall_shift

    def sleep(self, seconds: float) -> None:
        self.now += seconds


def played(
    address: Path | str,
    clock: Clock,
    *,
    grid: FrameGrid = GRID,
    resume: LivePosition | None = None,
    opener: Callable[..., Any] | None = None,
    realtime: bool = True,
    **options: Any,
) -> LiveReader:
    """A reader on a given clock."""
    more = {} if opener is None else {"opener": opener}
    return LiveReader(
        LiveSource(name="film", address=str(address), realtime=realtime),
        grid,
        LiveOptions(**options),
        resume=resume,
        monotonic=clock.monotonic,
        wall=clock.wall,
        sleep=clock.sleep,
        should_stop=lambda: False,
        **more,
    )


def frames_of(items: Iterator[Any]) -> list[LiveFrame]:
    return [item for item in items if isinstance(item, LiveFrame)]


def require_same_frames(path: Path) -> None:
    clock = Clock()
    live = frames_of(iter(played(path, clock)))
    with VideoReader(path, GRID) as reader:
        read = [item for item in reader if isinstance(item, SampledFrame)]
    assert [frame.index for frame in live] == [frame.index for frame in read]
    assert all((a.image == b.image).all() for a, b in zip(live, read, strict=True))
    # At their times: the reordering of a film holds some back.
    assert all(-0.2 <= frame.arrival - 5000.0 - frame.seconds < 1.0 for frame in live)
    assert clock.now - 5000.0 == pytest.approx(live[-1].seconds, abs=0.5)


def test_a_film_that_is_played_has_the_frames_of_the_film() -> None:
    require_same_frames(SAMPLE_PATH)


@pytest.mark.parametrize("name", FILMS)
def test_so_have_real_films(name: str) -> None:
    path = SHARED / "data" / "videos" / name
    if not path.exists():
        pytest.skip("the shared films are not there")
    require_same_frames(path)


def test_who_is_too_slow_gets_less_and_no_old_pictures(tmp_path: Path, clip: Clip) -> None:
    path = tmp_path / "film.ts"
    path.write_bytes(transport_stream(clip, 0.0, 32.0))
    clock = Clock()
    items: list[Any] = []
    ages: dict[int, list[float]] = {}
    grid = FrameGrid(frame_rate=25, height=48, width=64)
    for item in played(path, clock, grid=grid, max_lag_seconds=2.0):
        items.append(item)
        if isinstance(item, LiveFrame):
            ages.setdefault(item.epoch, []).append(clock.now - 5000.0 - item.seconds)
            # A third of what comes.
            clock.sleep(0.12)
    (skips, gaps) = ([item for item in items if isinstance(item, kind)] for kind in (Skipped, Gap))
    assert len(skips) > 5
    assert max(map(max, ages.values())) < 2.0 + 0.5
    assert max(age[0] for age in ages.values()) < 0.5 + 0.2
    assert [(skip.from_seconds, skip.to_seconds) for skip in skips] == [
        (gap.from_seconds, gap.to_seconds) for gap in gaps
    ]
    assert all(skip.pictures == round((skip.to_seconds - skip.from_seconds) * 25) for skip in skips)
    assert {gap.cause for gap in gaps} == {"late"}
    frames = frames_of(iter(items))
    assert {frame.epoch for frame in frames} == set(range(len(gaps) + 1))
    # One line for the state, and pictures are where they are in the film.
    assert [item.state for item in items if isinstance(item, Status)] == ["late"]
    assert all(read_bar_code(frame.image) == frame.index % 100 for frame in frames)


def test_who_is_too_slow_gets_all_where_nothing_may_be_dropped() -> None:
    clock = Clock()
    count = 0
    for item in played(SAMPLE_PATH, clock, drop="never"):
        assert isinstance(item, LiveFrame | VideoInfo)
        count += isinstance(item, LiveFrame)
        clock.sleep(0.3)
    assert count == 300


def test_an_earlier_run_is_gone_on_from_by_the_wall_clock() -> None:
    clock = Clock()
    before = LivePosition(media_seconds=40.0, unix_seconds=clock.wall() - 25.0, epoch=2)
    reader = played(SAMPLE_PATH, clock, resume=before, end_seconds=75.0)
    items = list(reader)
    (gap,) = (item for item in items if isinstance(item, Gap))
    assert (gap.from_seconds, gap.cause) == (40.0, "lost")
    # Its first picture comes behind those that were decoded before it.
    assert 65.0 <= gap.to_seconds <= 65.3
    frames = frames_of(iter(items))
    assert {frame.epoch for frame in frames} == {3}
    assert frames[-1].index == 749
    assert abs(frames[-1].unix_seconds - clock.wall()) < 0.5
    assert reader.position.media_seconds == pytest.approx(75.0, abs=0.2)


def test_a_pipe_without_a_picture_is_no_video(tmp_path: Path) -> None:
    # libav takes any text for one of its formats.
    path = tmp_path / "cameras.toml"
    path.write_text('[door]\nurl = "rtsp://10.0.0.5/1"\n')
    with pytest.raises(VideoError, match="has ended without a picture") as raised:
        list(played(path, Clock(), realtime=False))
    assert raised.value.code == "empty"


def test_what_is_no_film_is_said() -> None:
    with pytest.raises(VideoError, match="cannot be opened"):
        list(played(Path(__file__), Clock()))
    with pytest.raises(VideoError, match="cannot be opened: it is not there"):
        list(played("nowhere.mp4", Clock()))


def test_a_camera_of_this_machine_is_opened_as_one() -> None:
    opened = []

    def opener(opening: Any, should_stop: Callable[[], bool]) -> Any:
        opened.append((opening.file, opening.format))
        if len(opened) == 2:
            # Somebody else has it.
            raise av.error.OSError(16, "Device or resource busy")
        return av.open(str(SAMPLE_PATH))

    clock = Clock()
    items: list[Any] = []
    for item in played("/dev/video7", clock, opener=opener, realtime=False, drop="never"):
        items.append(item)
        if len(opened) == 3 and isinstance(item, LiveFrame):
            break
    assert opened == [("/dev/video7", "v4l2")] * 3
    told = [(item.state, item.cause) for item in items if isinstance(item, Status)]
    assert told == [("lost", "ended"), ("lost", "rejected"), ("restored", None)]


def streamed(data: bytes) -> Callable[..., Any]:
    """Opens these bytes, whatever the address is: they come as quickly as they are read."""
    return lambda opening, should_stop: av.open(io.BytesIO(data))


def test_a_storm_of_pictures_is_a_fault(clip: Clip) -> None:
    clock = Clock()
    grid = FrameGrid(frame_rate=25, height=48, width=64)
    opener = streamed(transport_stream(clip, 0.0, 68.0))
    seconds: list[float] = []
    for item in played("udp://127.0.0.1:1", clock, grid=grid, opener=opener, realtime=False):
        if isinstance(item, Status):
            break
        if isinstance(item, LiveFrame):
            seconds.append(clock.now - 5000.0)
            # As they should for 12 s, then eight times as quickly.
            clock.sleep(0.04 if clock.now < 5012.0 else 0.005)
    assert (item.state, item.cause) == ("lost", "storm")
    assert seconds[-1] == pytest.approx(18.0, abs=1.5)


@pytest.mark.parametrize("is_seen", [False, True])
def test_an_end_comes_also_where_no_picture_does(clip: Clip, is_seen: bool) -> None:
    clock = Clock()
    openings = iter([streamed(transport_stream(clip, 0.0, 4.0))] if is_seen else [])

    def opener(opening: Any, should_stop: Callable[[], bool]) -> Any:
        for open_stream in openings:
            return open_stream(opening, should_stop)
        raise av.error.ConnectionRefusedError(errno.ECONNREFUSED, "refused")

    reader = played("tcp://127.0.0.1:1", clock, opener=opener, realtime=False, end_seconds=20.0)
    if is_seen:
        assert frames_of(iter(reader))
        # Its four seconds came at once.
        assert clock.now - 5000.0 == pytest.approx(16.0, abs=0.2)
        return
    with pytest.raises(VideoError, match="an end was asked for") as raised:
        list(reader)
    assert raised.value.code == "not_opened"
    assert clock.now - 5000.0 == pytest.approx(60.0, abs=0.2)


class TickingClock(Clock):
    """Moves whenever it is asked, too."""

    def monotonic(self) -> float:
        self.now += 0.02
        return self.now


def test_pictures_without_times_lie_where_they_come(clip: Clip) -> None:
    clock = TickingClock()
    data = b"".join(picture.annexb for picture in clip.pictures)
    items = []
    for item in played("tcp://127.0.0.1:1", clock, opener=streamed(data), realtime=False):
        items.append(item)
        if isinstance(item, Status):
            break
    # Libav would have them last 4 s.
    assert clock.now - 5000.0 > 6.0
    frames = frames_of(iter(items))
    assert frames[-1].seconds == pytest.approx(clock.now - 5000.0, abs=1.0)
    assert [frame.index for frame in frames] == list(range(len(frames)))
    assert all(0.0 <= frame.arrival - 5000.0 - frame.seconds < 1.0 for frame in frames)


def test_the_clock_of_the_machine_may_be_set(clip: Clip) -> None:
    clock = Clock()
    reader = played(SAMPLE_PATH, clock)
    items: list[Any] = []
    for item in reader:
        items.append(item)
        if len(items) == 100:
            clock.wall_shift += 3600.0
    (moved,) = (item for item in items if isinstance(item, Notice))
    assert moved.code == "clock_moved"
    assert "+3600.0 s" in moved.message
    frames = frames_of(iter(items))
    assert [frame.index for frame in frames] == list(range(300))
    steps = [b.unix_seconds - a.unix_seconds for a, b in pairwise(frames)]
    assert [round(step, -2) for step in steps if abs(step) > 1.0] == [3600.0]


@pytest.fixture
def pipe(tmp_path: Path) -> Path:
    path = tmp_path / "camera"
    os.mkfifo(path)
    return path


def test_a_pipe_is_read_as_it_comes_and_to_its_end(pipe: Path, clip: Clip) -> None:
    parts = [transport_stream(clip, begin, begin + 2.0) for begin in (0.0, 2.0)]
    received = threading.Semaphore(0)

    def write() -> None:
        with pipe.open("wb", buffering=0) as file:
            file.write(parts[0])
            # Nothing more comes until some of it was given out.
            assert received.acquire(timeout=LONGEST_SECONDS)
            file.write(parts[1])

    writer = threading.Thread(target=write, daemon=True)
    writer.start()
    clock = Clock()
    frames = []
    # Who is slow makes the writer wait.
    for item in played(pipe, clock, realtime=False, max_lag_seconds=0.1):
        if isinstance(item, LiveFrame):
            received.release()
            frames.append(item)
            clock.sleep(0.3)
    assert [frame.index for frame in frames] == list(range(40))
    assert {frame.epoch for frame in frames} == {0}
    writer.join()


def test_a_silent_pipe_hears_when_to_stop(pipe: Path, clip: Clip) -> None:
    stop = threading.Event()
    source = LiveSource(name="camera", address=str(pipe))
    reader = LiveReader(source, GRID, LiveOptions(), should_stop=stop.is_set)
    silent = threading.Event()

    def read() -> None:
        for item in reader:
            # What the last picture brings out that is known before more comes.
            if isinstance(item, LiveFrame) and item.index == 18:
                silent.set()

    thread = threading.Thread(target=read, daemon=True)
    thread.start()
    with pipe.open("wb", buffering=0) as file:
        file.write(transport_stream(clip, 0.0, 1.96))
        assert silent.wait(LONGEST_SECONDS)
        stop.set()
        thread.join(LONGEST_SECONDS)
        assert not thread.is_alive()
