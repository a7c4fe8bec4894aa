"""Colours, pixel formats, shapes and orientation."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from coded_clips import GRID, read, shown_at, write_clip

from wsgn.support.arrays import UInt8Array
from wsgn.video import FrameGrid
from wsgn.video.orientation import Orientation
from wsgn.video.resize import Scaler

# Weights of red and blue in luma (ITU-R BT.709, BT.601, BT.2020), by AVColorSpace number.
LUMA_WEIGHTS = {1: (0.2126, 0.0722), 6: (0.299, 0.114), 9: (0.2627, 0.0593), 2: (0.299, 0.114)}
COLOURS = [(200, 30, 60), (20, 180, 90), (30, 40, 220), (128, 128, 128), (255, 255, 255), (0, 0, 0)]
# swscale's fixed-point matrices are this exact for 10 and 12 bit.
COLOUR_TOLERANCE = 5


def flat_frame(
    colour: tuple[int, int, int], space: int, full: bool, format: str, size: tuple[int, int]
) -> av.VideoFrame:
    """One colour, converted to YCbCr by the standard's equations."""
    bits = 10 if "10" in format else 12 if "12" in format else 8
    red, green, blue = (value / 255 for value in colour)
    weight_red, weight_blue = LUMA_WEIGHTS[space]
    luma = weight_red * red + (1 - weight_red - weight_blue) * green + weight_blue * blue
    chroma = (blue - luma) / (2 * (1 - weight_blue)), (red - luma) / (2 * (1 - weight_red))
    unit, top, middle = 1 << (bits - 8), (1 << bits) - 1, 1 << (bits - 1)
    if full:
        values = top * luma, *(middle + top * value for value in chroma)
    else:
        values = (16 + 219 * luma) * unit, *((128 + 224 * value) * unit for value in chroma)
    frame = av.VideoFrame(*size, format)
    frame.colorspace, frame.color_range = space, 2 if full else 1
    kind: Any = np.uint8 if bits == 8 else np.uint16
    for plane, value in zip(frame.planes, values, strict=False):
        count = plane.buffer_size // np.dtype(kind).itemsize
        plane.update(np.full(count, min(round(value), top), kind).tobytes())
    return frame


@pytest.mark.parametrize("space", LUMA_WEIGHTS)
@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("format", ["yuv420p", "yuv444p", "yuv420p10le", "yuv422p10le"])
def test_colours(space: int, full: bool, format: str) -> None:
    for size in ((64, 48), (63, 47), (320, 240)):
        scaler = Scaler(FrameGrid(10.0, 24, 32), None)
        for colour in COLOURS:
            image = scaler.image(flat_frame(colour, space, full, format, size))
            assert image.shape == (24, 32, 3)
            assert image.dtype == np.uint8
            assert np.abs(image.astype(int) - colour).max() <= COLOUR_TOLERANCE


@pytest.mark.parametrize("format", ["rgb24", "bgr0", "rgba", "gbrp", "gray", "gray10le", "pal8"])
def test_other_pixel_formats(format: str) -> None:
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8))
    if format == "pal8":
        frame = av.VideoFrame(64, 48, "pal8")
        frame.planes[0].update(bytes(frame.planes[0].buffer_size))
        frame.planes[1].update(bytes([90, 90, 90, 255]) * 256)
    else:
        frame = frame.reformat(format=format)
    image = Scaler(GRID, None).image(frame)
    assert np.abs(image.astype(int) - 90).max() <= 2


def test_transparency_is_dropped() -> None:
    pixels = np.zeros((48, 64, 4), np.uint8)
    pixels[..., :3] = (10, 200, 30)
    image = Scaler(GRID, None).image(av.VideoFrame.from_ndarray(pixels, "rgba"))
    assert np.abs(image.astype(int) - (10, 200, 30)).max() <= 1


@pytest.mark.parametrize(
    ("codec", "pixel_format", "suffix"),
    [
        ("libx264", "yuv444p", "mp4"),
        ("libx264", "yuv420p10le", "mp4"),
        ("libx264", "yuv422p10le", "mkv"),
        ("libx265", "yuv420p10le", "mp4"),
        ("libvpx-vp9", "yuva420p", "webm"),
        ("ffv1", "bgra", "mkv"),
        ("ffv1", "yuva444p10le", "mkv"),
        ("mjpeg", "yuvj444p", "avi"),
        ("gif", "rgb8", "gif"),
    ],
)
def test_codecs_keep_the_code(tmp_path: Path, codec: str, pixel_format: str, suffix: str) -> None:
    if codec not in av.codecs_available:
        pytest.skip(f"this PyAV has no encoder {codec}")
    path = tmp_path / f"clip.{suffix}"
    ticks = list(range(0, 1000, 40))
    quiet = {"x265-params": "log-level=none"} if codec == "libx265" else {}
    write_clip(path, ticks, codec=codec, pixel_format=pixel_format, options=quiet)
    assert read(path).numbers[:10] == [shown_at(ticks, k / 10) for k in range(10)]


@pytest.mark.parametrize("size", [(65, 47), (17, 239), (321, 9)])
def test_odd_sizes(tmp_path: Path, size: tuple[int, int]) -> None:
    path = tmp_path / "clip.mkv"
    write_clip(path, [0, 100, 200], size=size, codec="ffv1", pixel_format="yuv444p")
    reading = read(path)
    assert reading.numbers[:3] == [0, 1, 2]
    assert (reading.reader.info.width, reading.reader.info.height) == size


def test_the_size_may_change(tmp_path: Path) -> None:
    one, two = tmp_path / "one.ts", tmp_path / "two.ts"
    write_clip(one, range(0, 1000, 40))
    write_clip(two, range(1000, 2000, 40), size=(128, 80))
    joined = tmp_path / "joined.ts"
    joined.write_bytes(one.read_bytes() + two.read_bytes())
    reading = read(joined)
    assert all(frame.image.shape == (32, 32, 3) for frame in reading.frames)
    expected = [shown_at(list(range(0, 1000, 40)), k / 10) for k in range(10)]
    assert reading.numbers[:10] == expected
    assert reading.numbers[-9:] == expected[1:]


def quadrants() -> UInt8Array:
    """Four colours, so that every turn and mirror is told from the others."""
    image = np.zeros((48, 80, 3), np.uint8)
    image[:24, :40], image[:24, 40:] = (250, 0, 0), (0, 250, 0)
    image[24:, :40], image[24:, 40:] = (0, 0, 250), (250, 250, 250)
    return image


@pytest.mark.parametrize("resize", ["stretch", "centre_crop"])
@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
@pytest.mark.parametrize("mirrored", [False, True])
def test_orientation(
    monkeypatch: pytest.MonkeyPatch, resize: str, degrees: int, mirrored: bool
) -> None:
    upright = quadrants()
    stored = upright[:, ::-1] if mirrored else upright
    stored = np.rot90(stored, degrees // 90)
    turn = {
        0: Orientation(),
        90: Orientation(True, True, False),
        180: Orientation(False, True, True),
        270: Orientation(True, False, True),
    }[degrees]
    assert turn.clockwise_degrees == degrees
    if mirrored:
        turn = Orientation(
            turn.transposed, not turn.mirrored_horizontally, turn.mirrored_vertically
        )
    monkeypatch.setattr("wsgn.video.resize.orientation_of", lambda frame: turn)
    frame = av.VideoFrame.from_ndarray(np.ascontiguousarray(stored))
    image = Scaler(FrameGrid(10.0, 24, 32, resize), None).image(frame)
    for corner in ((3, 3), (3, -3), (-3, 3), (-3, -3)):
        assert np.abs(image[corner].astype(int) - upright[corner]).max() <= 3


@pytest.mark.parametrize("degrees", [0, 90, 180, 270])
def test_display_matrix(tmp_path: Path, degrees: int) -> None:
    path = tmp_path / "turned.mp4"

    def prepare(stream: Any) -> None:
        if not hasattr(stream, "set_display_rotation"):
            pytest.skip("this PyAV cannot write a display matrix")
        # PyAV counts the turn of the frame against the clock.
        stream.set_display_rotation(-degrees)

    ticks = [0, 100, 200, 300]
    write_clip(path, ticks, prepare=prepare)
    reading = read(path, FrameGrid(10.0, 48, 48))
    info = reading.reader.info
    assert info.rotation_degrees == degrees
    assert (info.width, info.height) == ((64, 48) if degrees % 180 == 0 else (48, 64))
    reading.frames[:] = [
        type(frame)(frame.index, frame.seconds, 0, np.rot90(frame.image, degrees // 90))
        for frame in reading.frames
    ]
    assert reading.numbers[:4] == [0, 1, 2, 3]


@pytest.mark.parametrize("size", [(160, 48), (48, 160), (48, 48), (37, 91)])
def test_centre_crop_keeps_the_shape_of_things(size: tuple[int, int]) -> None:
    width, height = size
    y, x = np.mgrid[:height, :width]
    radius = min(size) * 0.4
    disc = np.hypot(x - (width - 1) / 2, y - (height - 1) / 2) <= radius
    source = np.where(disc[..., None], 255, 0).astype(np.uint8).repeat(3, axis=2)
    grid = FrameGrid(10.0, 40, 40, "centre_crop")
    image = Scaler(grid, None).image(av.VideoFrame.from_ndarray(source))
    bright = image[..., 0] > 127
    assert bright.any(axis=0).sum() == pytest.approx(32, abs=1)
    assert bright.any(axis=1).sum() == pytest.approx(32, abs=1)
    rows, columns = np.nonzero(bright)
    assert rows.mean() == pytest.approx(19.5, abs=0.7)
    assert columns.mean() == pytest.approx(19.5, abs=0.7)


def test_downscaling_averages() -> None:
    checks = (np.indices((256, 256)).sum(axis=0) % 2 * 255).astype(np.uint8)
    source = np.repeat(checks[..., None], 3, axis=2)
    image = Scaler(FrameGrid(10.0, 16, 16), None).image(av.VideoFrame.from_ndarray(source))
    assert np.abs(image.astype(int) - 127).max() <= 3
