"""A time base that contradicts the durations is refused; single odd videos are only mentioned."""

from __future__ import annotations

import logging

import pytest

from wsgn.errors import InputError
from wsgn.features.file import FeatureInfo
from wsgn.features.time_base import TimedVideo, check_time_base
from wsgn.manifest import Sampling

I3D = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)


def timed(duration: float, num_snippets: int, sampling: Sampling = I3D) -> TimedVideo:
    info = FeatureInfo(num_snippets=num_snippets, feature_size=4, sampling=sampling)
    return TimedVideo(name=f"v{duration:g}", info=info, duration_seconds=duration)


@pytest.mark.parametrize(
    ("duration", "num_snippets"),
    [
        # Whole snippets of 0.64 s: the tail left out, filled up, and both ends left out.
        (100.0, 156),
        (100.0, 157),
        (100.0, 154),
        # Very short videos.
        (0.3, 1),
        (1.0, 1),
        # 23.976 instead of 24 frames per second.
        (2000 * 0.64 * 24 / 23.976, 2000),
    ],
)
def test_what_extractors_do_is_tolerated(duration: float, num_snippets: int) -> None:
    assert not timed(duration, num_snippets).is_contradicted


@pytest.mark.parametrize(
    "made_with",
    [
        Sampling(frame_rate=30.0, snippet_length=16, snippet_stride=16),
        Sampling(frame_rate=10.0, snippet_length=16, snippet_stride=16),
        Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=8),
        Sampling(frame_rate=24.0, snippet_length=16, snippet_stride=16),
    ],
)
def test_another_time_base_is_found(made_with: Sampling) -> None:
    durations = [180.0, 210.0, 240.0]
    videos = [
        timed(duration, int(duration * made_with.frame_rate / made_with.snippet_stride))
        for duration in durations
    ]
    with pytest.raises(InputError, match="time base contradicts the durations"):
        check_time_base(videos)


def test_two_snippets_and_their_strides_may_be_missing_and_no_more() -> None:
    """2 * (16 + 16) / 25 s and a fiftieth of 10 s are 2.76 s; 12 snippets last 7.68 s."""
    assert not timed(10.0, 12).is_contradicted
    assert timed(10.0, 11).is_contradicted


def test_one_half_of_odd_videos_is_a_notice_and_more_is_refused(
    caplog: pytest.LogCaptureFixture,
) -> None:
    fitting, odd = timed(100.0, 156), timed(300.0, 156)
    with caplog.at_level(logging.WARNING, logger="wsgn.data"):
        check_time_base([fitting, odd, fitting, odd])
    assert "2 of 4 videos" in caplog.text
    with pytest.raises(InputError, match="2 of 3 videos"):
        check_time_base([fitting, odd, odd])


def test_a_single_odd_video_is_a_notice(caplog: pytest.LogCaptureFixture) -> None:
    videos = [timed(100.0, 156), timed(200.0, 312), timed(300.0, 156)]
    with caplog.at_level(logging.WARNING, logger="wsgn.data"):
        check_time_base(videos)
    (record,) = caplog.records
    assert "1 of 3 videos" in record.getMessage()
    assert "'v300'" in record.getMessage()


def test_no_known_duration_is_no_contradiction() -> None:
    check_time_base([])
