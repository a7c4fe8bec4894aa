"""How segments follow from frame scores.

Of these rules the paper has one: segments are longer than 1 s. It says that a threshold cuts them,
not which one.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from wsgn.errors import UsageError
from wsgn.manifest.bounds import (
    MOST_THRESHOLDS,
    require,
    require_not_negative,
    require_numbers,
    require_smoothing,
)


@dataclass(frozen=True, kw_only=True)
class AlarmRule:
    """Opening thresholds for streams that go on for ever, at which few segments are false.

    Segments close as without them: at the closing thresholds of the `DetectionRule`.
    """

    # Per class, not under its opening threshold without alarms.
    open_thresholds: tuple[float, ...]
    # What was asked for, of all classes together.
    false_alarms_per_hour: float
    # Per class: hours of videos without it that were played, and segments that were found there.
    hours: tuple[float, ...]
    false_alarms: tuple[int, ...]

    def __post_init__(self) -> None:
        require_numbers(self)
        require_not_negative(self, "false_alarms_per_hour")
        require(
            all(value >= 0 for value in (*self.hours, *self.false_alarms)),
            "hours and false_alarms must not be negative.",
        )

    @property
    def measured_per_hour(self) -> float:
        """False alarms of all classes together in the videos that were played."""
        pairs = zip(self.false_alarms, self.hours, strict=True)
        return sum(count / hours for count, hours in pairs if hours > 0)


@dataclass(frozen=True, kw_only=True)
class DetectionRule:
    """How segments follow from frame scores."""

    # Per class: while a video plays, a segment opens above the first and closes at or below the
    # second; a whole video has thresholds of its own.
    open_thresholds: tuple[float, ...]
    close_thresholds: tuple[float, ...]
    # Frame scores are averaged over this many neighbouring snippets (odd) before they meet a
    # threshold; 1 leaves them alone (the paper smooths nothing).
    smoothing_snippets: int = 1
    # A class must also reach this share of the video's largest video score (as in STPN's code).
    video_score_gate: float = 0.1
    # Whole videos: its score must somewhere reach this share of the class's opening threshold, or
    # the class is not there; 0 leaves this out.
    peak_gate: float = 0.75
    # Only strictly longer segments are kept (paper: 1 s).
    minimum_duration_seconds: float = 1.0
    # How long the score must stay low before a segment ends.
    merge_gap_seconds: float = 0.0
    # Weight of the video score in a segment's score (0.2 as in BaS-Net's code).
    video_score_weight: float = 0.2
    # Of streams in the modes causal and window, where the engine was calibrated for them.
    alarms: AlarmRule | None = None

    def __post_init__(self) -> None:
        require_numbers(self)
        require(
            self.alarms is None
            or all(
                alarm >= opening
                for alarm, opening in zip(
                    self.alarms.open_thresholds, self.open_thresholds, strict=False
                )
            ),
            "no open_threshold of alarms may lie under that of detection.",
        )
        require(
            all(
                close <= opening
                for close, opening in zip(self.close_thresholds, self.open_thresholds, strict=False)
            ),
            "no close_threshold may lie above its open_threshold.",
        )
        require_not_negative(
            self,
            "minimum_duration_seconds",
            "merge_gap_seconds",
            "peak_gate",
            "video_score_gate",
            "video_score_weight",
        )
        require_smoothing(self.smoothing_snippets)


@dataclass(frozen=True, kw_only=True)
class MultiThresholdRule:
    """How proposals follow from frame scores; checkpoints store these names."""

    # Shares of the range between the smallest and the largest score of a class in the video.
    thresholds: tuple[float, ...] = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8, 0.9)
    # Share of a proposal's length that its surroundings reach on either side (AutoLoc: 0.25).
    outer_share: float = 0.25
    # A proposal goes when its tIoU with a better one of its class is this or more.
    suppression_tiou: float = 0.5
    # Soft-NMS with this sigma instead: scores fall with overlap and no proposal goes. 0 is hard.
    soft_sigma: float = 0.0
    # Only strictly longer proposals are kept.
    minimum_duration_seconds: float = 0.0
    # A class must reach this share of the video's largest video score.
    video_score_gate: float = 0.1
    # Weight of the video score in a proposal's score (BaS-Net: 0.2).
    video_score_weight: float = 0.2
    # Frame scores are averaged over this many neighbouring snippets (odd); 1 leaves them alone.
    smoothing_snippets: int = 1

    def __post_init__(self) -> None:
        if not self.thresholds or not all(0 <= share < 1 for share in self.thresholds):
            raise UsageError(
                f"thresholds must be one or more shares in [0, 1), got {list(self.thresholds)}."
            )
        if not 0 < self.suppression_tiou <= 1:
            raise UsageError(f"suppression_tiou must lie in (0, 1], got {self.suppression_tiou}.")
        for name in (
            "outer_share",
            "soft_sigma",
            "minimum_duration_seconds",
            "video_score_gate",
            "video_score_weight",
        ):
            value = getattr(self, name)
            if not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name} must not be negative, got {value}.")
        require(
            len(self.thresholds) <= MOST_THRESHOLDS,
            f"at most {MOST_THRESHOLDS} thresholds are tried, got {len(self.thresholds)}.",
        )
        require_numbers(self)
        require_smoothing(self.smoothing_snippets)
