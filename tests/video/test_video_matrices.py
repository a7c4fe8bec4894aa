"""Colour matrices that libswscale has no table for, and shapes of pixels that cannot be."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from coded_clips import GRID, read, write_clip

from wsgn.video import FrameGrid
from wsgn.video.resize import Scaler

COLOURS = [(192, 64, 32), (20, 180, 90), (30, 40, 220), (128, 128, 128), (255, 255, 255), (0, 0, 0)]
YCGCO, FROM_PRIMARIES, ICTCP = 8, 12, 14


def frame_of(values: tuple[float, ...], format: str, full: bool) -> av.VideoFrame:
    """One colour in planes; `values` are of full range and 8 bits."""
    frame = av.VideoFrame(64, 48, format)
    unit = 4 if "10" in format else 1
    kind: Any = np.uint16 if "10" in format else np.uint8
    if not full:
        values = (16 + values[0] * 219 / 255, *(128 + (v - 128) * 224 / 255 for v in values[1:]))
    for plane, value in zip(frame.planes, values, strict=True):
        count = plane.buffer_size // np.dtype(kind).itemsize
        plane.update(np.full(count, round(value * unit), kind).tobytes())
    frame.color_range = 2 if full else 1
    return frame


def codes(scaler: Scaler, frame: av.VideoFrame) -> list[str]:
    return [code for code, _ in scaler.doubts(frame)]


@pytest.mark.parametrize("colour", COLOURS)
@pytest.mark.parametrize("format", ["yuv444p", "yuv420p", "yuv420p10le"])
@pytest.mark.parametrize("full", [False, True])
def test_ycgco(colour: tuple[int, int, int], format: str, full: bool) -> None:
    red, green, blue = colour
    luma = (red + 2 * green + blue) / 4
    green_excess, orange = (2 * green - red - blue) / 4, (red - blue) / 2
    # One step of chroma is two of a colour, so white and black may be cut at the ends.
    values = tuple(min(255.0, v) for v in (luma, 128 + green_excess, 128 + orange))
    frame = frame_of(values, format, full)
    frame.colorspace = YCGCO
    scaler = Scaler(GRID, None)
    assert np.abs(scaler.image(frame).astype(int) - colour).max() <= 5
    assert codes(scaler, frame) == []


@pytest.mark.parametrize(("primaries", "weights"), [(1, (0.2126, 0.0722)), (9, (0.2627, 0.0593))])
def test_a_matrix_that_follows_from_the_primaries(
    primaries: int, weights: tuple[float, float]
) -> None:
    red, green, blue = COLOURS[0]
    luma = weights[0] * red + (1 - sum(weights)) * green + weights[1] * blue
    blue_difference = (blue - luma) / (2 * (1 - weights[1]))
    red_difference = (red - luma) / (2 * (1 - weights[0]))
    frame = frame_of((luma, 128 + blue_difference, 128 + red_difference), "yuv444p", True)
    frame.colorspace, frame.color_primaries = FROM_PRIMARIES, primaries
    scaler = Scaler(GRID, None)
    assert np.abs(scaler.image(frame).astype(int) - COLOURS[0]).max() <= 5
    assert codes(scaler, frame) == []


@pytest.mark.parametrize("space", [3, 11, FROM_PRIMARIES, ICTCP, 15])
def test_a_matrix_that_is_not_known_is_said(space: int) -> None:
    frame = frame_of((100, 128, 128), "yuv420p", True)
    frame.colorspace = space
    scaler = Scaler(GRID, None)
    assert codes(scaler, frame) == ["unknown_matrix"]
    # Grey has the same luma in every matrix but ICtCp.
    assert np.abs(scaler.image(frame).astype(int) - 100).max() <= 2


def test_frames_without_colour_differences_need_no_matrix() -> None:
    for format in ("rgb24", "gray"):
        frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8)).reformat(
            format=format
        )
        frame.colorspace = ICTCP
        assert codes(Scaler(GRID, None), frame) == []


def test_the_reader_says_it_once(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    options = {"preset": "ultrafast", "x264-params": "colormatrix=ictcp"}
    write_clip(path, range(0, 1000, 40), options=options)
    assert read(path).codes == ["unknown_matrix"]


@pytest.mark.parametrize("aspect", [Fraction(12), Fraction(1, 11)])
def test_pixels_that_cannot_be_so_are_square(tmp_path: Path, aspect: Fraction) -> None:
    path = tmp_path / "clip.mkv"

    def prepare(stream: Any) -> None:
        stream.codec_context.sample_aspect_ratio = aspect

    write_clip(path, range(0, 1000, 40), codec="mpeg4", prepare=prepare)
    cropped = read(path, FrameGrid(10.0, 24, 32, "centre_crop"))
    assert cropped.codes == ["unlikely_aspect"]
    # Where the shape of pixels is not asked for, there is nothing to say.
    stretched = read(path, FrameGrid(10.0, 24, 32))
    assert stretched.codes == []
    for one, other in zip(cropped.frames, stretched.frames, strict=True):
        assert np.abs(one.image.astype(int) - other.image).max() <= 2


@pytest.mark.parametrize("aspect", [Fraction(1, 20_000), Fraction(1_000_000)])
def test_no_shape_of_pixels_fails(aspect: Fraction) -> None:
    scaler = Scaler(FrameGrid(10.0, 24, 32, "centre_crop"), aspect)
    frame = av.VideoFrame.from_ndarray(np.full((48, 64, 3), 90, np.uint8))
    assert np.abs(scaler.image(frame).astype(int) - 90).max() <= 1
    assert codes(scaler, frame) == ["unlikely_aspect"]


@pytest.mark.parametrize("aspect", [None, Fraction(1), Fraction(64, 45), Fraction(1, 2)])
def test_pixels_of_usual_shapes_are_as_they_are(aspect: Fraction | None) -> None:
    scaler = Scaler(FrameGrid(10.0, 24, 32, "centre_crop"), aspect)
    assert codes(scaler, frame_of((100, 128, 128), "yuv420p", True)) == []
