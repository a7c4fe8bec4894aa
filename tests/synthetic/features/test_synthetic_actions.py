"""Actions lie where the annotations say, pass through their phases, and are as strong as said."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_feature_sets import CLASSES, SILENT, annotations, changed, video

from wsgn.synthetic.features.actions import draw_strengths, phase_weights, segment_overlap
from wsgn.synthetic.features.config import SyntheticFeaturesConfig
from wsgn.synthetic.features.dataset import patterns_of
from wsgn.synthetic.features.video import grid_times, make_features


def test_overlap_is_the_share_of_the_snippet() -> None:
    # Snippets of 0.64 s at 0, 0.64, 1.28; the segment covers half of the first, all of the second.
    times = grid_times(1.92, SILENT.sampling)
    assert segment_overlap(times, 0.32, 1.28) == pytest.approx([0.5, 1.0, 0.0])
    assert segment_overlap(times, 0.70, 0.86) == pytest.approx([0.0, 0.25, 0.0])


def test_phases_come_in_order_and_add_up_to_one() -> None:
    weights = phase_weights(np.linspace(0, 1, 101), 3, 0.5)
    assert weights.sum(axis=1) == pytest.approx(np.ones(101))
    assert weights.min() >= 0
    assert np.argmax(weights[[0, 50, 100]], axis=1).tolist() == [0, 1, 2]
    # In the middle of the action only the second phase shows, at the border two equally.
    assert weights[50] == pytest.approx([0, 1, 0], abs=0.05)
    at_border = phase_weights(np.array([1 / 3]), 3, 0.5)[0]
    assert at_border == pytest.approx([0.5, 0.5, 0], abs=1e-3)


def test_one_phase_needs_no_passage() -> None:
    assert phase_weights(np.array([0.0, 0.5, 1.0]), 1, 0.5).tolist() == [[1.0], [1.0], [1.0]]


def test_the_mean_over_actions_is_the_class_at_its_strength() -> None:
    segments = [("golf", 10.0 + 20 * k, 18.0 + 20 * k) for k in range(29)]
    annotated = video(*segments)
    config = changed(action_strength=1.7, noise_std=0.25)
    patterns = patterns_of(annotations(annotated), config)
    features = make_features(annotated, patterns, config).astype(np.float64)
    centres = grid_times(600.0, config.sampling).centre_seconds
    phase = (centres - 10) % 20
    golf = patterns.phases[CLASSES.index("golf")]
    for number, pattern in enumerate(golf):
        middle = 8 * (number + 0.5) / len(golf)
        rows = (np.abs(phase - middle) < 0.4) & (centres > 10) & (centres < 590)
        strength = (features[rows].mean(axis=0) - patterns.base) @ pattern
        # 20 or more snippets with noise of 0.25 along the pattern, hardly thinned by its memory.
        assert strength == pytest.approx(1.7, abs=0.25)
    outside = (phase > 9) & (phase < 19)
    nothing = (features[outside].mean(axis=0) - patterns.base) @ golf.T
    assert nothing == pytest.approx(np.zeros(len(golf)), abs=0.1)


def test_an_action_under_two_names_is_a_mixture_of_equal_power() -> None:
    config = changed(action_strength=2.0, min_phases=1, max_phases=1)
    both = video(("dive", 60.0, 120.0), ("golf", 60.0, 120.0))
    patterns = patterns_of(annotations(video(("dive", 0, 1)), video(("golf", 0, 1))), config)
    features = make_features(both, patterns, config).astype(np.float64)
    dive, golf = patterns.phases[0][0], patterns.phases[2][0]
    middle = features[int(90 / 0.64)] - patterns.base
    assert middle == pytest.approx(2.0 * (dive + golf) / np.sqrt(2), abs=0.01)


def test_an_action_looks_a_little_different_in_every_video() -> None:
    config = changed(action_strength=2.0, appearance_variation=0.5)
    one, two = (video(("golf", 5.0, 9.0), name=name) for name in ("a", "b"))
    patterns = patterns_of(annotations(one, two), config)
    features = [make_features(item, patterns, config)[8:13] - patterns.base for item in (one, two)]
    likeness = (features[0] * features[1]).sum() / np.prod([np.linalg.norm(f) for f in features])
    assert 0.6 < likeness < 0.97


def test_the_said_share_of_segments_is_weak() -> None:
    config = SyntheticFeaturesConfig(
        action_strength=2.0, action_spread=0.0, weak_fraction=0.25, weak_amplitude=0.3
    )
    strengths = draw_strengths(np.random.default_rng(0), 4000, config)
    assert set(np.round(strengths, 9)) == {2.0, 0.6}
    # Four standard deviations of the share.
    assert (strengths < 1).mean() == pytest.approx(0.25, abs=4 * np.sqrt(0.25 * 0.75 / 4000))


def test_strengths_spread_as_their_logarithm_is_said_to() -> None:
    config = SyntheticFeaturesConfig(action_strength=2.0, action_spread=0.3, weak_fraction=0.0)
    logarithms = np.log(draw_strengths(np.random.default_rng(1), 4000, config))
    assert logarithms.mean() == pytest.approx(np.log(2.0), abs=0.02)
    assert logarithms.std() == pytest.approx(0.3, abs=0.015)


def test_what_lies_beyond_the_end_of_the_video_is_not_made() -> None:
    config = changed(action_strength=2.0)
    whole = video(("golf", 5.0, 9.0), name="v", duration_seconds=20.0)
    beyond = video(
        ("golf", 5.0, 9.0), ("golf", 30.0, 40.0), ("golf", 20.0, 25.0), duration_seconds=20.0
    )
    patterns = patterns_of(annotations(whole), config)
    found = make_features(beyond, patterns, config)
    assert np.array_equal(found, make_features(whole, patterns, config))
