"""What a user may choose of the detection, and the rules that follow from it and the manifest."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace

import numpy as np

from wsgn.errors import UsageError
from wsgn.localization.online.segmenter import SegmenterRule
from wsgn.localization.segments import video_thresholds
from wsgn.manifest import Manifest
from wsgn.support.arrays import FloatArray
from wsgn.support.terminal import quoted

SCORE_MODES = ("exact", "causal", "window")


@dataclass(frozen=True, kw_only=True)
class DetectorOptions:
    """What a user may choose; None takes the engine's own value."""

    # One of SCORE_MODES (docs/streaming.md).
    scores: str = "exact"
    # Length of the window of that mode, in seconds.
    window_seconds: float = 60.0
    # Report only these classes.
    labels: tuple[str, ...] | None = None
    # One threshold for all classes, or one per label; an opening threshold alone closes too.
    open_threshold: float | Mapping[str, float] | None = None
    close_threshold: float | None = None
    minimum_duration_seconds: float | None = None
    merge_gap_seconds: float | None = None
    maximum_duration_seconds: float | None = None
    # Leave final segments out that score less than this.
    minimum_score: float | None = field(default=None, repr=False)
    # In causal and window mode: segments open at the engine's own thresholds, and not at those that
    # were counted for alarms.
    own_thresholds: bool = field(default=False, repr=False)

    def __post_init__(self) -> None:
        if self.scores not in SCORE_MODES:
            raise UsageError(
                f"scores must be one of {', '.join(SCORE_MODES)}, got '{self.scores}'."
            )
        opening = self.open_threshold
        thresholds = [*opening.values()] if isinstance(opening, Mapping) else [opening]
        for threshold in (*thresholds, self.close_threshold):
            if threshold is not None and not math.isfinite(threshold):
                raise UsageError(f"a threshold must be a finite number, got {threshold}.")
        if not self.window_seconds > 0:
            raise UsageError(f"the window must be longer than 0 s, got {self.window_seconds}.")
        for name in ("minimum_duration_seconds", "merge_gap_seconds", "minimum_score"):
            value = getattr(self, name)
            if value is not None and not (math.isfinite(value) and value >= 0):
                raise UsageError(f"{name} must not be negative, got {value}.")
        longest = self.maximum_duration_seconds
        if longest is not None and not longest > 0:
            raise UsageError(f"maximum_duration_seconds must be positive, got {longest}.")


def check_options(manifest: Manifest, options: DetectorOptions) -> None:
    """Raise the `UsageError` that a detector of this engine would raise, without making one."""
    online_rule(manifest, options)


def online_rule(manifest: Manifest, options: DetectorOptions) -> SegmenterRule:
    """Thresholds of the engine (or the user's), for scores whose future is not known.

    Where an engine was calibrated for alarms, segments that are final at once open at those.
    """
    detection = manifest.detection
    if options.own_thresholds:
        _check_own(manifest, options)
    alarms = None if options.scores == "exact" or options.own_thresholds else detection.alarms
    opening = np.asarray((alarms or detection).open_thresholds)
    closing = np.asarray(detection.close_thresholds)
    rule = _rule(manifest, options, opening, closing)
    if manifest.proposals is not None and options.scores == "exact":
        _check_many(options)
    if (rule.close_thresholds > rule.open_thresholds).any():
        raise UsageError(
            f"the closing threshold {options.close_threshold} lies above an opening threshold "
            f"({rule.open_thresholds.min():g}): choose a lower one."
        )
    return rule


def alarm_words(manifest: Manifest, options: DetectorOptions) -> str | None:
    """A sentence about the alarm thresholds that a stream's segments open at; None without any."""
    alarms, chosen = manifest.detection.alarms, options.open_threshold
    has_other = chosen is not None and not isinstance(chosen, Mapping)
    if alarms is None or options.scores == "exact" or options.own_thresholds or has_other:
        return None
    return (
        "segments open at alarm thresholds, where false ones were to be at most "
        f"{alarms.false_alarms_per_hour:g} an hour: {alarms.measured_per_hour:.1f} were counted, "
        f"in {min(alarms.hours):.2f} to {max(alarms.hours):.2f} hours without each class."
    )


def whole_video_rule(
    manifest: Manifest,
    options: DetectorOptions,
    scores: FloatArray,
    video_scores: FloatArray | None = None,
) -> SegmenterRule:
    """The middle thresholds of one whole video with frame scores (T, C), or the user's.

    `video_scores` (C,) are the mean of `scores` where they are not given.

    They are known only when the video has ended: a closing threshold of the user's that lies above
    one of them is lowered to it.
    """
    middle = video_thresholds(scores, manifest.detection, video_scores)
    rule = _rule(manifest, options, middle, middle)
    closing = np.minimum(rule.close_thresholds, rule.open_thresholds)
    return replace(rule, close_thresholds=closing)


def _rule(
    manifest: Manifest, options: DetectorOptions, opening: FloatArray, closing: FloatArray
) -> SegmenterRule:
    _check_labels(manifest, options)
    if options.open_threshold is not None:
        opening, closing = _override(manifest, options.open_threshold, opening, closing)
    if options.labels is not None:
        wanted = np.array([label in options.labels for label in manifest.classes])
        opening = np.where(wanted, opening, np.inf)
        closing = np.where(wanted, closing, np.inf)
    if options.close_threshold is not None:
        closing = np.where(np.isfinite(opening), options.close_threshold, np.inf)
    shortest = _first(options.minimum_duration_seconds, manifest.detection.minimum_duration_seconds)
    longest = _first(options.maximum_duration_seconds, math.inf)
    if longest <= shortest:
        raise UsageError(
            f"the maximum duration {longest:g} s must lie above the minimum of {shortest:g} s: "
            "nothing could be found."
        )
    return SegmenterRule(
        open_thresholds=opening,
        close_thresholds=closing,
        minimum_duration_seconds=shortest,
        merge_gap_seconds=_first(options.merge_gap_seconds, manifest.detection.merge_gap_seconds),
        maximum_duration_seconds=longest,
    )


def _override(
    manifest: Manifest,
    threshold: float | Mapping[str, float],
    opening: FloatArray,
    closing: FloatArray,
) -> tuple[FloatArray, FloatArray]:
    if not isinstance(threshold, Mapping):
        chosen = np.full(len(opening), float(threshold))
        return chosen, chosen
    chosen = np.array(
        [threshold.get(label, own) for label, own in zip(manifest.classes, opening, strict=True)]
    )
    named = np.array([label in threshold for label in manifest.classes])
    return chosen, np.where(named, chosen, closing)


def _check_own(manifest: Manifest, options: DetectorOptions) -> None:
    chosen = options.open_threshold
    if manifest.detection.alarms is None:
        reason = "the engine has no alarm thresholds"
    elif options.scores == "exact":
        reason = "alarm thresholds are for causal and window scores"
    elif chosen is not None and not isinstance(chosen, Mapping):
        reason = "a threshold of your own takes the place of both"
    else:
        return
    raise UsageError(f"the engine's own thresholds need not be asked for: {reason}.")


def _check_many(options: DetectorOptions) -> None:
    if options.close_threshold is not None and options.open_threshold is None:
        raise UsageError(
            "the engine cuts whole videos at many thresholds, beside which a closing threshold "
            "means nothing: give an opening threshold too, or choose causal scores."
        )


def _check_labels(manifest: Manifest, options: DetectorOptions) -> None:
    named = set(options.labels or ())
    if isinstance(options.open_threshold, Mapping):
        named |= set(options.open_threshold)
    unknown = sorted(named - set(manifest.classes))
    if unknown:
        raise UsageError(
            f"the engine does not know {quoted(unknown)}; its classes are "
            f"{quoted(manifest.classes, most=len(manifest.classes))}."
        )


def _first(chosen: float | None, default: float) -> float:
    return default if chosen is None else chosen
