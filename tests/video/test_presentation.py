"""The rule between presentation and decoding times, frame by frame."""

from __future__ import annotations

import itertools
from collections import deque
from fractions import Fraction

import pytest

from wsgn.video.presentation import CountedTimes, PresentationTimes
from wsgn.video.timeline import Placement, Timeline

# (pts, dts) of the frames of an AVI of H.264 with two B-frames, as libavformat gives them out.
AVI_FRAMES: list[tuple[int | None, int | None]] = [
    (1, 2),
    (2, 3),
    (3, 4),
    (4, 5),
    (6, 6),
    (5, 7),
    (7, 8),
    (8, 9),
    (10, 10),
    (9, None),
    (11, None),
]


def chosen(times: PresentationTimes, frames: list[tuple[int | None, int | None]]) -> list[int]:
    """Every frame judged by what all of them have shown."""
    candidates = [times.candidates(pts, dts, 1) for pts, dts in frames]
    return [time for item in candidates if (time := times.choose(item, 1)) is not None]


def test_avi_frames_follow_one_another_from_the_first_on() -> None:
    times = PresentationTimes(has_pts=False)
    for number in range(3):
        times.feed(number + 1, number)
    assert times.by_decoding
    given = chosen(times, AVI_FRAMES)
    assert [b - a for a, b in itertools.pairwise(given)] == [1] * 10


def test_stored_times_that_fall_more_often_are_left() -> None:
    times = PresentationTimes(has_pts=True)
    times.feed(1, 0)
    given = chosen(times, AVI_FRAMES)
    assert times.by_decoding
    assert [b - a for a, b in itertools.pairwise(given)] == [1] * 10


def test_stored_times_that_rise_are_kept_whatever_decoding_times_do() -> None:
    for dts in ([0, 1, 2, 3], [5, 4, 3, 2], [0, 0, 0, 0], [None] * 4):
        times = PresentationTimes(has_pts=True)
        frames = list(zip([10, 20, 30, 50], dts, strict=True))
        assert chosen(times, frames) == [10, 20, 30, 50]


def test_a_wrap_of_the_clock_is_no_fall() -> None:
    wrap = 1 << 33
    times = PresentationTimes(has_pts=True, wrap_ticks=wrap)
    # Presentation times wrap at one frame and, of frames that were reordered, back and again.
    pts = [wrap - 100, wrap + 100, 200, wrap + 300, 400]
    dts = [wrap - 200, wrap - 100, wrap - 50, 100, 200]
    assert chosen(times, list(zip(pts, dts, strict=True))) == pts
    assert not times.by_decoding


@pytest.mark.parametrize("fall", [1, 2, 5])
def test_a_sparse_clock_that_was_guessed_wrongly_is_bridged(fall: int) -> None:
    times = PresentationTimes(has_pts=True, sparse=True)
    right = list(range(0, 1000, 10))
    wrong = [t - 10 * fall if 40 <= n < 60 else t for n, t in enumerate(right)]
    given = [times.choose(times.candidates(t, t, 10), 10) for t in wrong]
    assert given == right


def test_a_sparse_clock_that_begins_anew_is_left_to_the_timeline() -> None:
    times = PresentationTimes(has_pts=True, sparse=True)
    clock = [*range(5000, 6000, 10), *range(0, 1000, 10)]
    assert [times.choose(times.candidates(t, t, 10), 10) for t in clock] == clock


def test_counted_frames_ask_no_clock() -> None:
    assert chosen(CountedTimes(), [(7, 9), (None, None), (3, 1), (3, 1)]) == [0, 1, 2, 3]


def timeline(*, wrap_ticks: int | None = None, declared_seconds: float | None = None) -> Timeline:
    return Timeline(
        time_base=Fraction(1, 1000),
        frame_seconds=0.1,
        declared_seconds=declared_seconds,
        packet_seconds=deque(),
        wrap_ticks=wrap_ticks,
    )


def place_all(line: Timeline, ticks: list[int]) -> list[Placement]:
    """Each frame with the timestamp of the one behind it, as the reader has it."""
    following = [*ticks[1:], None]
    return [line.place(t, 0.1, following=f) for t, f in zip(ticks, following, strict=True)]


def steady(begin: int, count: int) -> list[int]:
    return list(range(begin, begin + 100 * count, 100))


@pytest.mark.parametrize("wrong", [-50_000, -5000, 5000, 500_000, 10**9])
def test_one_wrong_timestamp_moves_one_frame_only_to_its_place(wrong: int) -> None:
    ticks = steady(1000, 20)
    ticks[10] += wrong
    places = place_all(timeline(), ticks)
    assert [place.seconds for place in places] == pytest.approx([n / 10 for n in range(20)])
    assert {place.epoch for place in places} == {0}
    assert [place.notice.code for place in places if place.notice] == ["unlikely_timestamps"]


@pytest.mark.parametrize("declared_seconds", [None, 0.5, 1.0, 10.0])
def test_a_hole_is_believed_when_frames_go_on_behind_it(declared_seconds: float | None) -> None:
    places = place_all(
        timeline(declared_seconds=declared_seconds), steady(0, 10) + steady(5000, 10)
    )
    assert [place.seconds for place in places[10:]] == pytest.approx(
        [5 + n / 10 for n in range(10)]
    )
    gap = places[10].gap
    assert gap is not None
    assert (gap.from_seconds, gap.to_seconds) == pytest.approx((1.0, 5.0))
    assert [place.epoch for place in places] == [0] * 10 + [1] * 10


@pytest.mark.parametrize(
    ("leap_seconds", "declared_seconds"), [(90_000, None), (700, 5.0), (95_443, None)]
)
def test_a_clock_that_goes_on_unbelievably_far_takes_time_along(
    leap_seconds: int, declared_seconds: float | None
) -> None:
    begin = leap_seconds * 1000
    ticks = steady(0, 10) + steady(begin, 10) + steady(begin + 4000, 10)
    places = place_all(timeline(declared_seconds=declared_seconds), ticks)
    assert [place.seconds for place in places[:20]] == pytest.approx([n / 10 for n in range(20)])
    # A hole behind it is one still.
    assert places[20].seconds == pytest.approx(5.0)
    assert [place.notice.code for place in places if place.notice] == ["unlikely_timestamps"]


def test_a_clock_wraps_forwards_and_frames_before_it_back() -> None:
    wrap = 10_000_000
    times = [wrap - 250 + 100 * n for n in range(10)]
    for shuffled in ([t % wrap for t in times], [t if t < wrap + 400 else t % wrap for t in times]):
        places = place_all(timeline(wrap_ticks=wrap), shuffled)
        assert [place.seconds for place in places] == pytest.approx([n / 10 for n in range(10)])
        assert {place.epoch for place in places} == {0}
        assert [place.notice for place in places] == [None] * 10


def test_how_much_a_clock_rounds_away() -> None:
    def tolerance(time_base: Fraction, rate: float) -> float:
        return Timeline(
            time_base=time_base,
            frame_seconds=1 / rate,
            declared_seconds=None,
            packet_seconds=deque(),
        ).tolerance_seconds

    assert 0.0005 < tolerance(Fraction(1, 1000), 30) < 0.001
    # At 480 per second a frame is hardly longer than two milliseconds.
    assert 0.0005 < tolerance(Fraction(1, 1000), 480) < 0.001
    assert 5e-6 < tolerance(Fraction(1, 90_000), 30) < 1.2e-5
    # A frame is a whole number of such ticks.
    for rate in (15, 25, 30):
        assert tolerance(Fraction(1, rate), rate) == 1e-6
        assert tolerance(Fraction(1, 2 * rate), rate) == 1e-6
