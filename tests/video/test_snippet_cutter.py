"""One rule cuts videos into snippets, for training, extraction and the runtime."""

from __future__ import annotations

import itertools
from dataclasses import dataclass

import numpy as np
import pytest
from decoded_videos import dataset_of
from hypothesis import given
from hypothesis import strategies as st

from wsgn.extraction.snippets import cut_snippets
from wsgn.localization.timing import snippet_centre_seconds
from wsgn.manifest import Sampling
from wsgn.runtime.streaming.snippets import Snippet, Snippeter
from wsgn.video import SampledFrame
from wsgn.video.snippets import snippet_rows

FRAME_RATE = 10.0
GAP_SECONDS = 2.0


@dataclass(frozen=True)
class Expected:
    """A snippet as the rule has it."""

    numbers: list[int]
    epoch: int
    centre_seconds: float
    padded: bool


def by_the_rule(epoch_lengths: list[int], sampling: Sampling) -> list[Expected]:
    """Snippet t of each epoch covers [t * stride, t * stride + L), centre (t * stride + L/2) / fps.

    As many as fit; an epoch shorter than L is one, which repeats its last frame.
    """
    length, stride = sampling.snippet_length, sampling.snippet_stride
    snippets: list[Expected] = []
    begin = 0
    for epoch, num_frames in enumerate(epoch_lengths):
        for t in range(max(1, (num_frames - length) // stride + 1)):
            numbers = [min(t * stride + k, num_frames - 1) + begin for k in range(length)]
            seconds = (begin + t * stride + length / 2) / FRAME_RATE + epoch * GAP_SECONDS
            snippets.append(Expected(numbers, epoch, seconds, num_frames < length))
        begin += num_frames
    return snippets


def video(epoch_lengths: list[int]) -> list[SampledFrame]:
    """Frames that are filled with their number, in epochs of given lengths."""
    epochs = np.repeat(np.arange(len(epoch_lengths)), epoch_lengths).tolist()
    return [
        SampledFrame(
            number,
            number / FRAME_RATE + epoch * GAP_SECONDS,
            epoch,
            np.full((1, 1, 3), number, np.uint8),
        )
        for number, epoch in enumerate(epochs)
    ]


def run_cuts(frames: list[SampledFrame], sampling: Sampling, cuts: list[int]) -> list[Snippet]:
    """The runtime's snippets of frames that arrive in pieces."""
    snippeter = Snippeter(sampling)
    found: list[Snippet] = []
    for begin, end in itertools.pairwise([0, *sorted(cuts), len(frames)]):
        found += snippeter.push(frames[begin:end])
    return found + snippeter.flush()


@given(
    epoch_lengths=st.lists(st.integers(1, 40), min_size=1, max_size=4),
    length=st.integers(1, 16),
    stride=st.integers(1, 20),
    data=st.data(),
)
def test_training_extraction_and_runtime_cut_by_the_rule(
    epoch_lengths: list[int], length: int, stride: int, data: st.DataObject
) -> None:
    sampling = Sampling(frame_rate=FRAME_RATE, snippet_length=length, snippet_stride=stride)
    frames = video(epoch_lengths)
    expected = by_the_rule(epoch_lengths, sampling)
    numbers = [snippet.numbers for snippet in expected]
    centres = [snippet.centre_seconds for snippet in expected]
    epochs = [snippet.epoch for snippet in expected]

    cuts = data.draw(st.lists(st.integers(0, len(frames)), max_size=6))
    found = run_cuts(frames, sampling, cuts)
    assert [snippet.frames[:, 0, 0, 0].tolist() for snippet in found] == numbers
    assert [snippet.epoch for snippet in found] == epochs
    assert [snippet.padded for snippet in found] == [snippet.padded for snippet in expected]
    starts = np.array([snippet.start_seconds for snippet in found])
    np.testing.assert_allclose(snippet_centre_seconds(starts, sampling), centres)

    dataset = dataset_of(
        np.stack([frame.image for frame in frames]),
        np.array([frame.seconds for frame in frames]),
        np.array([frame.epoch for frame in frames], dtype=np.int64),
        sampling,
    )
    sample = dataset.load(0)
    assert sample.inputs[:, :, 0, 0, 0].tolist() == numbers
    assert sample.times.epoch.tolist() == epochs
    np.testing.assert_allclose(sample.times.centre_seconds, centres)

    # Extraction fills holes, so that its videos are of one epoch.
    of_epochs = [
        [frame.index for frame in frames if frame.epoch == epoch]
        for epoch in range(len(epoch_lengths))
    ]
    extracted = [list(cut_snippets(epoch, sampling)) for epoch in of_epochs]
    assert list(itertools.chain(*extracted)) == numbers


@pytest.mark.parametrize(
    ("num_frames", "offset", "starts"), [(20, 3, [3, 7, 11]), (9, 7, [1]), (5, 7, [0])]
)
def test_an_offset_shifts_the_snippets_but_leaves_one(
    num_frames: int, offset: int, starts: list[int]
) -> None:
    sampling = Sampling(frame_rate=FRAME_RATE, snippet_length=8, snippet_stride=4)
    rows = snippet_rows(np.zeros(num_frames, dtype=np.int64), sampling, offset)
    assert rows[:, 0].tolist() == starts
