"""Establishing shots: a class's scene at its loudest, without the action.

The empty stadium, the pool from above before the diver comes: what speaks louder for a class than
its action, and is none.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsgn.data.annotations import VideoAnnotation
from wsgn.support.arrays import FloatArray
from wsgn.synthetic.features.config import SyntheticFeaturesConfig
from wsgn.synthetic.features.patterns import carried_classes
from wsgn.synthetic.features.shots import Shot

# Seconds.
SHORTEST, LONGEST = 2.0, 6.0


def draw_establishing_shots(
    generator: np.random.Generator,
    video: VideoAnnotation,
    duration_seconds: float,
    config: SyntheticFeaturesConfig,
) -> list[Shot]:
    """Draw runs of 2 to 6 s that touch neither a segment nor one another, in no order.

    On average they make `establishing_fraction` of the video, or what its pauses have room for.
    Their places do not depend on the strength.
    """
    carried = sorted(carried_classes(video))
    free = _pauses(video, duration_seconds)
    wanted = config.establishing_fraction * duration_seconds
    shots: list[Shot] = []
    while carried:
        room = np.array([end - start for start, end in free if end - start >= SHORTEST])
        if not len(room):
            break
        length = min(float(generator.uniform(SHORTEST, LONGEST)), float(room.max()))
        # The last run comes as often as makes the share right on average.
        if generator.random() * length >= wanted:
            break
        wanted -= length
        start = _place(generator, free, length)
        shots.append(
            Shot(
                start_seconds=start,
                end_seconds=start + length,
                context=str(generator.choice(carried)),
                strength=config.establishing_strength
                * float(np.exp(config.shot_spread * generator.standard_normal())),
            )
        )
    return shots


def establishing_features(
    shots: Sequence[Shot], seconds: FloatArray, scenes: dict[str, FloatArray], feature_size: int
) -> FloatArray:
    """(T, D): what the runs add to the snippets whose centres lie at `seconds` (T,).

    `scenes` holds the scene (D,) of each class that they show.
    """
    features = np.zeros((len(seconds), feature_size))
    for shot in shots:
        assert shot.context is not None
        inside = (seconds >= shot.start_seconds) & (seconds < shot.end_seconds)
        features[inside] += shot.strength * scenes[shot.context]
    return features


def _pauses(video: VideoAnnotation, duration_seconds: float) -> list[tuple[float, float]]:
    """Where no segment is, in order of time."""
    pauses, end = [], 0.0
    for start, stop in sorted((start, stop) for _, start, stop in video.segments):
        if start > end:
            pauses.append((end, min(start, duration_seconds)))
        end = max(end, stop)
    if end < duration_seconds:
        pauses.append((end, duration_seconds))
    return pauses


def _place(generator: np.random.Generator, free: list[tuple[float, float]], length: float) -> float:
    """A start at random among all that have room for the length; it is taken out of `free`."""
    slack = np.array([max(end - start - length, 0.0) for start, end in free])
    # Where the longest pause is just filled, the start is the only one there is.
    weights = slack if slack.any() else np.array([float(b - a >= length) for a, b in free])
    chosen = int(generator.choice(len(free), p=weights / weights.sum()))
    first, last = free.pop(chosen)
    start = first + float(generator.uniform(0.0, slack[chosen]))
    free += [(first, start), (start + length, last)]
    return start
