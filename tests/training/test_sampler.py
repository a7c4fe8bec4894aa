"""Which videos make an update, and how it is split: counted by hand on small examples."""

from __future__ import annotations

import numpy as np
import pytest

from wsgn.errors import UsageError
from wsgn.training.sampler import Batch, draw_batch, draw_pairs, draw_videos, micro_batches, shard


def test_every_video_is_drawn_once_before_any_comes_again() -> None:
    drawn = [index for step in range(10) for index in draw_videos(7, 3, step, seed=5)]
    for epoch in range(4):
        assert sorted(drawn[epoch * 7 : epoch * 7 + 7]) == list(range(7))
    assert drawn[:7] != drawn[7:14]


def test_pairs_are_two_videos_of_one_class() -> None:
    labels = np.array([[1, 0, 0], [1, 0, 0], [0, 1, 0], [0, 1, 1], [1, 0, 0]], dtype=np.float32)
    seen = set()
    for step in range(200):
        for first, second in np.reshape(draw_pairs(labels, 3, step, seed=1), (3, 2)).tolist():
            assert first != second
            assert (labels[first] * labels[second]).any()
            seen.add(frozenset((first, second)))
    # Every pair there is turns up; the third class has one video and no pair of its own.
    assert seen == {frozenset(pair) for pair in ((0, 1), (0, 4), (1, 4), (2, 3))}


def test_no_class_with_two_videos_gives_a_sentence() -> None:
    with pytest.raises(UsageError, match="no class occurs in two videos"):
        draw_pairs(np.eye(3, dtype=np.float32), 1, 0, 0)


def test_a_batch_begins_with_its_pairs() -> None:
    labels = np.repeat(np.eye(4, dtype=np.float32), 5, axis=0)
    batch = draw_batch(labels, batch_videos=9, batch_pairs=3, step=4, seed=2)
    assert len(batch.videos) == 9
    for index in (0, 2, 4):
        first, second = batch.videos[index : index + 2]
        assert (labels[first] == labels[second]).all()
    assert batch.units() == [(0, 1), (2, 3), (4, 5), (6,), (7,), (8,)]
    assert batch == draw_batch(labels, batch_videos=9, batch_pairs=3, step=4, seed=2)
    assert batch != draw_batch(labels, batch_videos=9, batch_pairs=3, step=5, seed=2)


def test_micro_batches_hold_everything_once_within_the_limit() -> None:
    lengths = [10, 3, 8, 2, 9, 30]
    parts = micro_batches([(0, 1), (2,), (3,), (4,), (5,)], lengths, limit=20)
    assert parts == [(5,), (0, 1, 3), (2, 4)]
    assert micro_batches([(0, 1), (2,)], lengths, limit=0) == [(0, 1, 2)]
    # The limit itself may be reached.
    assert micro_batches([(0,), (1,)], [12, 8], limit=20) == [(0, 1)]


def test_processes_get_equal_shares_and_none_is_empty() -> None:
    lengths = [100, 1, 1, 60, 40]
    units = Batch(videos=(7, 8, 9, 10, 11), num_pairs=1).units()
    assert units == [(0, 1), (2,), (3,), (4,)]
    assert shard(units, lengths, 2) == [[(0, 1)], [(3,), (4,), (2,)]]
    assert all(shard([(0,), (1,)], [0, 0], 2))
    # Nothing is left for the last one.
    assert shard([(0, 1)], lengths, 2) == [[(0, 1)], []]
    assert micro_batches([], lengths, 0) == micro_batches([], lengths, 90) == [()]


def test_the_draw_of_pairs_says_nothing_about_where_their_videos_start() -> None:
    """A stream shared with that of an index into the batch would tie both together."""
    labels = np.repeat(np.eye(20, dtype=np.float32), 2, axis=0)
    for index in range(3):
        low = []
        for step in range(300):
            label = int(labels[draw_pairs(labels, 1, step, seed=0)[0]].argmax())
            start = int(np.random.default_rng([0, step, index]).integers(2))
            low.append((label < 10) == (start == 0))
        # 300 tosses of a coin stay within 6 standard deviations of the middle.
        assert abs(np.mean(low) - 0.5) < 6 * 0.5 / 300**0.5
