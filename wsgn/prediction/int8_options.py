"""What is said of INT8 when an engine is exported, and what it cost."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from wsgn.features.options import DataOptions


@dataclass(frozen=True, kw_only=True)
class Int8Options:
    """Videos that set the ranges of INT8, and others that say what it costs."""

    # A folder of videos, or features where the engine takes them.
    calibration: Path
    # JSON, a table or a folder for each class, with times of actions.
    annotations: Path
    data: DataOptions
    # One of the annotations; None: all videos.
    subset: str | None = None
    # Show no progress bars.
    quiet: bool = False


@dataclass(frozen=True, kw_only=True)
class Int8Report:
    """An engine in INT8 beside itself in float32."""

    # Average mAP at tIoU 0.1 to 0.7, in percent.
    map_before: float
    map_after: float
    num_videos: int
    # Of the calibration.
    num_snippets: int

    def lines(self) -> list[str]:
        """For people."""
        return [
            f"INT8, ranges of {self.num_snippets} snippets: average mAP on {self.num_videos} "
            f"videos {self.map_before:.1f} -> {self.map_after:.1f}"
        ]
