"""The features of one video: actions, shots, the camera and noise, on the time base of snippets."""

from __future__ import annotations

import math

import numpy as np
import numpy.typing as npt

from wsgn.data.annotations import VideoAnnotation
from wsgn.errors import InputError
from wsgn.localization.segments import SnippetTimes
from wsgn.localization.timing import snippet_times
from wsgn.manifest import Sampling
from wsgn.support.arrays import FloatArray
from wsgn.synthetic.features.actions import action_features, draw_strengths
from wsgn.synthetic.features.config import SyntheticFeaturesConfig
from wsgn.synthetic.features.establishing import draw_establishing_shots, establishing_features
from wsgn.synthetic.features.patterns import Patterns, of_video
from wsgn.synthetic.features.randomness import named_generator
from wsgn.synthetic.features.shots import Shot, draw_shots, shot_features

# Features are multiples of this. Sums of another order, as another machine's, then give the same
# bits, and float16 holds all values below 8 exactly; the noise is far larger.
GRID = 1 / 256


def make_features(
    video: VideoAnnotation, patterns: Patterns, config: SyntheticFeaturesConfig
) -> npt.NDArray[np.float16]:
    """The features (T, D) of a video: max(0, gain * (base + actions + shots + shift + noise)).

    They depend on the seed, the video's name and its annotation only. Raises `InputError` for a
    video without a duration.
    """
    duration = known_duration(video)
    times = grid_times(duration, config.sampling)
    shift, gain = draw_camera(video.name, config)
    signal = (
        patterns.base
        + _actions(video, times, patterns, config)
        + _shots(video, duration, times, patterns, config)
        + shift
        + draw_noise(
            named_generator(config.seed, "noise", video.name), len(times.start_seconds), config
        )
    )  # (T, D)
    features = np.maximum(gain * signal, 0.0)
    return np.asarray(np.round(features / GRID) * GRID, dtype=np.float16)


def known_duration(video: VideoAnnotation) -> float:
    """The duration in seconds; an `InputError` if the annotation lacks one."""
    duration = video.duration_seconds
    if duration is None or not math.isfinite(duration) or duration <= 0:
        raise InputError(
            f"video '{video.name}' has the duration {duration}, and features need a positive one: "
            "add its seconds to the annotations, or leave the video out of them."
        )
    return duration


def num_snippets(duration_seconds: float, sampling: Sampling) -> int:
    """T = floor((F - length) / stride) + 1 with F = round(duration * rate) frames; at least 1."""
    frames = round(duration_seconds * sampling.frame_rate)
    return max(1, (frames - sampling.snippet_length) // sampling.snippet_stride + 1)


def grid_times(duration_seconds: float, sampling: Sampling) -> SnippetTimes:
    """Where the T snippets of a video lie."""
    count = num_snippets(duration_seconds, sampling)
    starts = sampling.start_seconds(np.arange(count))
    return snippet_times(starts, np.zeros(count, dtype=np.int64), sampling)


def draw_camera(name: str, config: SyntheticFeaturesConfig) -> tuple[FloatArray, float]:
    """What a video's camera and light do to all of it: an offset (D,) and a gain."""
    generator = named_generator(config.seed, "camera", name)
    shift = config.shift_std * generator.standard_normal(config.feature_size)
    gain = math.exp(config.gain_spread * generator.standard_normal())
    return shift, gain


def noise_coefficient(config: SyntheticFeaturesConfig) -> float:
    """Correlation of a channel's noise between consecutive snippets."""
    if config.noise_correlation_seconds == 0:
        return 0.0
    return math.exp(-config.sampling.stride_seconds / config.noise_correlation_seconds)


def draw_noise(
    generator: np.random.Generator, count: int, config: SyntheticFeaturesConfig
) -> FloatArray:
    """(count, D): n_t = a n_(t-1) + sqrt(1 - a^2) e_t, of the same deviation at all times."""
    coefficient = noise_coefficient(config)
    noise = generator.standard_normal((count, config.feature_size))
    noise[1:] *= math.sqrt(1 - coefficient**2)
    for now in range(1, count):
        noise[now] += coefficient * noise[now - 1]
    noise *= config.noise_std
    return noise


def _actions(
    video: VideoAnnotation,
    times: SnippetTimes,
    patterns: Patterns,
    config: SyntheticFeaturesConfig,
) -> FloatArray:
    shown = {
        label: of_video(
            patterns.phases[patterns.classes.index(label)], ("action", label, video.name), config
        )
        for label, _, _ in video.segments
    }
    generator = named_generator(config.seed, "strengths", video.name)
    return action_features(
        times,
        [(start, end) for _, start, end in video.segments],
        draw_strengths(generator, len(video.segments), config),
        [shown[label] for label, _, _ in video.segments],
        config,
    )


def _shots(
    video: VideoAnnotation,
    duration: float,
    times: SnippetTimes,
    patterns: Patterns,
    config: SyntheticFeaturesConfig,
) -> FloatArray:
    shots = draw_shots(
        named_generator(config.seed, "shots", video.name),
        video, duration, patterns.classes, config,
    )  # fmt: skip
    establishing: list[Shot] = []
    if config.establishing_strength:
        generator = named_generator(config.seed, "establishing shots", video.name)
        establishing = draw_establishing_shots(generator, video, duration, config)
    scenes = {
        name: of_video(
            patterns.contexts[patterns.classes.index(name)], ("scene", name, video.name), config
        )
        for name in {shot.context for shot in [*shots, *establishing]}
        if name is not None
    }
    usual = shot_features(shots, times.centre_seconds, scenes, patterns.distractors)
    loud = establishing_features(establishing, times.centre_seconds, scenes, config.feature_size)
    return usual + loud
