"""Holes, stills, and timestamps that are missing, doubled or fall."""

from __future__ import annotations

from collections import deque
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from coded_clips import MILLISECOND, PacketChange, read, shown_at, write_clip

from wsgn.video.timeline import Placement, Timeline

STEADY = list(range(0, 1000, 40))


def retimed(ticks: list[int], duration: int = 40) -> PacketChange:
    """Give packet n of an intra-coded clip any timestamp; decoding times rise slowly."""

    def change(number: int, packet: Any) -> bool:
        packet.time_base = MILLISECOND
        packet.pts = ticks[number]
        packet.dts = min(ticks[number], min(ticks[number:]))
        packet.duration = duration
        return True

    return change


def test_hole_makes_a_gap_and_an_epoch(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    ticks = [*STEADY, *(4010 + tick for tick in STEADY)]
    write_clip(path, ticks)
    reading = read(path)
    (gap,) = reading.gaps
    assert gap.from_seconds == pytest.approx(1.0)
    assert gap.to_seconds == pytest.approx(4.01)
    assert reading.indices == [*range(10), *range(41, 51)]
    assert reading.epochs == [0] * 10 + [1] * 10
    assert reading.numbers == [shown_at(ticks, k / 10) for k in reading.indices]
    assert reading.reader.summary.complete


@pytest.mark.parametrize("bframes", ["0", "3"])
def test_a_long_still_is_held_where_durations_say_so(tmp_path: Path, bframes: str) -> None:
    path = tmp_path / "slides.mp4"
    ticks = [*STEADY, *(4010 + tick for tick in STEADY), *(9000 + tick for tick in STEADY)]
    write_clip(path, ticks, options={"preset": "veryfast", "bf": bframes})
    reading = read(path)
    assert reading.gaps == []
    assert set(reading.epochs) == {0}
    assert reading.indices == list(range(100))
    assert reading.numbers == [shown_at(ticks, k / 10) for k in range(100)]


def test_slideshow(tmp_path: Path) -> None:
    path = tmp_path / "slides.mkv"
    ticks = [0, 5000, 10_000, 15_000]
    write_clip(
        path,
        ticks,
        rate=1,
        change_packet=retimed(ticks, 5000),
        codec="mjpeg",
        pixel_format="yuvj420p",
    )
    reading = read(path)
    assert reading.numbers[:151] == [shown_at(ticks, k / 10) for k in range(151)]
    assert reading.gaps == []


def test_small_falls_and_doubles_stay_monotone(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    ticks = [0, 100, 200, 300, 250, 400, 400, 500, 600]
    write_clip(
        path,
        range(len(ticks)),
        codec="mjpeg",
        pixel_format="yuvj420p",
        change_packet=retimed(ticks),
    )
    reading = read(path)
    assert sorted(reading.codes) == ["duplicate_timestamps", "falling_timestamps"]
    assert set(reading.epochs) == {0}
    # The fourth frame is replaced at once by the fifth, the sixth by the seventh.
    assert reading.numbers == [0, 1, 2, 4, 6, 7, 8]


def test_a_fall_of_more_than_a_second_goes_on_in_a_new_epoch(tmp_path: Path) -> None:
    one, two = tmp_path / "one.ts", tmp_path / "two.ts"
    write_clip(one, range(10_000, 14_000, 40), format="mpegts")
    write_clip(two, range(0, 2000, 40), format="mpegts")
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    reading = read(joined)
    assert "falling_timestamps" in reading.codes
    assert len(reading.frames) == pytest.approx(60, abs=1)
    assert sorted(set(reading.epochs)) == [0, 1]
    second = [n for n, e in zip(reading.numbers, reading.epochs, strict=True) if e == 1]
    assert second[:4] == pytest.approx([0, 2, 5, 7], abs=2)


def test_missing_timestamps_follow_the_rate(tmp_path: Path) -> None:
    path = tmp_path / "raw.h264"
    write_clip(path, STEADY, format="h264")
    reading = read(path)
    assert len(reading.frames) == 10
    assert reading.numbers == [shown_at(STEADY, k / 10) for k in range(10)]


def test_negative_timestamps_count_from_the_first(tmp_path: Path) -> None:
    path = tmp_path / "clip.nut"
    ticks = [tick - 500 for tick in STEADY]
    write_clip(path, ticks, codec="mjpeg", pixel_format="yuvj420p", change_packet=retimed(ticks))
    reading = read(path)
    assert reading.numbers[:10] == [shown_at(ticks, k / 10) for k in range(10)]


def timeline(declared_seconds: float | None = None, *packet_seconds: float) -> Timeline:
    return Timeline(
        time_base=MILLISECOND,
        frame_seconds=0.04,
        declared_seconds=declared_seconds,
        packet_seconds=deque(packet_seconds, maxlen=64),
    )


def place_all(line: Timeline, *ticks: int | None) -> list[Placement]:
    return [line.place(tick, 0.04) for tick in ticks]


def test_timestamps_far_away_are_not_believed() -> None:
    beyond_declared = place_all(timeline(1.0), 0, 40, 9_000_000, 120)
    beyond_reason = place_all(timeline(), 0, 40, 1 << 60, 120)
    for places in (beyond_declared, beyond_reason):
        assert [place.seconds for place in places] == pytest.approx([0, 0.04, 0.08, 0.12])
        assert [place.epoch for place in places] == [0] * 4
        assert [place.notice.code for place in places if place.notice] == ["unlikely_timestamps"]


def test_a_long_packet_explains_one_still_only() -> None:
    places = place_all(timeline(None, 5.0, 0.04), 0, 5000, 10_000)
    assert [place.gap is None for place in places] == [True, True, False]


def test_timestamps_that_appear_late_join_the_time_so_far() -> None:
    places = place_all(timeline(), None, None, 7000, 7040, None)
    assert [place.seconds for place in places] == pytest.approx([0, 0.04, 0.08, 0.12, 0.16])


@pytest.mark.parametrize("step", [-2000, -40, 0])
def test_always_falling_timestamps_stay_monotone(step: int) -> None:
    places = place_all(timeline(), *(100_000 + step * n for n in range(200)))
    seconds = [place.seconds for place in places]
    assert seconds == sorted(seconds)
    assert seconds[-1] < 200 * 0.04


def test_each_restart_of_the_timestamps_is_one_new_epoch() -> None:
    starts = list(range(0, 20_000, 40))
    places = place_all(timeline(), *(3 * starts))
    assert [place.epoch for place in places] == [k // len(starts) for k in range(len(places))]
    assert [place.seconds for place in places] == pytest.approx([k * 0.04 for k in range(1500)])


def test_a_last_frame_does_not_outlast_the_declared_end() -> None:
    line = timeline(4.0)
    line.place(0, 1e9)
    assert line.end_seconds == pytest.approx(0.04)


def test_times_are_rational() -> None:
    line = Timeline(
        time_base=Fraction(1001, 30_000),
        frame_seconds=1001 / 30_000,
        declared_seconds=None,
        packet_seconds=deque(),
    )
    hour = 30 * 3600
    assert [line.place(n, 0.0).seconds for n in range(hour)][-1] == (hour - 1) * 1001 / 30_000
