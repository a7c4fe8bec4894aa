"""Seconds of smoothing as snippets."""

from __future__ import annotations

import pytest

from wsgn.localization.timing import smoothing_snippets
from wsgn.manifest import Sampling


@pytest.mark.parametrize(
    ("seconds", "frame_rate", "stride", "expected"),
    [
        (0.0, 25, 16, 1),
        (2.0, 10, 4, 5),
        # 3.1 snippets of I3D, 10 of 0.2 s between 9 and 11, 7.4 of 0.27 s.
        (2.0, 25, 16, 3),
        (2.0, 30, 6, 11),
        (2.0, 15, 4, 7),
        (0.6, 25, 16, 1),
    ],
)
def test_the_nearest_odd_number(
    seconds: float, frame_rate: float, stride: int, expected: int
) -> None:
    sampling = Sampling(frame_rate=frame_rate, snippet_length=16, snippet_stride=stride)
    assert smoothing_snippets(seconds, sampling) == expected


def test_a_number_of_snippets_survives_the_way_through_seconds() -> None:
    sampling = Sampling(frame_rate=29.97, snippet_length=7, snippet_stride=3)
    for odd in range(1, 10_002, 2):
        assert smoothing_snippets(odd * 3 / 29.97, sampling) == odd
