"""Which stream is read, at which rate where the file has no times, and where a player shows it."""

from __future__ import annotations

import io
from fractions import Fraction

import av
import numpy as np
import pytest
from coded_clips import piped, read
from made_streams import FRAGMENTED, MKV, MP4, TS, Container, made, two_streams

from wsgn.errors import UsageError
from wsgn.video import FrameGrid, VideoReader, probe

GRID = FrameGrid(30.0, 48, 64)
MOV = Container(suffix="mov", format="mov")
FILM = (range(60), Fraction(30), "libx264")


@pytest.mark.parametrize("container", [MOV, MKV], ids=lambda container: container.suffix)
@pytest.mark.parametrize("num_images", [1, 3])
def test_a_thumbnail_is_not_the_film(container: Container, num_images: int) -> None:
    data = two_streams(container, [(range(200, 200 + num_images), Fraction(30), "mjpeg"), FILM])
    for source in (io.BytesIO(data), piped(data)):
        reading = read(source, GRID)
        assert reading.numbers == list(range(60))
        (notice,) = reading.notices
        assert notice.code == "several_streams"
        assert "2 video streams (0: mjpeg 64x48; 1: h264 64x48): 1 is read" in notice.message


def test_a_thumbnail_behind_the_film_changes_nothing_but_is_said() -> None:
    data = two_streams(MKV, [FILM, ([200], Fraction(1), "mjpeg")])
    reading = read(io.BytesIO(data), GRID)
    assert reading.numbers == list(range(60))
    assert reading.codes == ["several_streams"]


def test_of_two_films_the_first_is_read_and_it_is_said() -> None:
    slow = (range(100, 102), Fraction(1), "mjpeg")
    for first in (slow, (range(100, 160), Fraction(30), "mjpeg")):
        data = two_streams(MKV, [first, FILM])
        reading = read(io.BytesIO(data), GRID)
        assert reading.numbers[0] == 100
        assert reading.codes == ["several_streams"]
        assert "0 is read" in reading.notices[0].message


def test_a_stream_that_was_named_is_read_without_a_word() -> None:
    data = two_streams(MKV, [([200], Fraction(2), "mjpeg"), FILM])
    for number, shown in ((0, {200}), (1, set(range(60)))):
        reading = read(io.BytesIO(data), GRID, stream=number)
        assert set(reading.numbers) == shown
        assert "several_streams" not in reading.codes


def test_a_picture_is_no_film_and_it_is_said() -> None:
    reading = read(io.BytesIO(made([7], MOV, rate=Fraction(1))))
    assert set(reading.numbers) == {7}
    assert reading.codes == ["single_frame"]


RAW = {
    "mjpeg": ("mjpeg", "yuvj420p"),
    "h264": ("libx264", "yuv420p"),
    "hevc": ("libx265", "yuv420p"),
    "mpeg2video": ("mpeg2video", "yuv420p"),
    "m4v": ("mpeg4", "yuv420p"),
}


def raw(format: str) -> bytes:
    codec, pixel_format = RAW[format]
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    container = Container(suffix=format, format=format, codec=codec, pixel_format=pixel_format)
    return made(range(60), container)


@pytest.mark.parametrize("format", RAW)
def test_a_rate_that_is_not_in_the_file_is_said(format: str) -> None:
    data = raw(format)
    # FFmpeg takes 25, unless the codec knows better.
    rate = 25.0 if format == "mjpeg" else 30.0
    for source in (io.BytesIO(data), piped(data)):
        reading = read(source, FrameGrid(rate, 48, 64))
        assert reading.numbers == list(range(60))
        assert reading.codes == ["missing_timestamps"]
        assert f"{rate:g} per second" in reading.notices[0].message
        assert reading.reader.info.frame_rate == pytest.approx(rate)
        assert reading.reader.summary.seconds == pytest.approx(60 / rate)


def test_images_in_a_row_have_no_times_either() -> None:
    png = io.BytesIO()
    with av.open(png, "w", format="image2pipe") as output:
        stream = output.add_stream("png", rate=10)
        stream.width, stream.height, stream.pix_fmt = 64, 48, "rgb24"
        for number in range(20):
            image = np.full((48, 64, 3), 10 * number, np.uint8)
            for packet in stream.encode(av.VideoFrame.from_ndarray(image)):
                output.mux(packet)
    reading = read(io.BytesIO(png.getvalue()))
    assert reading.codes == ["missing_timestamps"]
    told = read(io.BytesIO(png.getvalue()), input_rate=10.0)
    assert [frame.image[0, 0, 0] for frame in told.frames] == [10 * n for n in range(20)]


@pytest.mark.parametrize("format", RAW)
@pytest.mark.parametrize("rate", [10.0, 30_000 / 1001, 59.0])
def test_the_rate_that_the_user_says_is_taken(format: str, rate: float) -> None:
    data = raw(format)
    for source in (io.BytesIO(data), piped(data)):
        reading = read(source, FrameGrid(rate, 48, 64), input_rate=rate)
        assert reading.numbers == list(range(60))
        assert reading.codes == []
        assert reading.reader.info.frame_rate == rate
        assert reading.reader.summary.seconds == pytest.approx(60 / rate)


@pytest.mark.parametrize("container", [MP4, MKV, TS], ids=lambda container: container.suffix)
def test_the_users_rate_is_taken_in_place_of_any_times(container: Container) -> None:
    data = made(range(60), container, slots=[*range(30), *range(300, 330)], num_b_frames=2)
    reading = read(io.BytesIO(data), FrameGrid(60.0, 48, 64), input_rate=60.0)
    assert reading.numbers == list(range(60))
    assert (reading.codes, reading.gaps) == ([], [])
    part = read(io.BytesIO(data), FrameGrid(10.0, 48, 64), input_rate=10.0, start_seconds=4.0)
    assert part.numbers == list(range(40, 60))


@pytest.mark.parametrize("rate", [0.0, -5.0, float("nan"), float("inf"), 1e9])
def test_impossible_rates_are_refused(rate: float) -> None:
    with pytest.raises(UsageError, match="frames per second"):
        VideoReader(io.BytesIO(made(range(5), MP4)), GRID, input_rate=rate)


@pytest.mark.parametrize("container", [MP4, MKV, TS], ids=lambda container: container.suffix)
@pytest.mark.parametrize("num_b_frames", [0, 2])
@pytest.mark.parametrize("sound_begins", [0.0, 2.0])
def test_how_much_later_than_the_file_the_video_begins(
    container: Container, num_b_frames: int, sound_begins: float
) -> None:
    data = made(
        range(60),
        container,
        offset_seconds=5.0,
        sound_seconds=(sound_begins, 8.0),
        num_b_frames=num_b_frames,
    )
    info = probe(io.BytesIO(data))
    # The encoder of the sound begins earlier by some samples.
    assert info.start_offset_seconds == pytest.approx(5.0 - sound_begins, abs=0.1)
    reading = read(io.BytesIO(data), GRID)
    assert reading.numbers == reading.indices == list(range(60))
    assert (reading.gaps, reading.codes) == ([], [])


@pytest.mark.parametrize("container", [MP4, FRAGMENTED, MKV, TS])
def test_a_video_that_the_file_begins_with_is_not_late(container: Container) -> None:
    assert probe(io.BytesIO(made(range(60), container))).start_offset_seconds == 0.0
    data = made(range(60), container, offset_seconds=30.0)
    assert probe(io.BytesIO(data)).start_offset_seconds == 0.0


def test_clocks_that_have_nothing_in_common_give_no_offset() -> None:
    """Sound from 0, video by the wall clock."""
    data = made(range(30), MKV, offset_seconds=90_000.0, sound_seconds=(0.0, 1.0))
    assert probe(io.BytesIO(data)).start_offset_seconds == 0.0
