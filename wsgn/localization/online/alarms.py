"""How high a stream must rise before it is believed, from videos that do not show the action."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.localization.online.scorer import CausalScorer, WindowScorer
from wsgn.localization.segments import (
    SnippetTimes,
    epoch_slices,
    highest_thresholds,
    smoothed_scores,
)
from wsgn.manifest import AlarmRule, Manifest
from wsgn.support.arrays import BoolArray, Float32Array, FloatArray

Scorer = CausalScorer | WindowScorer
# Of the mode `window`, in which thresholds are counted beside `causal`, and of live sources.
WINDOW_SECONDS = 120.0
# Thresholds lie so much above a segment that they keep out: engines round otherwise than PyTorch.
_ABOVE = 1e-5


@dataclass(frozen=True, kw_only=True)
class VideoOutputs:
    """An engine's outputs for the T snippets of one video, and what the video shows."""

    times: SnippetTimes
    # (T, C) each.
    selection_logits: Float32Array
    class_probabilities: Float32Array
    # (C,): whether the class happens somewhere in it.
    shows: BoolArray

    @property
    def hours(self) -> float:
        """Without the gaps in it."""
        times = self.times
        seconds = (
            float(times.end_seconds[rows][-1] - times.start_seconds[rows][0])
            for rows in epoch_slices(times.epoch)
        )
        return sum(seconds) / 3600


@dataclass(frozen=True, kw_only=True)
class ClassAlarms:
    """What an alarm threshold does to one class, in videos played one after the other."""

    label: str
    # The engine's own opening threshold, and the one for alarms.
    own_threshold: float
    threshold: float
    # Of videos without it, and segments found there at either threshold.
    hours: float
    own_false_alarms: int
    false_alarms: int
    # Videos that show it, and those in which a segment of it was found at either threshold.
    videos: int
    own_found: int
    found: int


@dataclass(kw_only=True)
class _Counted:
    """Of one class, what `highest_thresholds` says, by mode."""

    hours: float
    # Of all segments in videos without it.
    false: list[list[float]]
    # Of the best segment of each video that shows it.
    true: list[list[float]]


def class_alarms(
    parts: Sequence[tuple[Manifest, Sequence[VideoOutputs]]],
    false_alarms_per_hour: float,
    keep_found: float = 0.0,
) -> list[ClassAlarms]:
    """Alarm thresholds of all classes, each of which may take an equal share of the rate.

    The negatives of a class are the videos without it, played as one quiet stream. What else shows
    it is found or not in a stream of all. Both are scored as in the modes `causal` and `window`,
    and a threshold has to do for either. It is never under the engine's own.

    Args:
        parts: videos with the manifest of what put their outputs out, which may differ in how
            scores follow from them; the rule for segments is that of the engine in all.
        false_alarms_per_hour: of all classes together.
        keep_found: share of the videos in which a class is found at its own threshold, that have to
            stay whatever it costs in false alarms.
    """
    manifest = parts[0][0]
    counted = [_counted(part, videos) for part, videos in parts]
    share = false_alarms_per_hour / len(manifest.classes)
    return [
        _of_class(manifest, column, share, keep_found, [part[column] for part in counted])
        for column in range(len(manifest.classes))
    ]


def _counted(manifest: Manifest, videos: Sequence[VideoOutputs]) -> list[_Counted]:
    columns = range(len(manifest.classes))
    without = [[v for v in videos if not v.shows[column]] for column in columns]
    spread = [_spread(videos, column) for column in columns]
    makers: tuple[Callable[[], Scorer], ...] = (
        lambda: CausalScorer(manifest),
        lambda: WindowScorer(manifest, WINDOW_SECONDS),
    )
    # By mode, class and video.
    false = [highest_of_each(manifest, make, without) for make in makers]
    true = [highest_of_each(manifest, make, spread) for make in makers]
    return [
        _Counted(
            hours=sum(video.hours for video in without[column]),
            false=[_joined(mode[column]) for mode in false],
            true=[
                [
                    max(highest, default=-math.inf)
                    for video, highest in zip(spread[column], mode[column], strict=True)
                    if video.shows[column]
                ]
                for mode in true
            ],
        )
        for column in columns
    ]


def alarm_rule(classes: Sequence[ClassAlarms], false_alarms_per_hour: float) -> AlarmRule:
    """What a manifest says of them."""
    return AlarmRule(
        open_thresholds=tuple(one.threshold for one in classes),
        false_alarms_per_hour=false_alarms_per_hour,
        hours=tuple(one.hours for one in classes),
        false_alarms=tuple(one.false_alarms for one in classes),
    )


def _of_class(
    manifest: Manifest, column: int, share: float, keep_found: float, parts: Sequence[_Counted]
) -> ClassAlarms:
    own = manifest.detection.open_thresholds[column]
    hours = sum(part.hours for part in parts)
    false = [_joined(mode) for mode in zip(*(part.false for part in parts), strict=True)]
    true = [_joined(mode) for mode in zip(*(part.true for part in parts), strict=True)]
    allowed = math.floor(share * hours)
    # Of all false segments no more than the highest so many may come.
    kept_out = [
        levels[allowed]
        for levels in (sorted(mode, reverse=True) for mode in false)
        if len(levels) > allowed
    ]
    threshold = max([own, *(level * (1 + _ABOVE) for level in kept_out if level >= own)])
    for mode in true:
        if needed := math.ceil(keep_found * _above(mode, own)):
            least = sorted(mode, reverse=True)[needed - 1]
            threshold = max(own, min(threshold, least * (1 - _ABOVE)))
    return ClassAlarms(
        label=manifest.classes[column],
        own_threshold=own,
        threshold=threshold,
        hours=hours,
        own_false_alarms=max(_above(mode, own) for mode in false),
        false_alarms=max(_above(mode, threshold) for mode in false),
        videos=len(true[0]),
        own_found=min(_above(mode, own) for mode in true),
        found=min(_above(mode, threshold) for mode in true),
    )


def _above(levels: Sequence[float], threshold: float) -> int:
    return sum(level > threshold for level in levels)


def _joined(parts: Sequence[Sequence[float]]) -> list[float]:
    return [value for part in parts for value in part]


def _spread(videos: Sequence[VideoOutputs], column: int) -> list[VideoOutputs]:
    """Those that show a class evenly among the others, as actions are rare where one waits."""
    placed = []
    for wanted in (True, False):
        group = [video for video in videos if bool(video.shows[column]) == wanted]
        placed += [((index + 0.5) / len(group), video) for index, video in enumerate(group)]
    return [video for _, video in sorted(placed, key=lambda pair: pair[0])]


def highest_of_each(
    manifest: Manifest,
    make_scorer: Callable[[], Scorer],
    orders: Sequence[Sequence[VideoOutputs]],
) -> list[list[list[float]]]:
    """What `highest_thresholds` says of each class's videos, played one after the other.

    Every class has a stream of its own, of the videos that are given for it (C lists): scores of a
    class follow from its own column, so that all streams are scored side by side.
    """
    longest = max(sum(len(v.selection_logits) for v in videos) for videos in orders)
    logits = np.zeros((longest, len(orders)), dtype=np.float32)
    probabilities = np.zeros_like(logits)
    for column, videos in enumerate(orders):
        if videos:
            joined = np.concatenate([v.selection_logits[:, column] for v in videos])
            logits[: len(joined), column] = joined
            joined = np.concatenate([v.class_probabilities[:, column] for v in videos])
            probabilities[: len(joined), column] = joined
    scores = _scored(manifest, make_scorer(), logits, probabilities)
    found: list[list[list[float]]] = []
    for column, videos in enumerate(orders):
        ends = np.cumsum([len(v.selection_logits) for v in videos])
        found.append(
            [
                _highest(manifest, scores[end - len(v.selection_logits) : end, column], v, column)
                for v, end in zip(videos, ends, strict=True)
            ]
        )
    return found


def _scored(
    manifest: Manifest, scorer: Scorer, logits: Float32Array, probabilities: Float32Array
) -> FloatArray:
    """Frame scores (n, C) of streams that come side by side."""
    stride = manifest.sampling.stride_seconds
    scores = np.empty(logits.shape)
    for index, (x, p) in enumerate(zip(logits, probabilities, strict=True)):
        scores[index] = scorer.score(index * stride, x.astype(np.float64), p.astype(np.float64))
    return scores


def _highest(
    manifest: Manifest, scores: FloatArray, video: VideoOutputs, column: int
) -> list[float]:
    rule = manifest.detection
    smooth = smoothed_scores(scores[:, None], video.times.epoch, rule.smoothing_snippets)[:, 0]
    return highest_thresholds(
        smooth,
        video.times,
        close_threshold=rule.close_thresholds[column],
        minimum_duration_seconds=rule.minimum_duration_seconds,
        merge_gap_seconds=rule.merge_gap_seconds,
    )
