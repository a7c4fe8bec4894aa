"""Videos as snippets of frames: kept or decoded again, thinned and augmented as one."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import av
import numpy as np
import pytest
from av.video.stream import VideoStream
from decoded_videos import dataset_of

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.augmentation import Augmentation, augmented, draw_augmentation
from wsgn.data.frames import FrameDataset, FrameMemory, read_video
from wsgn.errors import InputError
from wsgn.manifest import FrameInput, Sampling
from wsgn.video import FrameGrid

SAMPLING = Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4)
INPUT = FrameInput(height=16, width=24)
FRAME_BYTES = 16 * 24 * 3


def numbered_frames(count: int) -> np.ndarray:
    """Frame k is filled with k."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 3, 3))


def test_augmentation_treats_all_frames_of_a_video_alike() -> None:
    image = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    video = np.repeat(image[None], 5, axis=0)
    moved = augmented(video, draw_augmentation(12, 16, np.random.default_rng(3)))
    assert moved.shape == video.shape
    assert (moved == moved[0]).all()
    assert not np.array_equal(moved[0], image)


def test_augmentation_moves_mirrors_and_relights_as_it_says() -> None:
    frame = np.array([[10, 20, 30], [40, 50, 60]], np.uint8)[None, :, :, None].repeat(3, axis=3)
    change = Augmentation(mirrored=False, down=1, right=-1, gain=2.0, bias=-25.0)
    # Row 1 twice; columns 0, 0, 1; then doubled and darkened.
    assert augmented(frame, change)[0, :, :, 0].tolist() == [[55, 55, 75], [55, 55, 75]]
    mirror = Augmentation(mirrored=True, down=0, right=0, gain=10.0, bias=0.0)
    assert augmented(frame, mirror)[0, :, :, 1].tolist() == [[255, 200, 100], [255, 255, 255]]


def decoded(num_frames: int) -> FrameDataset:
    """A dataset of one video in memory."""
    seconds = np.arange(num_frames) / 10
    epoch = np.zeros(num_frames, dtype=np.int64)
    return dataset_of(numbered_frames(num_frames), seconds, epoch, SAMPLING)


def write_clip(path: Path, num_frames: int) -> None:
    """Frames at 10 per second, each of another brightness."""
    with av.open(str(path), "w") as container:
        stream = cast(VideoStream, container.add_stream("libx264", rate=10))
        stream.width, stream.height, stream.pix_fmt = 48, 32, "yuv420p"
        for number in range(num_frames):
            image = np.full((32, 48, 3), 40 + 4 * number, np.uint8)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    """A folder with a clip of 40 frames."""
    write_clip(tmp_path / "clip.mp4", 40)
    return tmp_path


def annotated(name: str) -> VideoAnnotation:
    return VideoAnnotation(name=name, subset="train", duration_seconds=4.0, labels=(), segments=())


def test_videos_that_are_looked_at_singly_are_the_same(clip: Path) -> None:
    write_clip(clip / "other.mp4", 20)
    (clip / "none.mp4").write_bytes(b"no video")
    videos = [annotated(name) for name in ("other", "none", "clip")]
    singly = FrameDataset(clip, videos, ["a"], SAMPLING, INPUT, progress=False, at_once=False)
    whole = FrameDataset(clip, videos[::2], ["a"], SAMPLING, INPUT, progress=False)
    for one, other in ((2, 1), (0, 0), (2, 1)):
        assert singly.num_snippets(one) == whole.num_snippets(other)
        np.testing.assert_array_equal(singly.load(one).inputs, whole.load(other).inputs)
    # Memory is that of one video.
    assert list(singly._decoded) == [2]
    with pytest.raises(InputError, match=r"none\.mp4"):
        singly.load(1)


def test_what_does_not_fit_into_memory_is_decoded_again_and_is_the_same(clip: Path) -> None:
    kept, partly, again = (
        FrameDataset(
            clip, [annotated("clip")], ["a"], SAMPLING, INPUT, progress=False,
            memory_bytes=FRAME_BYTES * num_frames,
        )
        for num_frames in (40, 39, 0)
    )  # fmt: skip
    assert kept._decoded[0].images is not None
    assert partly._decoded[0].images is None
    for source in (partly, again):
        assert source.num_snippets(0) == kept.num_snippets(0) == 9
        np.testing.assert_array_equal(source.load(0).inputs, kept.load(0).inputs)
        ours, theirs = (
            s.load_for_training(0, np.random.default_rng(3), thinning=2, augment=True)
            for s in (source, kept)
        )
        np.testing.assert_array_equal(ours.inputs, theirs.inputs)
        np.testing.assert_array_equal(ours.times.centre_seconds, theirs.times.centre_seconds)
    brightness = kept.load(0).inputs.float().mean(dim=(2, 3, 4)).numpy()
    expected = 40 + 4 * (np.arange(9)[:, None] * 4 + np.arange(8))
    np.testing.assert_allclose(brightness, expected, atol=3)


def test_a_video_that_does_not_fit_leaves_its_memory_to_the_next(tmp_path: Path) -> None:
    memory = FrameMemory(FRAME_BYTES * 30)
    grid = FrameGrid(10.0, INPUT.height, INPUT.width)
    fits = []
    for num_frames in (40, 30, 1):
        write_clip(tmp_path / "clip.mp4", num_frames)
        fits.append(read_video(tmp_path / "clip.mp4", grid, memory).images is not None)
    assert fits == [False, True, False]


def test_the_number_of_snippets_is_known_without_loading() -> None:
    for num_frames in (1, 8, 11, 12, 50):
        source = decoded(num_frames)
        assert source.num_snippets(0) == len(source.load(0).inputs)


@pytest.mark.parametrize(("start_range", "num_offsets"), [(None, 8), (1, 4), (3, 12)])
def test_training_starts_at_any_frame_of_the_first_snippets(
    start_range: int | None, num_offsets: int
) -> None:
    source, firsts = decoded(60), set()
    for seed in range(200):
        sample = source.load_for_training(
            0, np.random.default_rng(seed), thinning=2, start_range=start_range
        )
        first = sample.inputs[:, 0, 0, 0, 0].numpy().astype(int)
        firsts.add(int(first[0]))
        assert set(np.diff(first)) == {8}
    assert firsts == set(range(num_offsets))
