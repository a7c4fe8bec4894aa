"""Frames to snippets: examples of the rule that tests/video/test_snippet_cutter.py holds."""

from __future__ import annotations

import numpy as np

from wsgn.manifest import Sampling
from wsgn.runtime.streaming.snippets import Snippet, Snippeter
from wsgn.video import SampledFrame


def frames_of(epoch_lengths: list[int]) -> list[SampledFrame]:
    """Frames whose pixels are their number, in epochs of given lengths."""
    epochs = [epoch for epoch, length in enumerate(epoch_lengths) for _ in range(length)]
    return [
        SampledFrame(index, index / 10, epoch, np.full((1, 1, 3), index, dtype=np.uint8))
        for index, epoch in enumerate(epochs)
    ]


def numbers(snippets: list[Snippet]) -> list[list[int]]:
    return [snippet.frames[:, 0, 0, 0].tolist() for snippet in snippets]


def cut(frames: list[SampledFrame], length: int, stride: int) -> list[Snippet]:
    snippeter = Snippeter(Sampling(frame_rate=10, snippet_length=length, snippet_stride=stride))
    return snippeter.push(frames) + snippeter.flush()


def test_snippets_overlap_by_length_minus_stride() -> None:
    snippets = cut(frames_of([8]), 4, 2)
    assert numbers(snippets) == [[0, 1, 2, 3], [2, 3, 4, 5], [4, 5, 6, 7]]
    assert [snippet.start_seconds for snippet in snippets] == [0.0, 0.2, 0.4]
    assert not any(snippet.padded for snippet in snippets)


def test_a_stride_longer_than_a_snippet_leaves_frames_out() -> None:
    assert numbers(cut(frames_of([8]), 2, 3)) == [[0, 1], [3, 4], [6, 7]]


def test_a_tail_shorter_than_the_stride_is_dropped() -> None:
    assert numbers(cut(frames_of([7]), 4, 2)) == [[0, 1, 2, 3], [2, 3, 4, 5]]


def test_too_few_frames_are_padded_with_the_last() -> None:
    (snippet,) = cut(frames_of([2]), 4, 2)
    assert numbers([snippet]) == [[0, 1, 1, 1]]
    assert snippet.padded


def test_no_frames_give_no_snippets() -> None:
    assert cut([], 4, 2) == []


def test_no_snippet_spans_two_epochs() -> None:
    snippets = cut(frames_of([5, 1, 4]), 4, 4)
    assert numbers(snippets) == [[0, 1, 2, 3], [5, 5, 5, 5], [6, 7, 8, 9]]
    assert [snippet.epoch for snippet in snippets] == [0, 1, 2]
    assert [snippet.padded for snippet in snippets] == [False, True, False]
