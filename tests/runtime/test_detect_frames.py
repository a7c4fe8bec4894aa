"""Frames of a program's own."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import planted
import pytest
from commands import HANG_SECONDS

from wsgn.engines.engine import Engine
from wsgn.errors import UsageError
from wsgn.runtime import DetectOptions, DetectorOptions, detect, detect_frames, open_engine
from wsgn.runtime.events import Event
from wsgn.video import FrameGrid, SampledFrame, VideoError, VideoReader
from wsgn.video.frames_in_memory import FramesInMemory

Pair = tuple[float, np.ndarray]
RATE = 20


@pytest.fixture(scope="module")
def engine(engine_path: Path) -> Iterator[Engine]:
    with open_engine(engine_path) as opened:
        yield opened


def planted_frames(begin: float = 0.0, height: int = 64, width: int = 64) -> Iterator[Pair]:
    """The planted video's frames at 20 per second, on a clock that begins anywhere."""
    number = 0
    for label, seconds in planted.SCENES:
        image = np.broadcast_to(np.array(planted.COLOURS[label], np.uint8), (height, width, 3))
        for _ in range(round(seconds * RATE)):
            yield begin + number / RATE, image
            number += 1


def segments(events: Iterator[Event]) -> list[tuple[str, float, float]]:
    return [
        (event.label, event.start_seconds, event.end_seconds)
        for event in events
        if event.type == "segment" and event.final
    ]


def test_the_frames_of_a_video_give_what_the_video_gives(engine: Engine, video_path: Path) -> None:
    with av.open(str(video_path)) as container:
        frames = [
            (float(frame.time or 0), frame.to_ndarray(format="rgb24"))
            for frame in container.decode(video=0)
        ]
    found = segments(detect_frames(frames, engine))
    expected = segments(detect(video_path, engine))
    assert [label for label, _, _ in found] == [label for label, _, _ in expected]
    for (_, *times), (_, *wanted) in zip(found, expected, strict=True):
        assert times == pytest.approx(wanted, abs=0.01)


@pytest.mark.parametrize("begin", [0.0, 1e3, 1.7e9, -50.0])
def test_any_clock_will_do_and_times_count_from_the_first_frame(
    engine: Engine, begin: float
) -> None:
    events = list(detect_frames(planted_frames(begin), engine))
    assert events[0].type == "source"
    assert segments(iter(events)) == [
        (label, pytest.approx(start, abs=0.06), pytest.approx(end, abs=0.06))
        for label, start, end in planted.SEGMENTS
    ]
    assert (events[-1].complete, events[-1].seconds) == (True, pytest.approx(12.0, abs=1e-5))


def test_every_frame_is_seen_once_at_its_own_rate() -> None:
    images = [np.full((8, 8, 3), number, np.uint8) for number in range(200)]
    for rate in (10.0, 15.0, 24.0, 30.0, 30000 / 1001):
        frames = ((7.0 + number / rate, image) for number, image in enumerate(images))
        grid = FrameGrid(frame_rate=rate, height=8, width=8)
        with VideoReader(FramesInMemory(frames), grid) as reader:
            seen = [item.image[0, 0, 0] for item in reader if isinstance(item, SampledFrame)]
        assert seen == list(range(200))


def test_pixels_of_the_grids_size_come_as_they_are() -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 18, 3), dtype=np.uint8)
    grid = FrameGrid(frame_rate=10.0, height=12, width=18)
    for given in (image, np.asfortranarray(image), image[..., ::-1][..., ::-1]):
        with VideoReader(FramesInMemory([(0.0, given)]), grid) as reader:
            (item,) = list(reader)
        assert isinstance(item, SampledFrame)
        np.testing.assert_array_equal(item.image, image)


def test_one_buffer_may_hold_every_frame(engine: Engine) -> None:
    buffer = np.empty((64, 64, 3), np.uint8)

    def frames() -> Iterator[Pair]:
        for seconds, image in planted_frames():
            buffer[:] = image
            yield seconds, buffer

    assert segments(detect_frames(frames(), engine)) == segments(
        detect_frames(planted_frames(), engine)
    )


def test_events_come_while_frames_come(engine: Engine) -> None:
    """From a source that never ends."""

    def endless() -> Iterator[Pair]:
        yield from planted_frames()
        black = np.zeros((64, 64, 3), np.uint8)
        yield from ((12.0 + number / RATE, black) for number in itertools.count())

    options = DetectOptions(detector=DetectorOptions(scores="causal"))
    events = detect_frames(endless(), engine, options)
    labels = (event.label for event in events if event.type == "segment")
    assert list(itertools.islice(labels, 2)) == ["red", "blue"]
    events.close()


def test_nothing_waits_for_a_full_batch(engine: Engine) -> None:
    """The source gives its next frame when what it gave before has been answered."""
    answered = threading.Event()

    def frames() -> Iterator[Pair]:
        yield from itertools.islice(planted_frames(), 160)
        assert answered.wait(HANG_SECONDS)

    options = DetectOptions(detector=DetectorOptions(scores="causal"), batch_size=1000)
    for event in detect_frames(frames(), engine, options):
        if event.type == "segment":
            answered.set()
    assert answered.is_set()


def test_a_hole_is_a_gap_and_times_that_fall_are_told(engine: Engine) -> None:
    frames = list(planted_frames())
    holed = [(seconds + 5 * (seconds >= 6), image) for seconds, image in frames]
    (gap,) = [event for event in detect_frames(holed, engine) if event.type == "gap"]
    assert (gap.from_seconds, gap.to_seconds) == pytest.approx((6.0, 11.0))
    # The last frame lasts as long as the one before it, but not as long as a hole.
    for times, end in (((0.0, 0.25), 0.5), ((0.0, 0.25, 5.0), 6.0), ((3.0,), 0.1)):
        few = [(seconds, frames[0][1]) for seconds in times]
        *_, last = detect_frames(few, engine)
        assert last.seconds == pytest.approx(end)
    shaken = [frames[1], frames[0], *frames[2:]]
    events = list(detect_frames(shaken, engine))
    codes = [event.code for event in events if event.type == "warning"]
    assert codes == ["falling_timestamps"]


def test_parts_and_sizes(engine: Engine) -> None:
    options = DetectOptions(start_seconds=6.0, end_seconds=11.0)
    assert [found[0] for found in segments(detect_frames(planted_frames(), engine, options))] == [
        "blue"
    ]
    small, large = planted_frames(height=33, width=47), planted_frames(height=90, width=61)
    mixed = (pair for two in zip(small, large, strict=True) for pair in two[:1])
    assert len(segments(detect_frames(mixed, engine))) == 2


@pytest.mark.parametrize(
    ("item", "message"),
    [
        ((0.0, np.zeros((4, 4, 3))), "must be .height, width, 3. uint8 RGB, got .* float64"),
        ((0.0, np.zeros((4, 4), np.uint8)), "uint8 RGB"),
        ((0.0, np.zeros((4, 4, 4), np.uint8)), "uint8 RGB"),
        ((0.0, np.zeros((0, 4, 3), np.uint8)), "uint8 RGB"),
        ((0.0, None), "uint8 RGB"),
        ((float("nan"), np.zeros((4, 4, 3), np.uint8)), "finite seconds"),
        ((float("inf"), np.zeros((4, 4, 3), np.uint8)), "finite seconds"),
        (np.zeros((4, 4, 3), np.uint8), "must be a pair .seconds, image., got a ndarray"),
        (("now", np.zeros((4, 4, 3), np.uint8)), "must be a pair"),
        (3, "must be a pair"),
    ],
)
@pytest.mark.parametrize("first", [True, False])
def test_what_is_no_frame_is_a_usage_error(
    engine: Engine, item: Any, message: str, first: bool
) -> None:
    good = (-1.0, np.zeros((4, 4, 3), np.uint8))
    with pytest.raises(UsageError, match=message):
        list(detect_frames([item] if first else [good, item], engine))


def test_no_frame_at_all_is_an_input_error(engine: Engine) -> None:
    with pytest.raises(VideoError, match="there are no frames"):
        list(detect_frames([], engine))


def test_what_the_program_raises_comes_out(engine: Engine) -> None:
    def failing() -> Iterator[Pair]:
        yield 0.0, np.zeros((4, 4, 3), np.uint8)
        raise LookupError("the camera was unplugged")

    with pytest.raises(LookupError, match="unplugged"):
        list(detect_frames(failing(), engine))
