"""The shots of a video, and whether each shows the scene of a class or something unrelated."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.data.annotations import VideoAnnotation
from wsgn.support.arrays import FloatArray
from wsgn.synthetic.features.config import SyntheticFeaturesConfig
from wsgn.synthetic.features.patterns import carried_classes


@dataclass(frozen=True, kw_only=True)
class Shot:
    """What is seen between two cuts."""

    start_seconds: float
    end_seconds: float
    # The class whose scene is shown, or else the number of a distractor; None where it is neither.
    context: str | None = None
    distractor: int | None = None
    # Strength of the scene or the distractor.
    strength: float = 0.0


def draw_shots(
    generator: np.random.Generator,
    video: VideoAnnotation,
    duration_seconds: float,
    classes: Sequence[str],
    config: SyntheticFeaturesConfig,
) -> list[Shot]:
    """Draw the shots of a video from its start to its end.

    A shot that overlaps a segment shows the scene of that segment's class. Of the others, some
    show the scene of a class that the video carries, some a distractor, some neither, and in stray
    videos some show the scene of one class that the video lacks.
    """
    carried = sorted(carried_classes(video))
    absent = sorted(set(classes) - set(carried))
    is_stray = bool(absent) and generator.random() < config.stray_video_fraction
    stray = str(generator.choice(absent)) if is_stray else None
    # One draw for the whole video: how much of the scene its camera shows.
    video_strength = config.context_strength * _spread(generator, config.context_spread)
    cuts = _draw_cuts(generator, duration_seconds, config.mean_shot_seconds)
    shots = []
    for start, end in itertools.pairwise(cuts):
        acted = [label for label, begin, stop in video.segments if begin < end and stop > start]
        context = _draw_context(generator, acted, carried, stray, config)
        distractor = None if context else _draw_distractor(generator, config)
        strength = video_strength if context else config.distractor_strength
        shown = context is not None or distractor is not None
        factor = _spread(generator, config.shot_spread)
        shots.append(
            Shot(
                start_seconds=start,
                end_seconds=end,
                context=context,
                distractor=distractor,
                strength=strength * factor if shown else 0.0,
            )
        )
    return shots


def shot_features(
    shots: Sequence[Shot],
    seconds: FloatArray,
    contexts: dict[str, FloatArray],
    distractors: FloatArray,
) -> FloatArray:
    """(T, D): what the shots add to the snippets whose centres lie at `seconds` (T,).

    `contexts` holds the scene (D,) of each class that the shots show, `distractors` is (K, D).
    """
    nothing = np.zeros(distractors.shape[1])
    rows = []
    for shot in shots:
        pattern = nothing
        if shot.context is not None:
            pattern = contexts[shot.context]
        elif shot.distractor is not None:
            pattern = distractors[shot.distractor]
        rows.append(shot.strength * pattern)
    starts = np.array([shot.start_seconds for shot in shots])
    features: FloatArray = np.stack(rows)[np.searchsorted(starts, seconds, side="right") - 1]
    return features


def _draw_context(
    generator: np.random.Generator,
    acted: Sequence[str],
    carried: Sequence[str],
    stray: str | None,
    config: SyntheticFeaturesConfig,
) -> str | None:
    stray_draw, draw = generator.random(2)
    if acted:
        return str(generator.choice(acted))
    if stray is not None and stray_draw < config.stray_shot_fraction:
        return stray
    if carried and draw < config.context_shot_fraction:
        return str(generator.choice(carried))
    return None


def _draw_distractor(generator: np.random.Generator, config: SyntheticFeaturesConfig) -> int | None:
    """A distractor at the rate that makes its share of all shots without action."""
    left = 1 - config.context_shot_fraction
    if generator.random() * left >= config.distractor_shot_fraction:
        return None
    return int(generator.integers(config.num_distractors))


def _draw_cuts(
    generator: np.random.Generator, duration_seconds: float, mean_seconds: float
) -> list[float]:
    """Start, cuts and end of a video, in seconds; lengths of shots are Gamma distributed."""
    cuts = [0.0]
    while True:
        cuts.append(cuts[-1] + float(generator.gamma(2.0, mean_seconds / 2)))
        if cuts[-1] >= duration_seconds:
            return [*cuts[:-1], duration_seconds]


def _spread(generator: np.random.Generator, spread: float) -> float:
    return float(np.exp(spread * generator.standard_normal()))
