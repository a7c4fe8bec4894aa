"""Real files, against facts from plain PyAV."""

from __future__ import annotations

import math
from dataclasses import dataclass
from itertools import groupby, pairwise
from pathlib import Path

import av
import numpy as np
import pytest
from coded_clips import read, shared_videos

from wsgn.support.arrays import FloatArray
from wsgn.video import FrameGrid, probe
from wsgn.video.resize import Scaler

NAMES = (
    "av1_video.mkv",
    "bikes.mp4",
    "bt709_full_range.mp4",
    "flipping_a_pancake.mkv",
    "h265_video.mp4",
    "nasa_13013.mp4",
    "one-by-one-person-detection.mp4",
    "video_90.mov",
    "walk.mkv",
)
GRID = FrameGrid(7.0, 48, 64)


def real_file(name: str) -> Path:
    path = shared_videos() / name
    if not path.is_file():
        pytest.skip(f"{path} is not there")
    return path


AVI_FOLDERS = ("avi", "ut_interaction")


@dataclass
class Facts:
    times: list[float]
    # Some of the images at grid points.
    images: dict[int, FloatArray]


def area_mean(plane: av.VideoPlane) -> FloatArray:
    """Mean of the source pixels under each of 48 x 64 target pixels."""
    rows = np.frombuffer(plane, np.uint8).reshape(plane.height, plane.line_size)
    mean = rows[:, : plane.width].astype(np.float64)
    for _ in range(2):
        length, target = len(mean), GRID.width if mean.shape[1] == GRID.height else GRID.height
        edges = np.arange(target + 1) * length / target
        parts = [mean[int(a) : max(int(a) + 1, int(b))] for a, b in pairwise(edges)]
        mean = np.stack([part.mean(axis=0) for part in parts], axis=1)
    return mean


def converted(frame: av.VideoFrame) -> FloatArray:
    """Independent scaling and conversion, by the standards' equations."""
    luma, blue, red = (area_mean(plane) for plane in frame.planes)
    if frame.color_range == 2:
        luma, blue, red = luma / 255, (blue - 128) / 255, (red - 128) / 255
    else:
        luma, blue, red = (luma - 16) / 219, (blue - 128) / 224, (red - 128) / 224
    weight_red, weight_blue = (0.2126, 0.0722) if frame.colorspace == 1 else (0.299, 0.114)
    r, b = luma + 2 * (1 - weight_red) * red, luma + 2 * (1 - weight_blue) * blue
    g = (luma - weight_red * r - weight_blue * b) / (1 - weight_red - weight_blue)
    return np.clip(np.stack([r, g, b], axis=-1) * 255, 0, 255)


def facts(path: Path) -> Facts:
    """Plain decoding; the frame at a grid point is the last that begins by then."""
    times: list[float] = []
    images: dict[int, FloatArray] = {}
    with av.open(str(path)) as container:
        frames = container.decode(video=0)
        held = next(frames)
        origin, index = held.time, 0
        times.append(0.0)
        for frame in frames:
            times.append(frame.time - origin)
            while index / GRID.frame_rate < times[-1] - 1e-5:
                if index % 9 == 0 and held.rotation == 0:
                    images[index] = converted(held)
                index += 1
            held = frame
    return Facts(times, images)


@pytest.mark.parametrize("name", NAMES)
def test_frames_and_times(name: str) -> None:
    path = real_file(name)
    expected = facts(path)
    reading = read(path, GRID)
    summary = reading.reader.summary
    assert summary.complete
    assert summary.num_frames_decoded == len(expected.times)
    assert summary.decode_failures == 0
    assert reading.codes == (["several_streams"] if name == "nasa_13013.mp4" else [])
    assert reading.gaps == []
    assert reading.indices == list(range(len(reading.indices)))
    assert reading.indices[-1] == math.ceil(summary.seconds * 7 - 1e-5) - 1
    assert expected.times[-1] < summary.seconds < expected.times[-1] + 0.2
    for k, image in expected.images.items():
        difference = np.abs(reading.frames[k].image.astype(int) - image)
        assert difference.mean() < 2.5, f"grid point {k}"


@pytest.mark.parametrize("folder", AVI_FOLDERS)
def test_genuine_avis_show_each_frame_once_in_order(folder: str) -> None:
    paths = sorted((shared_videos().parent / "real" / folder).glob("*.avi"))
    if not paths:
        pytest.skip(f"there is no folder real/{folder}")
    # Of the many clips of one set some will do.
    for path in paths if len(paths) < 20 else paths[::12]:
        with av.open(str(path)) as container:
            rate = container.streams.video[0].average_rate
            assert rate is not None
            grid = FrameGrid(float(rate), 12, 16)
            scaler = Scaler(grid, None)
            decoded = [scaler.image(frame) for frame in container.decode(video=0)]
        reading = read(path, grid)
        assert (reading.codes, reading.gaps) == ([], []), path.name
        shown = [next(group) for _, group in groupby(reading.frames, lambda f: id(f.image))]
        assert len(shown) == len(decoded), path.name
        for frame, image in zip(shown, decoded, strict=True):
            assert np.array_equal(frame.image, image), path.name
        # A chunk may say that the frame before it stands.
        assert len(reading.frames) <= len(shown) + 2, path.name


def test_several_streams() -> None:
    path = real_file("nasa_13013.mp4")
    assert (probe(path).width, probe(path).height) == (320, 180)
    second = probe(path, stream=1)
    assert (second.width, second.height) == (480, 270)
    assert (second.num_video_streams, second.audio_codec) == (2, "aac")
    assert read(path, GRID, stream=1).reader.summary.num_frames_decoded == 390


def test_rotation() -> None:
    info = probe(real_file("video_90.mov"))
    assert (info.width, info.height, info.rotation_degrees) == (320, 568, 90)


def test_corrupted() -> None:
    reading = read(real_file("corrupted.mp4"), FrameGrid(10.0, 36, 64))
    assert reading.indices == list(range(50))
    assert reading.reader.summary.decode_failures == 1
    assert reading.reader.summary.num_frames_decoded == 49
    assert "decode_failure" in reading.codes


def test_start_in_a_long_file() -> None:
    path = real_file("one-by-one-person-detection.mp4")
    whole = read(path, GRID)
    part = read(path, GRID, start_seconds=100.03, end_seconds=103.0)
    assert part.indices == list(range(701, 721))
    for frame in part.frames:
        assert np.array_equal(frame.image, whole.frames[frame.index].image)
