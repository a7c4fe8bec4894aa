"""Snippets of frames: cut as the runtime cuts them, augmented as one."""

from __future__ import annotations

import numpy as np
import pytest

from wsgn.data.frames import DecodedVideo, FrameDataset, augmented, snippet_rows
from wsgn.manifest import Sampling
from wsgn.runtime.snippets import Snippeter
from wsgn.video import SampledFrame

SAMPLING = Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4)


def numbered_frames(count: int) -> np.ndarray:
    """Frame k is filled with k."""
    return np.broadcast_to(np.arange(count, dtype=np.uint8)[:, None, None, None], (count, 2, 3, 3))


@pytest.mark.parametrize("counts", [[1], [3], [7], [8], [9], [11, 12], [13, 2, 9], [100]])
def test_training_and_runtime_cut_the_same_snippets(counts: list[int]) -> None:
    epoch = np.repeat(np.arange(len(counts)), counts)
    frames = numbered_frames(len(epoch))
    # Every gap is two seconds long.
    seconds = np.arange(len(epoch)) / 10 + 2.0 * epoch
    rows = snippet_rows(epoch, SAMPLING)
    snippeter = Snippeter(SAMPLING)
    pushed = snippeter.push(
        [
            SampledFrame(index=k, seconds=seconds[k], epoch=int(epoch[k]), image=frames[k])
            for k in range(len(epoch))
        ]
    )
    pushed += snippeter.flush()
    assert [s.start_seconds for s in pushed] == pytest.approx(seconds[rows[:, 0]].tolist())
    assert [s.epoch for s in pushed] == epoch[rows[:, 0]].tolist()
    np.testing.assert_array_equal(np.stack([s.frames for s in pushed]), frames[rows])


def test_an_offset_shifts_the_snippets_but_leaves_one() -> None:
    rows = snippet_rows(np.zeros(20, dtype=np.int64), SAMPLING, offset=3)
    assert rows[:, 0].tolist() == [3, 7, 11]
    rows = snippet_rows(np.zeros(9, dtype=np.int64), SAMPLING, offset=7)
    assert rows[:, 0].tolist() == [1]


def test_augmentation_treats_all_frames_of_a_video_alike() -> None:
    picture = np.random.default_rng(0).integers(0, 256, (12, 16, 3), dtype=np.uint8)
    video = np.repeat(picture[None], 5, axis=0)
    moved = augmented(video, np.random.default_rng(3))
    assert moved.shape == video.shape
    assert (moved == moved[0]).all()
    assert not np.array_equal(moved[0], picture)


def decoded(num_frames: int) -> FrameDataset:
    """A dataset of one video in memory."""
    source = object.__new__(FrameDataset)
    source._sampling = SAMPLING
    source._decoded = [
        DecodedVideo(
            images=numbered_frames(num_frames),
            seconds=np.arange(num_frames) / 10,
            epoch=np.zeros(num_frames, dtype=np.int64),
        )
    ]
    return source


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
