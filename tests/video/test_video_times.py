"""Each frame once and in its place, whatever a container knows of time: made streams."""

from __future__ import annotations

import io
import math
from collections.abc import Callable
from dataclasses import replace
from fractions import Fraction
from typing import Any

import pytest
from coded_clips import Reading, piped, read
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from made_streams import (
    ASF,
    AVI,
    FLV,
    FRAGMENTED,
    MKV,
    MP4,
    MPEG_TS,
    PROGRAM,
    RARE,
    TS,
    XVID,
    Container,
    made,
    with_flv_duration,
    with_index_in_front,
    with_mkv_duration,
    with_mp4_duration,
)

from wsgn.video import FrameGrid

NTSC, NTSC_FILM, NTSC_FAST = (Fraction(rate * 1000, 1001) for rate in (30, 24, 60))
RATES = [Fraction(24), Fraction(25), Fraction(30), Fraction(50), Fraction(60)]
RATES += [NTSC, NTSC_FILM, NTSC_FAST]
# What has no slower rates, or other clocks, too.
FREE_RATES = [*RATES, Fraction(10), Fraction(25, 2), Fraction(15), Fraction(120)]
CLOCKS = [MP4, FRAGMENTED, MKV, FLV, ASF, AVI, XVID, TS, MPEG_TS, PROGRAM]
STILL = [*range(30), *range(150, 180)]
TRIED = settings(
    deadline=None, max_examples=60, suppress_health_check=[HealthCheck.too_slow], derandomize=True
)


def at_rate(rate: Fraction | float) -> FrameGrid:
    return FrameGrid(float(rate), 48, 64)


def both_ways(data: bytes, container: Container, grid: FrameGrid, **options: Any) -> Reading:
    """The reading by name, after one through a pipe has given the same."""
    reading = read(io.BytesIO(data), grid, **options)
    if container.pipes:
        with piped(data) as pipe:
            through = read(pipe, grid, **options)
        assert through.numbers == reading.numbers
        assert through.indices == reading.indices
        assert through.epochs == reading.epochs
        assert through.gaps == reading.gaps
        assert through.codes == reading.codes
        assert through.reader.summary == reading.reader.summary
    return reading


@TRIED
@given(
    container=st.sampled_from(CLOCKS),
    rate=st.sampled_from(FREE_RATES),
    num_frames=st.sampled_from([20, 60, 150]),
    num_b_frames=st.integers(0, 3),
    keyframe_distance=st.sampled_from([5, 15, 250]),
    offset_seconds=st.sampled_from([0.0, 0.5, 3.0, 1000.0, 95_441.0]),
)
def test_each_frame_once_at_the_streams_own_rate(
    container: Container,
    rate: Fraction,
    num_frames: int,
    num_b_frames: int,
    keyframe_distance: int,
    offset_seconds: float,
) -> None:
    if container.codec in ("mpeg2video", "mpeg4") or container.format == "avi":
        rate = min(RATES, key=lambda known: abs(known - rate))
    if container.format == "avi":
        offset_seconds = 0.0
    data = made(
        range(num_frames),
        container,
        rate=rate,
        num_b_frames=num_b_frames,
        keyframe_distance=keyframe_distance,
        offset_seconds=offset_seconds,
    )
    reading = both_ways(data, container, at_rate(rate))
    assert reading.numbers == list(range(num_frames))
    assert reading.codes == []
    assert reading.gaps == []
    assert reading.reader.summary.complete
    assert reading.reader.summary.seconds == pytest.approx(num_frames / rate, abs=2e-3)


@TRIED
@given(
    container=st.sampled_from([MP4, MKV, FLV, AVI, XVID, ASF, TS, MPEG_TS, PROGRAM]),
    num_b_frames=st.integers(0, 3),
    keyframe_distance=st.sampled_from([5, 30, 250]),
    start_seconds=st.floats(0.0, 7.9),
)
def test_a_part_is_cut_out_of_the_whole(
    container: Container, num_b_frames: int, keyframe_distance: int, start_seconds: float
) -> None:
    data = made(
        range(240),
        container,
        num_b_frames=num_b_frames,
        keyframe_distance=keyframe_distance,
    )
    part = read(io.BytesIO(data), at_rate(10), start_seconds=start_seconds)
    first = math.ceil((start_seconds - 1e-6) * 10)
    assert part.indices == list(range(first, 80))
    assert part.numbers == [3 * index for index in part.indices]
    assert part.codes == []


@pytest.mark.parametrize("num_b_frames", [0, 2, 3])
def test_few_timestamps_begin_no_new_epoch(num_b_frames: int) -> None:
    container = Container(suffix="mpg", format="mpeg")
    data = made(range(150), container, rate=Fraction(25), num_b_frames=num_b_frames)
    reading = read(io.BytesIO(data), at_rate(25))
    assert set(reading.epochs) == {0}
    assert "unlikely_timestamps" not in reading.codes


@pytest.mark.parametrize("container", RARE, ids=lambda container: container.format)
@pytest.mark.parametrize("start_seconds", [1.43, 3.6])
def test_a_part_is_there_where_seeks_mislead(container: Container, start_seconds: float) -> None:
    data = made(range(125), container, rate=Fraction(25))
    part = read(io.BytesIO(data), at_rate(25), start_seconds=start_seconds)
    assert part.numbers == list(range(math.ceil(start_seconds * 25), 125))


@pytest.mark.parametrize("container", [AVI, XVID], ids=lambda container: container.codec)
@pytest.mark.parametrize("num_b_frames", [0, 2])
def test_empty_chunks_of_an_avi_declare_a_still(container: Container, num_b_frames: int) -> None:
    data = made(range(60), container, slots=STILL, num_b_frames=num_b_frames)
    reading = both_ways(data, container, at_rate(30))
    assert reading.numbers == [*range(30), *[29] * 120, *range(30, 60)]
    assert reading.gaps == []
    assert reading.codes == []


@pytest.mark.parametrize("num_b_frames", [0, 2])
def test_a_still_lasts_as_long_by_name_and_in_a_pipe(num_b_frames: int) -> None:
    data = made(range(60), FRAGMENTED, slots=STILL, num_b_frames=num_b_frames)
    reading = both_ways(data, FRAGMENTED, at_rate(30))
    assert reading.numbers == [*range(30), *[29] * 120, *range(30, 60)]
    assert reading.codes == []
    assert reading.reader.summary.seconds == pytest.approx(6.0)


@pytest.mark.parametrize("num_b_frames", [0, 2])
@pytest.mark.parametrize("box", [b"mdhd", b"mvhd"])
def test_a_short_mp4_header_shortens_nothing(num_b_frames: int, box: bytes) -> None:
    data = made(range(60), MP4, slots=STILL, num_b_frames=num_b_frames)
    ticks = 8000 if box == b"mdhd" else 100
    reading = read(io.BytesIO(with_mp4_duration(data, box, ticks)), at_rate(30))
    assert reading.numbers == [*range(30), *[29] * 120, *range(30, 60)]
    assert reading.reader.summary.seconds == pytest.approx(6.0)
    assert reading.codes == (["late_end"] if box == b"mdhd" else [])


@pytest.mark.parametrize("declared_seconds", [0.5, 1.0, 2.0, 4.5])
@pytest.mark.parametrize("container", [FLV, MKV], ids=lambda container: container.suffix)
def test_a_hole_behind_a_short_header_stays_a_hole(
    container: Container, declared_seconds: float
) -> None:
    data = made(range(60), container, slots=STILL, num_b_frames=2)
    if container is FLV:
        data = with_flv_duration(data, declared_seconds)
    else:
        data = with_mkv_duration(data, declared_seconds * 1000)
    reading = both_ways(data, container, at_rate(30))
    (gap,) = reading.gaps
    assert (gap.from_seconds, gap.to_seconds) == pytest.approx((1.0, 5.0), abs=2e-3)
    assert reading.numbers == list(range(60))
    assert reading.epochs == [0] * 30 + [1] * 30
    assert reading.reader.summary.seconds == pytest.approx(6.0, abs=2e-3)
    assert reading.codes == ["late_end"]


def test_an_end_far_behind_the_declared_one_is_said(tmp_path: Any) -> None:
    data = with_mp4_duration(made(range(120), MP4), b"mdhd", 15_360)
    reading = read(io.BytesIO(data), at_rate(30))
    assert reading.numbers == list(range(120))
    (notice,) = reading.notices
    assert notice.code == "late_end"
    assert notice.message == "ends at 4.00 s, though the file says 1.00 s"
    # A part that was asked for ends where it was asked to.
    assert read(io.BytesIO(data), at_rate(30), end_seconds=3.0).codes == []


@pytest.mark.parametrize("kept", [0.9, 0.6])
def test_a_cut_file_is_truncated_by_name_and_in_a_pipe(kept: float) -> None:
    data = with_index_in_front(made(range(120), MP4))
    data = data[: int(len(data) * kept)]
    reading = both_ways(data, FRAGMENTED, at_rate(30))
    assert reading.codes[-1] == "truncated"
    assert not reading.reader.summary.complete


@pytest.mark.parametrize("ticks_per_second", [100, 600, 1000, 90_000])
@pytest.mark.parametrize("begin", [0, 7])
@pytest.mark.parametrize("rounded", [round, math.floor, math.ceil])
def test_whatever_the_clock_rounds_away_each_frame_comes_once(
    ticks_per_second: int, begin: int, rounded: Callable[[Fraction], int]
) -> None:
    container = replace(MP4, muxer_option=f"video_track_timescale={ticks_per_second}")
    slots = [rounded((n + Fraction(begin, 10)) * ticks_per_second / 24) for n in range(100)]
    data = made(range(100), container, rate=Fraction(ticks_per_second), slots=slots)
    # The last one is said to be as short as a tick.
    assert read(io.BytesIO(data), at_rate(24)).numbers[:99] == list(range(99))


def test_ticks_as_long_as_frames_are_exact() -> None:
    """At 0.1 s a viewer sees frame 2 of 25 per second (0.08 s), though frame 3 begins soon."""
    for container in (AVI, MP4, MKV):
        data = made(range(50), container, rate=Fraction(25))
        numbers = read(io.BytesIO(data), at_rate(10)).numbers
        assert numbers == [math.floor(k * Fraction(5, 2)) for k in range(20)]


# Of TS: the pieces of a recording, (first timestamp in seconds, number of frames). Each begins
# behind the first second, from where the muxer shifts nothing.
JOINED: dict[str, tuple[list[tuple[float, int]], float, list[tuple[float, float]]]] = {
    # Right length, and the gaps.
    "fall of 100 s": ([(101.0, 60), (1.0, 60)], 4.0, []),
    "fall of 61 s": ([(62.0, 60), (1.0, 60)], 4.0, []),
    "fall of 50 s": ([(51.0, 60), (1.0, 60)], 4.0, []),
    "fall of 20 hours": ([(72_000.0, 60), (5.0, 60)], 4.0, []),
    "three encoders": ([(500.0, 60), (300.0, 60), (100.0, 60)], 6.0, []),
    "restart, then a hole": ([(90.0, 60), (1.0, 60), (6.0, 60)], 9.0, [(4.0, 7.0)]),
    "hole, then a restart": ([(90.0, 60), (95.0, 60), (1.0, 60)], 9.0, [(2.0, 5.0)]),
    "the clock wraps": ([(95_442.0, 120)], 4.0, []),
    "the clock wraps in a hole": ([(95_440.0, 60), (95_446.0, 60)], 8.0, [(2.0, 6.0)]),
    "wrap, then a restart": ([(95_442.0, 120), (1.0, 60)], 6.0, []),
    "a leap of over a day": ([(10.0, 60), (90_000.0, 60), (90_005.0, 60)], 9.0, [(4.0, 7.0)]),
}


@pytest.mark.parametrize("container", [TS, MPEG_TS], ids=lambda container: container.codec)
@pytest.mark.parametrize("num_b_frames", [0, 2])
@pytest.mark.parametrize("name", JOINED)
def test_clocks_that_begin_anew_or_wrap(container: Container, num_b_frames: int, name: str) -> None:
    pieces, seconds, gaps = JOINED[name]
    data, num_frames = b"", 0
    for begin, length in pieces:
        numbers = range(num_frames, num_frames + length)
        data += made(numbers, container, offset_seconds=begin, num_b_frames=num_b_frames)
        num_frames += length
    reading = both_ways(data, container, at_rate(30))
    assert reading.numbers == list(range(num_frames))
    assert reading.reader.summary.complete
    assert reading.reader.summary.seconds == pytest.approx(seconds, abs=2e-3)
    found = [(gap.from_seconds, gap.to_seconds) for gap in reading.gaps]
    assert [edge for gap in found for edge in gap] == pytest.approx(
        [edge for gap in gaps for edge in gap], abs=2e-3
    )
    assert set(reading.codes) <= {"falling_timestamps", "unlikely_timestamps"}
    # A part of it shows the same frames at the same times, though a seek would land anywhere.
    for start in (0.5, 2.5, seconds - 1.5):
        part = read(io.BytesIO(data), at_rate(30), start_seconds=start)
        begin = next(k for k, index in enumerate(reading.indices) if index >= start * 30 - 1e-3)
        assert part.indices == reading.indices[begin:]
        assert part.numbers == reading.numbers[begin:]


def test_what_lies_before_a_part_of_a_ts_is_not_decoded() -> None:
    data = b"".join(made(range(120), TS, offset_seconds=begin) for begin in (4.0, 8.0, 12.0, 16.0))
    part = read(io.BytesIO(data), at_rate(10), start_seconds=13.0, end_seconds=13.5)
    assert part.numbers == [30 + 3 * k for k in range(5)]
    assert part.reader.summary.num_frames_decoded < 120


@pytest.mark.parametrize("container", [TS, MKV, MP4, FLV], ids=lambda container: container.suffix)
def test_a_stream_without_presentation_times_is_ordered_by_decoding(container: Container) -> None:
    """The presentation times are overwritten with decoding times, as a bad muxer does."""
    data = made(range(90), container, offset_seconds=1.0, num_b_frames=2, presentation_times=False)
    reading = both_ways(data, container, at_rate(30))
    assert reading.numbers == list(range(90))
    assert reading.codes == []
