"""What synthetic features look like, and how hard they are."""

from __future__ import annotations

import dataclasses
import math
from dataclasses import dataclass, field
from typing import Any

from wsgn.errors import UsageError
from wsgn.manifest import Sampling

_MIN_FEATURE_SIZE = 16

_FRACTIONS = (
    "active_fraction",
    "family_share",
    "appearance_variation",
    "weak_fraction",
    "weak_amplitude",
    "context_shot_fraction",
    "distractor_shot_fraction",
    "stray_video_fraction",
    "stray_shot_fraction",
    "establishing_fraction",
)


def _i3d_sampling() -> Sampling:
    return Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)


@dataclass(frozen=True, kw_only=True)
class SyntheticFeaturesConfig:
    """A whole set of synthetic features; the defaults are the difficulty `medium`.

    Strengths are lengths of vectors: a pattern has length 1, so a strength divided by `noise_std`
    is the signal-to-noise ratio along that pattern, whatever the feature size.
    """

    # Channels of a feature vector, D.
    feature_size: int = 128
    # Everything is drawn from this number.
    seed: int = 0
    # The time base; that of the published I3D features.
    sampling: Sampling = field(default_factory=_i3d_sampling)

    # Mean resting level of a channel; features are never negative.
    base_level: float = 0.5
    # Share of the channels in which a pattern is not 0.
    active_fraction: float = 0.15

    # Phases of an action, drawn for each class.
    min_phases: int = 2
    max_phases: int = 4
    # Width of the passage from one phase to the next, in lengths of a phase.
    phase_blend: float = 0.5
    # Length of the part of a pattern that its class shares with related classes.
    family_share: float = 0.6
    # Length of the part of a pattern that is particular to a video.
    appearance_variation: float = 0.45

    # Median strength of an action, and the spread of its logarithm over segments.
    action_strength: float = 1.7
    action_spread: float = 0.25
    # Share of the segments that are weak, and what is left of their strength.
    weak_fraction: float = 0.15
    weak_amplitude: float = 0.4

    # Median strength of the scene around an action, and the spread of its logarithm over videos.
    context_strength: float = 1.2
    context_spread: float = 0.3
    # Share of the shots without action that show the scene, or something unrelated; the others
    # show neither.
    context_shot_fraction: float = 0.6
    distractor_shot_fraction: float = 0.25
    # Share of the videos with the scene of a class that they lack, and of their shots without
    # action that show it.
    stray_video_fraction: float = 0.15
    stray_shot_fraction: float = 0.4
    # Median strength of distractors, and the number of different ones.
    distractor_strength: float = 1.0
    num_distractors: int = 24
    # Mean length of a shot in seconds, and the spread of the logarithm of its scene's strength.
    mean_shot_seconds: float = 10.0
    shot_spread: float = 0.2

    # Share of a video in establishing shots (runs of 2 to 6 s without an action in which the scene
    # of a class that it carries is seen once more), and their median strength; 0 leaves them out.
    establishing_fraction: float = 0.15
    establishing_strength: float = 1.5

    # Standard deviation over videos of a channel's offset, and of the logarithm of the gain.
    shift_std: float = 0.12
    gain_spread: float = 0.1
    # Standard deviation of a channel's noise, and the time in which its autocorrelation falls to
    # 1/e, in seconds.
    noise_std: float = 0.25
    noise_correlation_seconds: float = 1.25

    def __post_init__(self) -> None:
        self._check_numbers()
        if self.feature_size < _MIN_FEATURE_SIZE:
            raise UsageError(
                f"The feature size is {self.feature_size}; use {_MIN_FEATURE_SIZE} or more."
            )
        if not 1 <= self.min_phases <= self.max_phases:
            raise UsageError(
                f"Actions have {self.min_phases} to {self.max_phases} phases; "
                "give two positive numbers, the smaller first."
            )
        if self.num_distractors < 1:
            raise UsageError(f"The number of distractors is {self.num_distractors}; use 1 or more.")
        if self.active_fraction == 0 or min(self.phase_blend, self.mean_shot_seconds) <= 0:
            raise UsageError(
                "One of active_fraction, phase_blend and mean_shot_seconds is 0; use more."
            )
        if self.context_shot_fraction + self.distractor_shot_fraction > 1:
            raise UsageError(
                f"The shots with scene ({self.context_shot_fraction}) and with distractors "
                f"({self.distractor_shot_fraction}) are more than all; lower one of them."
            )

    def _check_numbers(self) -> None:
        for entry in dataclasses.fields(self):
            value = getattr(self, entry.name)
            if isinstance(value, Sampling):
                continue
            if not math.isfinite(value) or value < 0:
                raise UsageError(f"{entry.name} is {value}; use a number that is not negative.")
            if entry.name in _FRACTIONS and value > 1:
                raise UsageError(f"{entry.name} is {value}; use a number from 0 to 1.")


# What each difficulty changes; medium is the dataclass itself. Easy: an action is far stronger than
# its scene and looks much the same everywhere. Medium: an establishing shot is about as loud as an
# action in its scene. Hard: it is louder, the scene is stronger than the action, a quarter of the
# actions is weak, and related classes differ less.
_CHANGES: dict[str, dict[str, Any]] = {
    "easy": {
        "action_strength": 2.2,
        "weak_fraction": 0.05,
        "context_strength": 0.8,
        "establishing_strength": 0.5,
        "appearance_variation": 0.3,
        "family_share": 0.5,
    },
    "medium": {},
    "hard": {
        "action_strength": 1.3,
        "weak_fraction": 0.25,
        "context_strength": 1.6,
        "establishing_strength": 3.0,
        "appearance_variation": 0.5,
        "family_share": 0.7,
    },
}

DIFFICULTIES = tuple(_CHANGES)


def preset(difficulty: str) -> SyntheticFeaturesConfig:
    """The configuration of a difficulty: `easy`, `medium` or `hard`."""
    if difficulty not in _CHANGES:
        raise UsageError(
            f"The difficulty {difficulty!r} is unknown; choose from {', '.join(DIFFICULTIES)}."
        )
    return dataclasses.replace(SyntheticFeaturesConfig(), **_CHANGES[difficulty])
