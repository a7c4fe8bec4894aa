"""What is said of false alarms when an engine is exported."""

from __future__ import annotations

import math
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import UsageError
from wsgn.features.options import DataOptions


@dataclass(frozen=True, kw_only=True)
class AlarmOptions:
    """Which videos say how often an engine raises a false alarm, and how often it may."""

    # Of all classes together.
    false_alarms_per_hour: float
    # JSON, a table or a folder for each class; labels of videos are enough.
    annotations: Path
    data: DataOptions
    # One of the annotations; None: all videos.
    subset: str | None = None
    # In place of that: models that were trained without a subset, which they score.
    held_out: tuple[tuple[Path, str], ...] = ()
    # Share of the videos in which a class is found at its own threshold, that have to stay whatever
    # the rate.
    keep_found: float = 0.0

    def __post_init__(self) -> None:
        rate = self.false_alarms_per_hour
        if not (math.isfinite(rate) and rate > 0):
            raise UsageError(f"--false-alarms-per-hour must be a number over 0, got {rate:g}.")
        if not 0 <= self.keep_found <= 1:
            raise UsageError(f"--keep-found must be a share from 0 to 1, got {self.keep_found:g}.")
        if self.held_out and self.subset is not None:
            raise UsageError("--held-out names its subsets itself: leave --subset out.")
