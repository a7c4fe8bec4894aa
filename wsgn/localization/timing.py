"""Where snippets lie in time. The only place that turns a snippet's position into seconds."""

from __future__ import annotations

import math
from typing import TypeVar

from wsgn.localization.segments import SnippetTimes
from wsgn.manifest import Sampling
from wsgn.manifest.bounds import MOST_SMOOTHING
from wsgn.support.arrays import FloatArray, IntArray


def snippet_duration_seconds(sampling: Sampling) -> float:
    """Time that a snippet covers, from the start of its first frame to the end of its last."""
    return sampling.snippet_length / sampling.frame_rate


Seconds = TypeVar("Seconds", float, FloatArray)


def snippet_centre_seconds(start_seconds: Seconds, sampling: Sampling) -> Seconds:
    """Centre of a snippet (or of many) whose first frame lies at `start_seconds`."""
    return start_seconds + snippet_duration_seconds(sampling) / 2


def snippet_times(start_seconds: FloatArray, epoch: IntArray, sampling: Sampling) -> SnippetTimes:
    """Where T snippets lie whose first frames lie at `start_seconds` (T,) in the given epochs."""
    return SnippetTimes(
        start_seconds=start_seconds,
        centre_seconds=snippet_centre_seconds(start_seconds, sampling),
        end_seconds=start_seconds + snippet_duration_seconds(sampling),
        epoch=epoch,
    )


def smoothing_snippets(seconds: float, sampling: Sampling) -> int:
    """The odd number of neighbouring snippets that comes nearest to so many seconds, at least 1."""
    snippets = seconds * sampling.frame_rate / sampling.snippet_stride
    # From one even number to the next the odd one between them is the nearest.
    return 2 * math.floor(min(snippets, MOST_SMOOTHING - 1) / 2) + 1
