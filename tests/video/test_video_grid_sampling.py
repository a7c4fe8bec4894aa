"""Which frame each grid point shows, with frames that carry their number."""

from __future__ import annotations

import io
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from coded_clips import GRID, coded_frame, number_in, piped, read, shown_at, write_clip

from wsgn.errors import UsageError
from wsgn.video import FrameGrid, VideoReader

FORTY_MILLISECONDS = Fraction(1, 25)
VARIABLE = [0, 40, 80, 500, 510, 520, 530, 700, 900, 905, 1500, 1541]


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
@pytest.mark.parametrize("bframes", ["0", "3"])
@pytest.mark.parametrize("ticks", [range(0, 2000, 40), range(0, 2000, 7), range(0, 2000, 333)])
def test_constant_rates(tmp_path: Path, suffix: str, bframes: str, ticks: range) -> None:
    path = tmp_path / f"clip.{suffix}"
    shown = list(ticks)[:200]
    write_clip(path, shown, options={"preset": "veryfast", "bf": bframes})
    reading = read(path)
    assert reading.indices == list(range(len(reading.indices)))
    assert reading.numbers == [shown_at(shown, k / 10) for k in reading.indices]
    # How long the last frame lasts is the container's guess.
    assert shown[-1] // 100 <= reading.indices[-1] <= (shown[-1] + max(40, ticks.step)) // 100
    assert reading.reader.summary.complete
    assert reading.codes == []


@pytest.mark.parametrize("rate", [1.0, 10.0, 12.5, 29.97, 60.0])
def test_variable_rate(tmp_path: Path, rate: float) -> None:
    path = tmp_path / "clip.mkv"
    write_clip(path, VARIABLE)
    reading = read(path, FrameGrid(rate, 32, 32))
    assert reading.numbers == [shown_at(VARIABLE, k / rate) for k in reading.indices]
    assert [frame.seconds for frame in reading.frames] == [k / rate for k in reading.indices]


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts"])
@pytest.mark.parametrize("offset", [0, 5_000, 3_600_000])
def test_start_offset_does_not_count(tmp_path: Path, suffix: str, offset: int) -> None:
    path = tmp_path / f"clip.{suffix}"
    ticks = [offset + 40 * n for n in range(50)]
    write_clip(path, ticks)
    reading = read(path)
    assert reading.numbers == [shown_at(ticks, k / 10) for k in range(20)]
    assert reading.reader.summary.complete


def test_960_frames_per_second(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    ticks = list(range(250))

    write_clip(path, ticks, time_base=Fraction(1, 960), rate=960)
    reading = read(path, FrameGrid(50.0, 32, 32))
    assert reading.numbers == [shown_at(ticks, k / 50, 1 / 960) for k in range(len(reading.frames))]
    assert len(reading.frames) == 14


def test_one_frame(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, [0])
    reading = read(path)
    assert reading.numbers == [0]
    assert reading.reader.summary.complete


def test_a_repeated_frame_is_scaled_once(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_clip(path, [0, 500, 1000])
    frames = read(path).frames
    assert all(frame.image is frames[0].image for frame in frames[:5])
    assert frames[5].image is not frames[0].image


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "ts", "avi"])
@pytest.mark.parametrize("start", [0.0, 0.05, 1.0, 2.999, 3.0, 5.04, 7.3])
def test_start_and_end_cut_out_of_the_whole(tmp_path: Path, suffix: str, start: float) -> None:
    path = tmp_path / f"clip.{suffix}"
    codec, options = ("mpeg4", {}) if suffix == "avi" else ("libx264", {"preset": "veryfast"})
    write_clip(
        path,
        list(range(200)),
        codec=codec,
        options={**options, "g": "30", "bf": "2"},
        time_base=FORTY_MILLISECONDS,
    )
    whole = read(path)
    part = read(path, start_seconds=start, end_seconds=start + 0.5)
    expected = [
        frame for frame in whole.frames if start - 1e-6 <= frame.seconds < start + 0.5 - 1e-6
    ]
    assert part.indices == [frame.index for frame in expected]
    assert part.numbers == [number_in(frame.image) for frame in expected]
    assert all(np.array_equal(a.image, b.image) for a, b in zip(part.frames, expected, strict=True))
    assert part.reader.summary.complete
    if start > 5:
        assert part.reader.summary.num_frames_decoded < 80


def test_start_behind_the_end_gives_nothing(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, range(0, 2000, 40))
    assert read(path, start_seconds=100.0).frames == []


@pytest.mark.parametrize("times", [(-1.0, None), (2.0, 2.0), (3.0, 1.0), (float("nan"), None)])
def test_impossible_times_are_refused(tmp_path: Path, times: tuple[float, float | None]) -> None:
    with pytest.raises(UsageError):
        VideoReader(tmp_path / "clip.mp4", GRID, start_seconds=times[0], end_seconds=times[1])


@pytest.mark.parametrize(
    "fields", [(0.0, 4, 4), (float("nan"), 4, 4), (10.0, 0, 4), (10.0, 4, 4, "crop")]
)
def test_impossible_grids_are_refused(fields: Any) -> None:
    with pytest.raises(UsageError):
        FrameGrid(*fields)


def test_a_file_object_reads_like_its_path(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, range(0, 4000, 40))
    data = io.BytesIO(path.read_bytes())
    data.seek(77)
    assert read(data).numbers == read(path).numbers
    assert read(data, start_seconds=3.0).numbers == read(path, start_seconds=3.0).numbers
    assert not data.closed


@pytest.mark.parametrize("suffix", ["mkv", "ts"])
def test_a_pipe_reads_like_its_path(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    write_clip(path, range(0, 4000, 40))
    with piped(path.read_bytes()) as pipe:
        assert read(pipe, start_seconds=3.0).numbers == read(path, start_seconds=3.0).numbers


def test_the_code_can_be_read_back() -> None:
    assert [number_in(coded_frame(n)) for n in range(256)] == list(range(256))
