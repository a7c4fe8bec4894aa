"""The published preprocessing, against an independent way to it: PyAV, turned and scaled by PIL."""

from __future__ import annotations

from itertools import islice
from pathlib import Path

import av
import numpy as np
import pytest
from numbered_clips import VIDEOS

from wsgn.extraction.frames import FrameStream, centre_crop
from wsgn.video import FrameGrid, SampledFrame, VideoReader

Image = pytest.importorskip("PIL.Image", reason="needs the extra 'made' (Pillow)")


def real_video(name: str) -> Path:
    path = VIDEOS / name
    if not path.is_file():
        pytest.skip(f"needs the shared data in {VIDEOS}")
    return path


def published(path: Path, number: int, short_side: int, crop_size: int) -> np.ndarray:
    """Frame `number`: upright, the shorter side scaled by averaging, the middle cut out."""
    with av.open(str(path)) as container:
        frame = next(islice(container.decode(video=0), number, None))
    # PyAV's rotation is counterclockwise, as PIL's.
    upright = frame.to_image().rotate(frame.rotation, expand=True)
    scale = short_side / min(upright.size)
    width, height = (round(side * scale) for side in upright.size)
    # Averaging means nothing where a frame is enlarged.
    method = Image.Resampling.BOX if scale < 1 else Image.Resampling.BILINEAR
    scaled = np.asarray(upright.resize((width, height), method))
    top, left = (height - crop_size) // 2, (width - crop_size) // 2
    return scaled[top : top + crop_size, left : left + crop_size]


# Wide, nearly square, turned by 90 degrees, enlarged, and of full range.
@pytest.mark.parametrize(
    "name", ["bikes.mp4", "walk.mkv", "video_90.mov", "nasa_13013.mp4", "bt709_full_range.mp4"]
)
@pytest.mark.parametrize(("short_side", "crop_size"), [(256, 224), (96, 64)])
def test_short_side_and_centre_crop(name: str, short_side: int, crop_size: int) -> None:
    path = real_video(name)
    stream = FrameStream(path, frame_rate=None, short_side=short_side)
    found = centre_crop(next(islice(stream, 2, None)), crop_size)
    stream.close()
    expected = published(path, 2, short_side, crop_size)
    assert found.shape == expected.shape == (crop_size, crop_size, 3)
    difference = np.abs(found.astype(float) - expected)
    assert difference.mean() < 4
    # A crop that was off by a pixel would show at the edges of things.
    moved = np.roll(expected, 2, axis=1).astype(float)
    assert difference.mean() < 0.8 * np.abs(found - moved).mean()


@pytest.mark.parametrize("name", ["bikes.mp4", "flipping_a_pancake.mkv", "walk.mkv"])
def test_an_engine_host_sees_the_same_pixels(name: str) -> None:
    # What wsgn-run gives an engine that wants 256 x 256 by centre_crop, and its own crop.
    path = real_video(name)
    with VideoReader(path, FrameGrid(25.0, 256, 256, "centre_crop")) as reader:
        engine_frames = [f.image for f in islice(reader, 20) if isinstance(f, SampledFrame)]
    stream = FrameStream(path, frame_rate=25.0, short_side=256)
    frames = list(islice(stream, 20))
    stream.close()
    for engine_frame, frame in zip(engine_frames, frames, strict=True):
        np.testing.assert_array_equal(engine_frame[16:240, 16:240], centre_crop(frame, 224))


# Seconds of each video, from its own timestamps, at 25 frames per second.
@pytest.mark.parametrize(
    "name",
    ["av1_video.mkv", "bikes.mp4", "flipping_a_pancake.mkv", "h265_video.mp4", "video_90.mov"],
)
def test_frames_lie_on_the_grid_from_start_to_end(name: str) -> None:
    path = real_video(name)
    with av.open(str(path)) as container:
        frames = [(f.time, f.duration * f.time_base) for f in container.decode(video=0)]
    seconds = float(frames[-1][0] - frames[0][0] + frames[-1][1])
    num_frames = sum(1 for _ in FrameStream(path, frame_rate=25.0, short_side=16))
    assert num_frames == int(np.ceil(seconds * 25 - 1e-3))
