"""Features of frames: numpy.interp between snippet centres, and only the frames asked for."""

from __future__ import annotations

import numpy as np
import pytest

from wsgn.features.interpolation import frame_features, num_frames
from wsgn.localization.timing import snippet_centre_seconds
from wsgn.manifest import Sampling

SAMPLINGS = [
    Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16),
    Sampling(frame_rate=30.0, snippet_length=16, snippet_stride=4),
    Sampling(frame_rate=10.0, snippet_length=4, snippet_stride=4),
    Sampling(frame_rate=24.0, snippet_length=7, snippet_stride=9),
    Sampling(frame_rate=5.0, snippet_length=1, snippet_stride=1),
]


def interpolated(features: np.ndarray, sampling: Sampling) -> np.ndarray:
    """All frames in float64, by times in seconds."""
    rate, stride = sampling.frame_rate, sampling.snippet_stride
    centres = snippet_centre_seconds(np.arange(len(features)) * stride / rate, sampling)
    count = (len(features) - 1) * stride + sampling.snippet_length
    times = (np.arange(count) + 0.5) / rate
    columns = [np.interp(times, centres, column) for column in features.T.astype(np.float64)]
    return np.stack(columns, axis=1)


@pytest.mark.parametrize("sampling", SAMPLINGS)
@pytest.mark.parametrize("num_snippets", [1, 2, 3, 50])
def test_every_frame_lies_between_snippet_centres(sampling: Sampling, num_snippets: int) -> None:
    features = np.random.default_rng(0).normal(size=(num_snippets, 5)).astype(np.float32)
    expected = interpolated(features, sampling)
    count = num_frames(num_snippets, sampling)
    assert count == len(expected)
    found = frame_features(features, np.arange(count), sampling)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, expected, rtol=0, atol=2e-6)


def test_only_the_frames_asked_for_are_made() -> None:
    features = np.random.default_rng(1).normal(size=(9, 3)).astype(np.float32)
    frames = np.array([0, 3, 77, 20])
    found = frame_features(features, frames, SAMPLINGS[0])
    np.testing.assert_allclose(found, interpolated(features, SAMPLINGS[0])[frames], atol=2e-6)


def test_edges_are_held_and_the_source_is_left_alone() -> None:
    features = np.array([[1.0], [3.0]], dtype=np.float32)
    found = frame_features(features, np.arange(32), SAMPLINGS[0])[:, 0]
    # Centres lie between frames 7 and 8, and between 23 and 24.
    assert found[:8].tolist() == [1.0] * 8
    assert found[24:].tolist() == [3.0] * 8
    assert found[8] == 1 + 2 * 0.5 / 16
    assert features.tolist() == [[1.0], [3.0]]
