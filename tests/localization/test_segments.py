"""Offline segments: planted answers by hand, and the thresholds of a whole video."""

from __future__ import annotations

import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from seconds import bounds, second_by_second

from wsgn.localization.segments import (
    Segment,
    highest_thresholds,
    scores_to_segments,
    segment_score,
    smoothed_scores,
    video_thresholds,
)
from wsgn.manifest import DetectionRule


def segments_of(
    curve: list[float],
    *,
    opening: float = 0.5,
    closing: float | None = None,
    minimum: float = 0.0,
    gap: float = 0.0,
    maximum: float = math.inf,
    epoch: list[int] | None = None,
) -> list[Segment]:
    scores = np.array(curve)[:, None]
    return scores_to_segments(
        scores,
        second_by_second(len(curve), epoch),
        ["wave"],
        open_thresholds=np.array([opening]),
        close_thresholds=np.array([opening if closing is None else closing]),
        minimum_duration_seconds=minimum,
        merge_gap_seconds=gap,
        maximum_duration_seconds=maximum,
    )


def test_boundaries_lie_where_the_score_crosses_the_threshold() -> None:
    # From 0 at 0.5 s to 1 at 1.5 s it crosses 0.25 at 0.75 s; down from 1 at 2.5 s at 3.25 s.
    assert bounds(segments_of([0, 1, 1, 0], opening=0.25)) == [(0.75, 3.25)]


def test_a_segment_reaches_the_edges_of_the_video() -> None:
    assert bounds(segments_of([1, 1, 1])) == [(0, 3)]


def test_equal_to_the_threshold_is_not_above_it() -> None:
    assert segments_of([0.5, 0.5]) == []


def test_the_closing_threshold_alone_ends_a_segment() -> None:
    # 0.3 is under the opening threshold and over the closing one.
    found = segments_of([0, 1, 0.3, 0.3, 0], closing=0.15)
    assert bounds(found) == [(1.0, 4.0)]


def test_short_gaps_are_merged_and_long_ones_are_not() -> None:
    curve = [0, 1, 0, 1, 0, 0, 0, 1, 0]
    # Under the threshold from 2.0 s; seen for 0.5 s at the snippet at 2.5 s.
    assert bounds(segments_of(curve, gap=0.6)) == [(1, 4), (7, 8)]
    assert len(segments_of(curve, gap=0.5)) == 3


def test_only_strictly_longer_segments_are_kept() -> None:
    assert segments_of([0, 1, 0], minimum=1.0) == []
    assert len(segments_of([0, 1, 0], minimum=0.999)) == 1


def test_the_maximum_duration_cuts() -> None:
    # Opens at 0; the centres 1.5 and 3.5 are the first at least 1.5 s after the last cut.
    assert bounds(segments_of([1, 1, 1, 1], maximum=1.5)) == [(0, 1.5), (1.5, 3.5)]


@given(
    curve=st.lists(st.integers(0, 8).map(lambda n: n / 8), min_size=1, max_size=30),
    breaks=st.lists(st.integers(0, 9), min_size=30, max_size=30),
    closing=st.sampled_from([0.0, 0.3, 0.5]),
    minimum=st.sampled_from([0.0, 1.0, 1.3, 3.0]),
    gap=st.sampled_from([0.0, 1.0, 2.5]),
)
def test_highest_thresholds_tell_how_many_segments_any_threshold_gives(
    curve: list[float], breaks: list[int], closing: float, minimum: float, gap: float
) -> None:
    epoch = np.cumsum([one == 9 for one in breaks[: len(curve)]]).tolist()
    highest = highest_thresholds(
        np.array(curve),
        second_by_second(len(curve), epoch),
        close_threshold=closing,
        minimum_duration_seconds=minimum,
        merge_gap_seconds=gap,
    )
    # Beside each of them, and at every score, above the closing threshold.
    tried = [level + step for level in highest for step in (-1e-9, 1e-9)] + sorted({*curve})
    for opening in (one for one in tried if one >= closing):
        found = segments_of(
            curve, opening=opening, closing=closing, minimum=minimum, gap=gap, epoch=epoch
        )
        assert len(found) == sum(level > opening for level in highest)


def test_no_segment_spans_a_gap() -> None:
    assert bounds(segments_of([1, 1, 1, 1], epoch=[0, 0, 1, 1])) == [(0, 2), (2, 4)]


def test_score_is_the_mean_of_frames_and_video() -> None:
    scores = np.array([[0.0], [0.8], [0.6], [0.0]])
    (found,) = scores_to_segments(
        scores,
        second_by_second(4),
        ["wave"],
        open_thresholds=np.array([0.4]),
        close_thresholds=np.array([0.4]),
        minimum_duration_seconds=1.0,
        video_score_weight=0.2,
    )
    assert found.score == pytest.approx((0.7 + 0.2 * 0.35) / 1.2)


@given(
    st.lists(st.tuples(*[st.floats(0, 1)] * 2), min_size=2, max_size=20),
    st.floats(0, 1e6),
)
def test_scores_stay_between_0_and_1_in_the_order_of_the_plain_sum(
    parts: list[tuple[float, float]], weight: float
) -> None:
    """The order of mean + weight * video score, which decides every mAP."""
    found = [segment_score(mean, video, weight) for mean, video in parts]
    assert all(-1e-12 <= score <= 1 + 1e-12 for score in found)
    exact = [Fraction(mean) + Fraction(weight) * Fraction(video) for mean, video in parts]
    for (one, ours), (other, theirs) in itertools.combinations(zip(exact, found, strict=True), 2):
        if abs(one - other) > 1e-12 * (1 + weight):
            assert (one > other) == (ours > theirs)


def test_no_map_depends_on_the_scale() -> None:
    """Segments scored by the plain sum and by ours, against one truth."""
    random = np.random.default_rng(0)
    truth: dict[str, list[Segment]] = {}
    ours: dict[str, list[Segment]] = {}
    plain: dict[str, list[Segment]] = {}
    for video in map(str, range(20)):
        starts = 4.0 * np.arange(10)
        made = [("ab"[int(random.integers(2))], s, s + 3) for s in starts]
        truth[video] = [
            Segment(label=a, start_seconds=s, end_seconds=e, score=1) for a, s, e in made
        ]
        for found, scale in ((ours, 1.2), (plain, 1.0)):
            draw = np.random.default_rng(int(video))
            found[video] = [
                Segment(
                    label="ab"[int(draw.integers(2))],
                    start_seconds=s + draw.normal(),
                    end_seconds=e + draw.normal(),
                    score=(draw.random() + 0.2 * draw.random()) / scale,
                )
                for _, s, e in made
            ]
    assert _mean_ap(ours, truth) == _mean_ap(plain, truth)


def _mean_ap(found: dict[str, list[Segment]], truth: dict[str, list[Segment]]) -> list[float]:
    """Average precision per class at a tIoU of 0.5, written down for this test."""
    result = []
    for label in "ab":
        ranked = sorted(
            (-s.score, video, s) for video, of in found.items() for s in of if s.label == label
        )
        taken: set[tuple[str, float]] = set()
        hits = []
        for _, video, segment in ranked:
            match = [
                one
                for one in truth[video]
                if one.label == label
                and (video, one.start_seconds) not in taken
                and _tiou(one, segment) >= 0.5
            ]
            hits.append(bool(match))
            taken |= {(video, one.start_seconds) for one in match[:1]}
        precision = np.cumsum(hits) / np.arange(1, len(hits) + 1)
        result.append(float(precision[np.array(hits)].sum()))
    assert min(result) > 0
    return result


def _tiou(one: Segment, other: Segment) -> float:
    shared = min(one.end_seconds, other.end_seconds) - max(one.start_seconds, other.start_seconds)
    lengths = sum(s.end_seconds - s.start_seconds for s in (one, other))
    return max(0.0, shared) / (lengths - max(0.0, shared))


def test_the_thresholds_of_a_whole_video() -> None:
    rule = DetectionRule(
        open_thresholds=(0.5, 0.1, 0.41),
        close_thresholds=(0, 0, 0),
        video_score_gate=0.1,
        peak_gate=0.75,
    )
    # Video scores 0.5, 0.04 (under a tenth of the largest) and 0.25 (its largest
    # frame score, 0.3, is under 0.75 * 0.41).
    scores = np.array([[0.2, 0.0, 0.2], [0.8, 0.08, 0.3]])
    thresholds = video_thresholds(scores, rule)
    assert thresholds[0] == pytest.approx(0.5)
    assert np.isinf(thresholds[1:]).all()


def test_a_class_that_hardly_varies_is_not_there() -> None:
    rule = DetectionRule(open_thresholds=(0.1,) * 2, close_thresholds=(0.1,) * 2)
    scores = np.array([[1.0, 1.0], [1.0 - 0.9e-4, 1.0 - 1.1e-4]])
    assert np.isfinite(video_thresholds(scores, rule)).tolist() == [False, True]


def test_a_class_that_just_reaches_the_gates_is_there() -> None:
    rule = DetectionRule(
        open_thresholds=(0.5, 1.0),
        close_thresholds=(0, 0),
        video_score_gate=0.5,
        peak_gate=0.75,
    )
    # Video scores 1 and 0.5; the second class's largest frame score is 0.75.
    thresholds = video_thresholds(np.array([[1.5, 0.75], [0.5, 0.25]]), rule)
    np.testing.assert_array_equal(thresholds, [1.0, 0.5])


def test_smoothing_is_the_mean_over_existing_neighbours() -> None:
    scores = np.array([[0.0], [3.0], [6.0], [0.0], [8.0]])
    smooth = smoothed_scores(scores, np.array([0, 0, 0, 1, 1]), 3)[:, 0]
    # The gap lies between the third and the fourth.
    np.testing.assert_allclose(smooth, [1.5, 3.0, 4.5, 4.0, 4.0])
    np.testing.assert_array_equal(smoothed_scores(scores, np.zeros(5, dtype=np.int64), 1), scores)
