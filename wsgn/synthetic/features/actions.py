"""Where the actions of a video are, how strong, and in which phase."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np

from wsgn.localization.segments import SnippetTimes
from wsgn.support.arrays import FloatArray
from wsgn.synthetic.features.config import SyntheticFeaturesConfig


def draw_strengths(
    generator: np.random.Generator, num_segments: int, config: SyntheticFeaturesConfig
) -> FloatArray:
    """(num_segments,): strengths of the actions; some are weak."""
    strengths = config.action_strength * np.exp(
        config.action_spread * generator.standard_normal(num_segments)
    )
    weak = generator.random(num_segments) < config.weak_fraction
    return np.asarray(np.where(weak, config.weak_amplitude * strengths, strengths))


def segment_overlap(times: SnippetTimes, start_seconds: float, end_seconds: float) -> FloatArray:
    """(T,): the share of each snippet that lies in the segment."""
    begin = np.maximum(times.start_seconds, start_seconds)
    end = np.minimum(times.end_seconds, end_seconds)
    overlap: FloatArray = np.maximum(end - begin, 0.0) / (times.end_seconds - times.start_seconds)
    return overlap


def phase_weights(progress: FloatArray, num_phases: int, blend: float) -> FloatArray:
    """(T, P), rows sum to 1: which phase an action is in at a progress from 0 to 1.

    A phase passes into the next around their border, in a logistic step of width `blend` in
    lengths of a phase.
    """
    borders = np.arange(1, num_phases) / num_phases  # (P - 1,)
    # A logistic step passes from 12 % to 88 % within four of its scales.
    scale = blend / num_phases / 4
    exponent = np.clip((borders - progress[:, None]) / scale, -50, 50)
    passed = 1 / (1 + np.exp(exponent))  # (T, P - 1)
    ends = np.ones((len(progress), 1))
    return -np.diff(np.hstack([ends, passed, 0 * ends]), axis=1)  # (T, P)


def action_features(
    times: SnippetTimes,
    segments: Sequence[tuple[float, float]],
    strengths: FloatArray,
    phases: Sequence[FloatArray],
    config: SyntheticFeaturesConfig,
) -> FloatArray:
    """(T, D): the sum of a video's actions; `phases` holds the patterns (P, D) of each segment.

    Annotations may run beyond the end of a video: what no snippet covers is not made.
    Where several go on at once, each is divided by the root of their number: an action that is
    annotated under two names is a mixture of both, not twice as strong.
    """
    features = np.zeros((len(times.start_seconds), config.feature_size))
    overlaps = np.array([segment_overlap(times, *segment) for segment in segments])  # (S, T)
    if not len(overlaps):
        return features
    shares = overlaps / np.sqrt(np.maximum(overlaps.sum(axis=0), 1))  # (S, T)
    for (start, end), share, strength, patterns in zip(
        segments, shares, strengths, phases, strict=True
    ):
        rows = np.flatnonzero(share)
        progress = (times.centre_seconds[rows] - start) / (end - start)
        mixture = phase_weights(progress, len(patterns), config.phase_blend) @ patterns
        features[rows] += strength * share[rows, None] * mixture
    return features
