"""Proposals of many thresholds: planted answers by hand, and degenerate curves."""

from __future__ import annotations

import numpy as np
import pytest
from seconds import bounds, second_by_second

from wsgn.errors import UsageError
from wsgn.localization.proposals import MultiThresholdRule, proposals
from wsgn.localization.segments import Segment, scores_to_segments
from wsgn.support.arrays import FloatArray


def rule_of(**changes: object) -> MultiThresholdRule:
    """One threshold at the middle, no video score in the score."""
    settings: dict[str, object] = {"thresholds": (0.5,), "video_score_weight": 0.0}
    return MultiThresholdRule(**(settings | changes))  # type: ignore[arg-type]


def proposals_of(
    curve: list[float], epoch: list[int] | None = None, **changes: object
) -> list[Segment]:
    scores = np.array(curve, dtype=np.float64)[:, None]
    times = second_by_second(len(curve), epoch)
    return proposals(scores, times, ["wave"], np.array([1.0]), rule_of(**changes))


def wavy(seed: int, count: int, num_classes: int) -> FloatArray:
    """Smooth curves with ups and downs, none negative."""
    noise = np.random.default_rng(seed).normal(size=(count + 8, num_classes))
    kernel = np.hanning(9)
    smooth = np.stack([np.convolve(column, kernel, mode="valid") for column in noise.T], axis=1)
    result: FloatArray = smooth - smooth.min()
    return result


def test_boundaries_are_those_of_one_threshold() -> None:
    scores = wavy(0, 60, 3)
    times = second_by_second(60, [0] * 25 + [1] * 35)
    for share in (0.3, 0.5, 0.8):
        lowest, highest = scores.min(axis=0), scores.max(axis=0)
        thresholds = lowest + share * (highest - lowest)
        expected = scores_to_segments(
            scores,
            times,
            ["a", "b", "c"],
            open_thresholds=thresholds,
            close_thresholds=thresholds,
            minimum_duration_seconds=0.7,
        )
        rule = rule_of(thresholds=(share,), minimum_duration_seconds=0.7)
        found = proposals(scores, times, ["a", "b", "c"], np.ones(3), rule)
        assert [s.label for s in found] == [s.label for s in expected]
        np.testing.assert_allclose(bounds(found), bounds(expected))
        assert len(found) > 5


def test_the_score_is_inner_minus_outer_mean_by_hand() -> None:
    # A trapezium: 0 at 2.5 s, 1 from 3.5 to 5.5 s, 0 at 6.5 s; above 0.5 from 3 to 6 s. Inside two
    # slopes of 0.5 s at 0.75 and 2 s at 1: 2.75 / 3. Outside 0.75 s on each side; of it 0.5 s at a
    # mean of 0.25, the rest at 0: 0.25 / 1.5.
    (found,) = proposals_of([0, 0, 0, 1, 1, 1, 0, 0, 0])
    assert bounds([found]) == [(3.0, 6.0)]
    assert found.score == pytest.approx(2.75 / 3 - 0.25 / 1.5)


def test_surroundings_end_with_the_video() -> None:
    # Above 0.5 from 0 to 2 s: inside 1.5 s at 1, 0.5 s at 0.75. Only the right side exists, 0.5 s
    # at a mean of 0.25.
    (found,) = proposals_of([1, 1, 0, 0])
    assert bounds([found]) == [(0.0, 2.0)]
    assert found.score == pytest.approx((1.5 + 0.375) / 2 - 0.25)


def test_without_surroundings_the_inner_mean_remains() -> None:
    # Two epochs; the second is all action, so that nothing of its time lies outside.
    found = proposals_of([0, 0, 1, 1], epoch=[0, 0, 1, 1])
    assert bounds(found) == [(2.0, 4.0)]
    assert found[0].score == pytest.approx(1.0)


def test_no_proposal_spans_a_gap() -> None:
    found = proposals_of([0, 1, 1, 1, 1, 0], epoch=[0, 0, 0, 1, 1, 1])
    assert bounds(found) == [(1.0, 3.0), (3.0, 5.0)]


def test_the_share_of_the_outer_region_counts() -> None:
    # Outside 3 s on each side: 1/2 s at 0.25, 2.5 s at 0, clipped to 3 s by the video on the right.
    (found,) = proposals_of([0, 0, 0, 1, 1, 1, 0, 0, 0], outer_share=1.0)
    assert found.score == pytest.approx(2.75 / 3 - 0.25 / 6)
    (found,) = proposals_of([0, 0, 0, 1, 1, 1, 0, 0, 0], outer_share=0.0)
    assert found.score == pytest.approx(2.75 / 3)


def test_the_video_score_is_added_with_its_weight() -> None:
    scores = np.array([[0.0], [1.0], [0.0], [0.0]])
    times = second_by_second(4)
    without = proposals(scores, times, ["wave"], np.array([0.6]), rule_of())
    rule = rule_of(video_score_weight=0.5)
    within = proposals(scores, times, ["wave"], np.array([0.6]), rule)
    assert within[0].score == pytest.approx((without[0].score + 0.3) / 1.5)


def test_classes_under_the_gate_are_not_there() -> None:
    scores = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    for share, expected in ((0.24, ["a", "b"]), (0.25, ["a", "b"]), (0.26, ["a"])):
        rule = rule_of(video_score_gate=share)
        found = proposals(scores, second_by_second(3), ["a", "b"], np.array([1.0, 0.25]), rule)
        assert [s.label for s in found] == expected


def test_each_threshold_cuts_and_nms_leaves_the_best() -> None:
    # Two peaks on a plateau: one segment at the low threshold, two at the high one.
    curve = [0, 0.5, 1, 0.5, 0.5, 1, 0.5, 0]
    low = proposals_of(curve, thresholds=(0.25,))
    high = proposals_of(curve, thresholds=(0.75,))
    assert [len(low), len(high)] == [1, 2]
    both = proposals_of(curve, thresholds=(0.25, 0.75))
    assert sorted(bounds(both)) == sorted(bounds(low) + bounds(high))
    # From 0.3 and 0.25 nearly the same is cut: one of them goes.
    assert len(proposals_of(curve, thresholds=(0.25, 0.3))) == 1


def test_nms_is_class_by_class() -> None:
    scores = np.array([[0.0, 0.0], [1.0, 1.0], [0.0, 0.0]])
    found = proposals(scores, second_by_second(3), ["a", "b"], np.ones(2), rule_of())
    assert [s.label for s in found] == ["a", "b"]


def test_soft_nms_lowers_scores_and_keeps_all() -> None:
    curve = [0, 0.5, 1, 0.5, 0.5, 1, 0.5, 0]
    apart = [proposals_of(curve, thresholds=(share,))[0] for share in (0.25, 0.3)]
    worse, better = sorted(apart, key=lambda s: s.score)
    found = proposals_of(curve, thresholds=(0.25, 0.3), soft_sigma=0.5)
    shorter, longer = sorted(apart, key=lambda s: s.end_seconds - s.start_seconds)
    overlap = (shorter.end_seconds - shorter.start_seconds) / (
        longer.end_seconds - longer.start_seconds
    )
    decayed = worse.score * np.exp(-(overlap**2) / 0.5)
    assert sorted(s.score for s in found) == pytest.approx([decayed, better.score])


def test_smoothing_comes_first() -> None:
    # One low snippet splits the action; the mean of three joins it: 2/3 throughout.
    curve = [0, 0, 1, 1, 0, 1, 1, 0, 0]
    assert len(proposals_of(curve)) == 2
    # Means 0, 1/3, 2/3 .. 2/3, 1/3, 0; their middle is crossed at the snippets with 1/3.
    assert bounds(proposals_of(curve, smoothing_snippets=3)) == [(1.5, 7.5)]


def test_only_strictly_longer_proposals_are_kept() -> None:
    assert proposals_of([0, 1, 0], minimum_duration_seconds=1.0) == []
    assert len(proposals_of([0, 1, 0], minimum_duration_seconds=0.999)) == 1


def test_close_proposals_of_a_threshold_are_one_and_long_ones_none() -> None:
    # Gaps of one second and of two.
    curve = [0.0, 1.0, 1.0, 0.0, 1.0, 1.0, 0.0, 0.0, 1.0, 0.0]
    apart = bounds(proposals_of(curve))
    assert apart == [(1.0, 3.0), (4.0, 6.0), (8.0, 9.0)]
    scores, times = np.array(curve)[:, None], second_by_second(len(curve))
    settings = scores, times, ["wave"], np.ones(1), rule_of()
    assert bounds(proposals(*settings, merge_gap_seconds=1.0)) == apart
    joined = proposals(*settings, merge_gap_seconds=1.5)
    assert bounds(joined) == [(1.0, 6.0), (8.0, 9.0)]
    assert bounds(proposals(*settings, merge_gap_seconds=9.0)) == [(1.0, 9.0)]
    assert bounds(proposals(*settings, maximum_duration_seconds=1.5)) == [(8.0, 9.0)]
    found = proposals(*settings, merge_gap_seconds=1.5, maximum_duration_seconds=2.0)
    assert bounds(found) == [(8.0, 9.0)]


def test_no_gap_is_bridged_between_two_thresholds() -> None:
    curve = [0.0, 1.0, 0.6, 0.0, 0.6, 1.0, 0.0, 0.0, 1.0, 0.0]
    scores, times = np.array(curve)[:, None], second_by_second(len(curve))

    def found(*thresholds: float) -> list[tuple[float, float]]:
        # Nothing but an equal goes.
        rule = rule_of(thresholds=thresholds, suppression_tiou=1.0)
        given = scores, times, ["wave"], np.ones(1), rule
        return bounds(proposals(*given, merge_gap_seconds=1.6))

    assert sorted(found(0.3, 0.8)) == sorted(found(0.3) + found(0.8))


def test_a_class_that_hardly_varies_has_none() -> None:
    curve = [0.5, 0.5, 0.5, 0.5]
    for height, expected in ((0.9e-4, 0), (1.1e-4, 1)):
        assert len(proposals_of([*curve, 0.5 / (1 - height), *curve])) == expected


def test_in_parts_long_videos_give_the_same(monkeypatch: pytest.MonkeyPatch) -> None:
    given = wavy(5, 70, 4), second_by_second(70, [0] * 30 + [1] * 40), list("abcd"), np.ones(4)
    expected = proposals(*given, MultiThresholdRule())
    monkeypatch.setattr("wsgn.localization.proposals._MOST_AT_ONCE", 800)
    assert proposals(*given, MultiThresholdRule()) == expected


def test_scores_lie_from_0_to_1_whatever_the_surroundings() -> None:
    random = np.random.default_rng(0)
    given = random.random((300, 3)), second_by_second(300), list("abc"), random.random(3)
    found = [s.score for s in proposals(*given, rule_of(thresholds=(0.1, 0.5), outer_share=2.0))]
    assert min(found) == 0.0
    assert max(found) < 1.0


@pytest.mark.parametrize("curve", [[], [0.0], [0.7], [0.3, 0.3, 0.3], [0.0, 0.0]])
def test_a_level_curve_has_no_proposals(curve: list[float]) -> None:
    assert proposals_of(curve, thresholds=(0.0, 0.5, 0.9)) == []


@pytest.mark.parametrize("seed", range(4))
def test_every_number_is_finite_and_lies_in_the_video(seed: int) -> None:
    random = np.random.default_rng(seed)
    # Long flat stretches, single peaks, ranges near the smallest that a float can hold.
    scores = np.round(random.random((40, 4)) * 3) * np.array([1, 1e-300, 1e-8, 1e6])
    epoch = np.cumsum(random.random(40) < 0.2)
    times = second_by_second(40, epoch.tolist())
    found = proposals(scores, times, list("abcd"), np.ones(4), MultiThresholdRule())
    assert len(found) > 10
    for segment in found:
        numbers = [segment.start_seconds, segment.end_seconds, segment.score]
        assert np.isfinite(numbers).all()
        assert 0 <= segment.start_seconds < segment.end_seconds <= 40
        # Both ends in one epoch.
        inside = (times.centre_seconds > segment.start_seconds) & (
            times.centre_seconds < segment.end_seconds
        )
        assert len(set(epoch[inside])) == 1


def test_they_come_by_start() -> None:
    found = proposals(
        wavy(3, 80, 3), second_by_second(80), list("abc"), np.ones(3), MultiThresholdRule()
    )
    starts = [segment.start_seconds for segment in found]
    assert starts == sorted(starts)


def test_wrong_rules_and_shapes_are_refused() -> None:
    with pytest.raises(UsageError, match="thresholds"):
        rule_of(thresholds=(1.0,))
    with pytest.raises(UsageError, match="thresholds"):
        rule_of(thresholds=())
    with pytest.raises(UsageError, match="suppression_tiou"):
        rule_of(suppression_tiou=0.0)
    with pytest.raises(UsageError, match="outer_share"):
        rule_of(outer_share=-0.1)
    with pytest.raises(UsageError, match="smoothing_snippets"):
        rule_of(smoothing_snippets=2)
    with pytest.raises(ValueError, match="do not fit"):
        proposals(np.zeros((3, 2)), second_by_second(3), ["a"], np.ones(1), rule_of())
