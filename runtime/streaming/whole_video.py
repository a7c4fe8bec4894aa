"""The segments of a whole stream in exact mode, by the engine's rule and what the user chose."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Protocol

import numpy as np

from wsgn.localization.proposals import proposals
from wsgn.localization.scoring import bounded, frame_scores, video_scores
from wsgn.localization.segments import (
    Segment,
    SnippetTimes,
    scores_to_segments,
    smoothed_scores,
)
from wsgn.manifest import Manifest, SelectionRule
from wsgn.support.arrays import Float32Array, FloatArray

from .rules import DetectorOptions, whole_video_rule


@dataclass(frozen=True, kw_only=True)
class OutputScores:
    """What an engine's outputs for a whole stream score, as in training."""

    # (T, C), and (C,).
    frames: FloatArray
    videos: FloatArray


@dataclass(frozen=True, kw_only=True)
class StreamScores(OutputScores):
    """Scores of a stream that has ended, and where its snippets lie."""

    times: SnippetTimes


class Scorer(Protocol):
    """Scores of a whole stream's selection logits and class probabilities (T, C)."""

    def __call__(self, logits: Float32Array, probabilities: Float32Array) -> OutputScores: ...


@dataclass(frozen=True)
class NumpyScorer:
    """Scores by NumPy in float64, the reference."""

    rule: SelectionRule

    def __call__(self, logits: Float32Array, probabilities: Float32Array) -> OutputScores:
        """Scores of a whole stream."""
        x, p = logits.astype(np.float64), probabilities.astype(np.float64)
        frames = frame_scores(x, p, self.rule)
        return OutputScores(frames=frames, videos=video_scores(x, p, self.rule, frames))


def final_segments(
    manifest: Manifest, options: DetectorOptions, scores: StreamScores
) -> list[Segment]:
    """Segments by start, then by class order.

    The engine's many thresholds, where it has them, cut the classes for which the user named none;
    all others have one threshold each: the user's, or the middle.
    """
    chosen, labels = options.open_threshold, options.labels or manifest.classes
    many: tuple[str, ...] = ()
    if manifest.proposals is not None and (chosen is None or isinstance(chosen, Mapping)):
        many = tuple(label for label in labels if label not in (chosen or {}))
    one = tuple(label for label in labels if label not in many)
    segments = _cut_at_many(manifest, options, scores, many) if many else []
    if one:
        segments += _cut_at_one(manifest, replace(options, labels=one), scores)
    column = {label: index for index, label in enumerate(manifest.classes)}
    segments.sort(key=lambda segment: (segment.start_seconds, column[segment.label]))
    rule = manifest.selection
    bounded_ones = (replace(one, score=bounded(one.score, rule)) for one in segments)
    least = options.minimum_score or 0.0
    return [segment for segment in bounded_ones if segment.score >= least]


def _cut_at_many(
    manifest: Manifest,
    options: DetectorOptions,
    scores: StreamScores,
    labels: tuple[str, ...],
) -> list[Segment]:
    rule = manifest.proposals
    assert rule is not None
    if options.minimum_duration_seconds is not None:
        rule = replace(rule, minimum_duration_seconds=options.minimum_duration_seconds)
    found = proposals(
        scores.frames,
        scores.times,
        manifest.classes,
        scores.videos,
        rule,
        merge_gap_seconds=options.merge_gap_seconds or 0.0,
        maximum_duration_seconds=options.maximum_duration_seconds or math.inf,
    )
    # Which classes are there is told by the video scores of all.
    return [segment for segment in found if segment.label in labels]


def _cut_at_one(
    manifest: Manifest, options: DetectorOptions, scores: StreamScores
) -> list[Segment]:
    detection = manifest.detection
    smooth = smoothed_scores(scores.frames, scores.times.epoch, detection.smoothing_snippets)
    # The mean of the frame scores is taken of the smoothed ones.
    is_mean = manifest.selection.video_score.pooling == "frame_scores"
    videos = None if is_mean else scores.videos
    return scores_to_segments(
        smooth,
        scores.times,
        manifest.classes,
        video_scores=videos,
        video_score_weight=detection.video_score_weight,
        **vars(whole_video_rule(manifest, options, smooth, videos)),
    )
