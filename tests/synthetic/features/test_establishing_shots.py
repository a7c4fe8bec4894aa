"""Establishing shots: in the pauses, for as long as is said, the scene and nothing else."""

from __future__ import annotations

import numpy as np
import pytest
from synthetic_feature_sets import CLASSES, annotations, changed, video

from wsgn.data.annotations import VideoAnnotation
from wsgn.synthetic.features.config import SyntheticFeaturesConfig, preset
from wsgn.synthetic.features.dataset import patterns_of
from wsgn.synthetic.features.establishing import draw_establishing_shots
from wsgn.synthetic.features.shots import Shot
from wsgn.synthetic.features.video import grid_times, make_features

CONFIG = SyntheticFeaturesConfig(establishing_strength=3.0)
GOLFER = video(
    ("golf", 100.0, 104.0), ("dive", 102.0, 130.0), ("golf", 300.0, 590.0), ("dive", 310.0, 320.0)
)


def drawn(
    seed: int, annotated: VideoAnnotation = GOLFER, config: SyntheticFeaturesConfig = CONFIG
) -> list[Shot]:
    duration = annotated.duration_seconds
    assert duration is not None
    return draw_establishing_shots(np.random.default_rng(seed), annotated, duration, config)


def seconds(shots: list[Shot]) -> float:
    return sum(shot.end_seconds - shot.start_seconds for shot in shots)


def test_they_touch_no_segment_and_not_one_another() -> None:
    for seed in range(50):
        taken = [(start, stop) for _, start, stop in GOLFER.segments]
        for shot in drawn(seed):
            assert 0 <= shot.start_seconds < shot.end_seconds <= 600
            assert 2 <= shot.end_seconds - shot.start_seconds <= 6
            assert all(
                shot.end_seconds <= start or shot.start_seconds >= stop for start, stop in taken
            )
            taken.append((shot.start_seconds, shot.end_seconds))
            assert shot.context in ("dive", "golf")


def test_they_make_the_share_of_the_video_that_is_said() -> None:
    found = [seconds(drawn(seed)) / 600 for seed in range(200)]
    # A video ends within a run of its share: the standard error of 200 is below 0.0005.
    assert np.mean(found) == pytest.approx(0.15, abs=0.002)
    # Also where the share is shorter than a run: 10 s have room for 1.5.
    short = video(("golf", 0.0, 1.0), duration_seconds=10.0)
    found = [seconds(drawn(seed, short)) / 10 for seed in range(2000)]
    assert np.mean(found) == pytest.approx(0.15, abs=0.02)


@pytest.mark.parametrize(
    ("annotated", "most"),
    [
        (video(("golf", 0.0, 700.0)), 0.0),
        # Pauses of 1.9 s have no room for a run, those of 3 s for one or none.
        (video(*(("golf", 10.0 * k, 10.0 * k + 8.1) for k in range(60))), 0.0),
        (video(("golf", 3.0, 7.0), ("golf", 10.0, 600.0)), 6.0),
        # It carries no class.
        (video(), 0.0),
    ],
)
def test_they_take_no_more_than_the_pauses(annotated: VideoAnnotation, most: float) -> None:
    found = [seconds(drawn(seed, annotated)) for seed in range(20)]
    assert max(found) <= most
    assert most == 0 or max(found) > most / 2


def test_the_scene_is_seen_once_more_and_the_rest_stays_as_it_was() -> None:
    settings = {"context_strength": 1.2, "action_strength": 1.7, "noise_std": 0.25}
    without, usual, loud = (
        changed(**settings, establishing_strength=strength) for strength in (0.0, 1.5, 3.0)
    )
    patterns = patterns_of(annotations(GOLFER), usual)
    features = [
        make_features(GOLFER, patterns, config).astype(np.float64)
        for config in (without, usual, loud)
    ]
    added = features[2] - features[0]
    centres = grid_times(600.0, usual.sampling).centre_seconds
    rows = added.any(axis=1)
    assert rows.mean() == pytest.approx(0.15, abs=0.02)
    for _, start, stop in GOLFER.segments:
        assert not rows[(centres >= start) & (centres < stop)].any()
    scenes = {name: patterns.contexts[CLASSES.index(name)] for name in ("dive", "golf")}
    # Rounded to 1/256 twice.
    shown = [
        next(name for name in scenes if row == pytest.approx(3.0 * scenes[name], abs=1 / 256))
        for row in added[rows]
    ]
    assert set(shown) == {"dive", "golf"}
    assert (features[1] - features[0]) * 2 == pytest.approx(added, abs=3 / 256)


def test_strengths_spread_and_grow_with_the_difficulty() -> None:
    shots = [shot for seed in range(100) for shot in drawn(seed)]
    logarithms = np.log([shot.strength for shot in shots])
    assert logarithms.mean() == pytest.approx(np.log(3.0), abs=0.02)
    assert logarithms.std() == pytest.approx(CONFIG.shot_spread, abs=0.02)
    louder = [preset(name).establishing_strength for name in ("easy", "medium", "hard")]
    assert louder == [0.5, 1.5, 3.0]
