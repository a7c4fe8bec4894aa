"""Snippets of one second, and segments as pairs of seconds."""

from __future__ import annotations

import numpy as np

from wsgn.localization.segments import Segment, SnippetTimes


def second_by_second(count: int, epoch: list[int] | None = None) -> SnippetTimes:
    """Snippets of 1 s, one after the other: centres at 0.5, 1.5, ..."""
    starts = np.arange(count, dtype=np.float64)
    return SnippetTimes(
        start_seconds=starts,
        centre_seconds=starts + 0.5,
        end_seconds=starts + 1,
        epoch=np.zeros(count, dtype=np.int64) if epoch is None else np.array(epoch),
    )


def bounds(found: list[Segment]) -> list[tuple[float, float]]:
    """Start and end of each."""
    return [(round(s.start_seconds, 9), round(s.end_seconds, 9)) for s in found]
