"""One video: how many snippets, what the camera does, and noise with the memory that is said."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from synthetic_feature_sets import annotations, changed, video

from wsgn.errors import InputError, UsageError
from wsgn.manifest import Sampling
from wsgn.support.arrays import FloatArray
from wsgn.synthetic.features.config import DIFFICULTIES, SyntheticFeaturesConfig, preset
from wsgn.synthetic.features.dataset import patterns_of
from wsgn.synthetic.features.video import make_features, num_snippets

I3D = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)


def synthesize(config: SyntheticFeaturesConfig, **changes: object) -> FloatArray:
    annotated = dataclasses.replace(video(("golf", 10.0, 20.0)), **changes)
    patterns = patterns_of(annotations(annotated), config)
    return make_features(annotated, patterns, config).astype(np.float64)


def resting(config: SyntheticFeaturesConfig) -> FloatArray:
    return patterns_of(annotations(video(("golf", 1, 2))), config).base


@pytest.mark.parametrize(
    ("duration", "sampling", "count"),
    [
        (0.2, I3D, 1),
        (0.64, I3D, 1),
        (1.24, I3D, 1),
        (1.28, I3D, 2),
        (64.0, I3D, 100),
        (1.0, Sampling(frame_rate=30.0, snippet_length=16, snippet_stride=4), 4),
        # 30 frames: snippets from 0, 8 and 16 would need 32.
        (1.2, Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=8), 2),
    ],
)
def test_the_duration_gives_the_number_of_snippets(
    duration: float, sampling: Sampling, count: int
) -> None:
    assert num_snippets(duration, sampling) == count
    assert synthesize(changed(sampling=sampling), duration_seconds=duration).shape == (count, 128)


def test_noise_has_its_deviation_and_its_memory() -> None:
    config = changed(noise_std=0.25, noise_correlation_seconds=1.25)
    noise = synthesize(config, duration_seconds=4000.0, segments=(), labels=()) - resting(config)
    assert noise.std() == pytest.approx(0.25, rel=0.01)
    # The first snippet has no past and the same deviation.
    assert noise[0].std() == pytest.approx(0.25, rel=0.3)
    lag1 = (noise[1:] * noise[:-1]).mean() / noise.var()
    lag3 = (noise[3:] * noise[:-3]).mean() / noise.var()
    # exp(-0.64 / 1.25) for a step of 0.64 s.
    assert lag1 == pytest.approx(0.599, abs=0.01)
    assert lag3 == pytest.approx(0.599**3, abs=0.01)


def test_noise_keeps_its_memory_in_seconds_on_another_grid() -> None:
    sampling = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=4)
    config = changed(noise_std=0.25, sampling=sampling)
    noise = synthesize(config, duration_seconds=1000.0, segments=(), labels=()) - resting(config)
    lag4 = (noise[4:] * noise[:-4]).mean() / noise.var()
    assert lag4 == pytest.approx(0.599, abs=0.015)


def test_every_video_has_its_own_noise() -> None:
    config = changed(noise_std=0.25)
    one, two = (synthesize(config, name=name)[:, 0] for name in ("a", "b"))
    # Some 230 independent values of each, six standard deviations.
    assert abs(np.corrcoef(one, two)[0, 1]) < 0.4


def test_noise_without_memory_is_white() -> None:
    config = changed(noise_std=0.25, noise_correlation_seconds=0.0)
    noise = synthesize(config, segments=(), labels=()) - resting(config)
    assert (noise[1:] * noise[:-1]).mean() / noise.var() == pytest.approx(0.0, abs=0.015)


def test_the_shift_is_constant_in_a_video_and_differs_between_videos() -> None:
    config = changed(shift_std=0.12)
    shifts = [synthesize(config, name=f"v{k}") - resting(config) for k in range(20)]
    assert all((shift == shift[0]).all() for shift in shifts)
    assert np.std([shift[0] for shift in shifts]) == pytest.approx(0.12, rel=0.06)
    assert np.abs(np.corrcoef([shift[0] for shift in shifts])[0, 1:]).max() < 0.4


def test_the_gain_scales_everything_in_a_video() -> None:
    config = changed(gain_spread=0.2)
    ratios = np.array([synthesize(config, name=f"v{k}") / resting(config) for k in range(100)])
    assert ratios.std(axis=(1, 2)).max() < 0.002
    assert np.log(ratios[:, 0, 0]).std() == pytest.approx(0.2, rel=0.25)


def test_features_are_never_negative_and_mostly_above_zero() -> None:
    features = synthesize(SyntheticFeaturesConfig())
    assert features.min() == 0
    assert 0.5 < (features > 0).mean() < 1


def test_the_seed_and_the_name_decide() -> None:
    config = SyntheticFeaturesConfig()
    features = synthesize(config)
    assert np.array_equal(features, synthesize(config))
    assert not np.array_equal(features, synthesize(dataclasses.replace(config, seed=1)))
    assert not np.array_equal(features, synthesize(config, name="w"))
    assert np.array_equal(features, synthesize(config, subset="testing"))


@pytest.mark.parametrize("duration", [None, 0.0, -3.0, float("nan")])
def test_a_video_without_a_duration_is_named(duration: float | None) -> None:
    with pytest.raises(InputError, match=r"video 'v' has the duration .*add its seconds"):
        synthesize(SyntheticFeaturesConfig(), duration_seconds=duration)


def test_the_presets_are_ordered_by_strength_of_action_over_scene() -> None:
    ratios = [preset(name).action_strength / preset(name).context_strength for name in DIFFICULTIES]
    assert DIFFICULTIES == ("easy", "medium", "hard")
    assert ratios == sorted(ratios, reverse=True)
    assert preset("medium") == SyntheticFeaturesConfig()


@pytest.mark.parametrize(
    "wrong",
    [
        {"feature_size": 8},
        {"noise_std": -0.1},
        {"noise_std": float("nan")},
        {"weak_fraction": 1.5},
        {"min_phases": 3, "max_phases": 2},
        {"context_shot_fraction": 0.8, "distractor_shot_fraction": 0.3},
        {"mean_shot_seconds": 0.0},
        {"active_fraction": 0.0},
        {"num_distractors": 0},
        {"seed": -1},
    ],
)
def test_a_configuration_that_makes_no_sense_is_refused(wrong: dict[str, float]) -> None:
    with pytest.raises(UsageError):
        changed(**wrong)


def test_an_unknown_difficulty_is_refused_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="easy, medium, hard"):
        preset("brutal")
