"""The patterns that features are made of: directions of length 1 for actions, scenes, distractors.

Patterns are not negative and sparse, as channels behind a ReLU are.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.support.arrays import FloatArray
from wsgn.synthetic.features.config import SyntheticFeaturesConfig
from wsgn.synthetic.features.randomness import named_generator


@dataclass(frozen=True, kw_only=True)
class Patterns:
    """What a set of synthetic features shares; rows have length 1."""

    classes: tuple[str, ...]
    # One (P, D) for each class: its phases in order of time.
    phases: tuple[FloatArray, ...]
    # (C, D): the scene in which each class takes place.
    contexts: FloatArray
    # (K, D): what unrelated shots show.
    distractors: FloatArray
    # (D,): resting level of each channel.
    base: FloatArray


def draw_patterns(
    classes: Sequence[str], relations: FloatArray, config: SyntheticFeaturesConfig
) -> Patterns:
    """Draw all patterns; `relations` (C, C) says how related classes are, with 1 to themselves.

    A class's patterns depend on its name and on the classes to which it is related only.
    """
    phase_families = _families("action family", classes, relations, config)  # (C, D)
    scene_families = _families("scene family", classes, relations, config)  # (C, D)
    phases = [
        _with_part(_own_phases(name, config), family, config.family_share)
        for name, family in zip(classes, phase_families, strict=True)
    ]
    scenes = np.stack([_draw(("scene", name), 1, config)[0] for name in classes])
    generator = named_generator(config.seed, "base")
    return Patterns(
        classes=tuple(classes),
        phases=tuple(phases),
        contexts=_with_part(scenes, scene_families, config.family_share),
        distractors=_draw(("distractors",), config.num_distractors, config),
        base=config.base_level * generator.uniform(0.5, 1.5, config.feature_size),
    )


def of_video(
    patterns: FloatArray, names: tuple[str, ...], config: SyntheticFeaturesConfig
) -> FloatArray:
    """The patterns (P, D) as one video shows them: with a part that is particular to it.

    `names` name the video and what the patterns stand for; all P share the particular part.
    """
    own = _draw(names, 1, config)[0]
    return _with_part(patterns, own, config.appearance_variation)


def carried_classes(video: VideoAnnotation) -> frozenset[str]:
    """The classes that a video shows: those of its labels and of its segments."""
    return frozenset(video.labels) | {label for label, _, _ in video.segments}


def class_relations(annotations: Annotations) -> FloatArray:
    """(C, C): videos that carry both classes over videos that carry either; 1 on the diagonal."""
    videos = [carried_classes(video) for video in annotations.videos]
    carried = np.array([[name in video for name in annotations.classes] for video in videos])
    both = carried.T.astype(np.float64) @ carried  # (C, C)
    count = np.diagonal(both)
    either = count[:, None] + count[None, :] - both
    relations: FloatArray = both / np.maximum(either, 1)
    np.fill_diagonal(relations, 1.0)
    return relations


def _families(
    kind: str, classes: Sequence[str], relations: FloatArray, config: SyntheticFeaturesConfig
) -> FloatArray:
    """(C, D): what each class has in common with related ones, itself included."""
    own = np.stack([_draw((kind, name), 1, config)[0] for name in classes])
    return _unit(relations @ own)


def _own_phases(name: str, config: SyntheticFeaturesConfig) -> FloatArray:
    generator = named_generator(config.seed, "number of phases", name)
    count = int(generator.integers(config.min_phases, config.max_phases + 1))
    return _draw(("phases", name), count, config)


def _with_part(own: FloatArray, part: FloatArray, length: float) -> FloatArray:
    """Unit rows made of `own` and of `part`, whose lengths are sqrt(1 - length^2) and `length`."""
    return _unit(np.sqrt(1 - length**2) * own + length * part)


def _draw(names: tuple[str, ...], count: int, config: SyntheticFeaturesConfig) -> FloatArray:
    """(count, D): sparse patterns with exponentially distributed channels."""
    generator = named_generator(config.seed, "pattern", *names)
    size = config.feature_size
    active = max(1, round(config.active_fraction * size))
    patterns = np.zeros((count, size))
    for pattern in patterns:
        pattern[generator.permutation(size)[:active]] = generator.exponential(1.0, active)
    return _unit(patterns)


def _unit(rows: FloatArray) -> FloatArray:
    unit: FloatArray = rows / np.linalg.norm(rows, axis=-1, keepdims=True)
    return unit
