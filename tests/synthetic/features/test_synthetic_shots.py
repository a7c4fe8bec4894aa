"""Shots: scenes around actions and without them, distractors, and scenes of absent classes."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_feature_sets import CLASSES, annotations, changed, video

from wsgn.synthetic.features.config import SyntheticFeaturesConfig
from wsgn.synthetic.features.dataset import patterns_of
from wsgn.synthetic.features.shots import Shot, draw_shots
from wsgn.synthetic.features.video import grid_times, make_features

CONFIG = SyntheticFeaturesConfig(stray_video_fraction=0.0)
GOLFER = video(("golf", 100.0, 104.0), ("golf", 300.0, 302.0))


def drawn(seed: int, config: SyntheticFeaturesConfig = CONFIG) -> list[Shot]:
    return draw_shots(np.random.default_rng(seed), GOLFER, 600.0, CLASSES, config)


def shares(config: SyntheticFeaturesConfig, count: int = 200) -> dict[str, float]:
    """What the shots without action show, as shares of their number."""
    shots = [shot for seed in range(count) for shot in drawn(seed, config) if not acted(shot)]
    kinds = [
        shot.context or ("distractor" if shot.distractor is not None else "-") for shot in shots
    ]
    return {kind: kinds.count(kind) / len(kinds) for kind in set(kinds)}


def acted(shot: Shot) -> bool:
    return any(
        start < shot.end_seconds and end > shot.start_seconds for _, start, end in GOLFER.segments
    )


@pytest.mark.parametrize("seed", range(10))
def test_shots_lie_behind_each_other_from_start_to_end(seed: int) -> None:
    shots = drawn(seed)
    assert (shots[0].start_seconds, shots[-1].end_seconds) == (0.0, 600.0)
    ends = [shot.end_seconds for shot in shots[:-1]]
    assert [shot.start_seconds for shot in shots[1:]] == ends
    assert all(shot.start_seconds < shot.end_seconds for shot in shots)


def test_shots_have_the_mean_length_that_is_said() -> None:
    count = np.mean([len(drawn(seed)) for seed in range(200)])
    # A renewal process with Gamma(2) lengths has T / mean - 1 / 4 cuts on average, one more shot.
    assert count == pytest.approx(600 / 10 - 0.25 + 1, rel=0.03)


def test_an_action_is_always_in_its_scene() -> None:
    shots = [shot for seed in range(50) for shot in drawn(seed) if acted(shot)]
    assert len(shots) >= 100
    assert {shot.context for shot in shots} == {"golf"}


def test_the_scene_goes_on_without_the_action_as_often_as_said() -> None:
    found = shares(CONFIG)
    assert set(found) == {"golf", "distractor", "-"}
    assert found["golf"] == pytest.approx(0.6, abs=0.02)
    assert found["distractor"] == pytest.approx(0.25, abs=0.02)


def test_stray_videos_show_the_scene_of_one_class_that_they_lack() -> None:
    config = dataclasses.replace(CONFIG, stray_video_fraction=1.0)
    for seed in range(20):
        strays = {shot.context for shot in drawn(seed, config)} - {"golf", None}
        assert len(strays) == 1
    found = shares(config)
    assert found["dive"] + found["cliff"] == pytest.approx(0.4, abs=0.02)
    # Of the other shots, 60 % show the video's own scene.
    assert found["golf"] == pytest.approx(0.6 * 0.6, abs=0.02)
    kept = [len({s.context for s in drawn(k)} - {None}) for k in range(20)]
    assert kept == [1] * 20


def test_scenes_are_as_strong_as_said_with_one_draw_for_a_video() -> None:
    config = dataclasses.replace(
        CONFIG, context_strength=1.5, context_spread=0.3, shot_spread=0.0, distractor_strength=0.7
    )
    videos = [drawn(seed, config) for seed in range(400)]
    scenes = [{shot.strength for shot in shots if shot.context} for shots in videos]
    assert {len(strengths) for strengths in scenes} == {1}
    logarithms = np.log([strengths.pop() for strengths in scenes])
    # Four standard errors of 400 draws.
    assert logarithms.mean() == pytest.approx(np.log(1.5), abs=0.06)
    assert logarithms.std() == pytest.approx(0.3, abs=0.045)
    rest = {
        (shot.distractor is None, shot.strength)
        for shots in videos
        for shot in shots
        if not shot.context
    }
    assert rest == {(True, 0.0), (False, 0.7)}


def test_a_video_without_classes_has_distractors_and_nothing_else() -> None:
    shots = draw_shots(np.random.default_rng(0), video(), 600.0, CLASSES, CONFIG)
    assert {shot.context for shot in shots} == {None}
    assert len({shot.distractor for shot in shots}) > 5


def test_the_scene_is_in_the_features_outside_of_the_segments() -> None:
    config = changed(context_strength=1.2, noise_std=0.25)
    videos = [dataclasses.replace(GOLFER, name=f"golf {k}") for k in range(6)] + [
        video(("dive", 100.0, 104.0), name=f"dive {k}") for k in range(6)
    ]
    patterns = patterns_of(annotations(*videos), config)
    centres = grid_times(600.0, config.sampling).centre_seconds
    # Shots with the action, which are longer than the mean, are left out.
    away = (centres < 40) | (centres > 360) | ((centres > 160) & (centres < 240))
    pattern = patterns.contexts[CLASSES.index("golf")]
    other = patterns.contexts[CLASSES.index("dive")]
    strengths = [
        float(((make_features(item, patterns, config)[away] - patterns.base) @ pattern).mean())
        for item in videos
    ]
    # The scene shows in 60 % of the shots at a strength of 1.2; what dives show overlaps with it
    # by the product of the two patterns.
    assert np.mean(strengths[:6]) == pytest.approx(0.6 * 1.2, abs=0.12)
    assert np.mean(strengths[6:]) == pytest.approx(0.6 * 1.2 * pattern @ other, abs=0.12)


def test_features_jump_at_cuts_only() -> None:
    config = changed(context_strength=2.0, distractor_strength=2.0)
    annotated = video(labels=("golf",))
    features = make_features(annotated, patterns_of(annotations(annotated), config), config)
    jumps = (np.diff(features.astype(np.float64), axis=0) != 0).any(axis=1).sum()
    # 60 shots on average, of which neighbours may show the same.
    assert 20 < jumps < 80
