"""Videos that a score should have and nobody predicted, as they have no features."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

import numpy as np

from wsgn.errors import InputError
from wsgn.metrics.annotations import Truth
from wsgn.metrics.detection import DetectionResult, evaluated_videos
from wsgn.metrics.protocol import detection_protocol


@dataclass(frozen=True, kw_only=True)
class Absent:
    """How many videos of those that a protocol counts are not there, and their instances."""

    num_videos: int = 0
    num_instances: int = 0
    # Whether a score leaves them out, or counts their instances as missed.
    left_out: bool = False

    def counted(self, result: DetectionResult) -> str:
        """How many videos and instances a mAP is of, for its table."""
        words = f"{result.num_videos} videos, {result.num_instances} instances"
        if not self.num_videos:
            return words
        one = self.num_videos == 1
        have, count, are = ("has", "counts", "is") if one else ("have", "count", "are")
        if self.left_out:
            return (
                f"{words} ({self.num_videos} more, with {self.num_instances} instances, {have} no "
                f"features and {are} left out)"
            )
        return (
            f"{words} ({self.num_videos} of the videos, with {self.num_instances} of the "
            f"instances, {have} no features and {count} as missed; --only-present leaves out "
            "what is missing)"
        )

    def as_object(self) -> dict[str, int]:
        """For JSON."""
        missed, left_out = (0, 1) if self.left_out else (1, 0)
        return {
            "missing_videos": missed * self.num_videos,
            "missing_instances": missed * self.num_instances,
            "left_out_videos": left_out * self.num_videos,
            "left_out_instances": left_out * self.num_instances,
        }


def scored_truth(
    truth: Truth, predicted: Collection[str], protocol: str, *, only_present: bool
) -> tuple[Truth, Absent]:
    """What predictions are scored against, and which videos they lack.

    Raises `InputError` where only what is present counts and nothing is.
    """
    is_absent = evaluated_videos(truth, detection_protocol(protocol))  # (V,)
    is_absent &= np.array([name not in predicted for name in truth.videos], dtype=np.bool_)
    absent = Absent(
        num_videos=int(is_absent.sum()),
        num_instances=int(is_absent[truth.instance_videos].sum()),
        left_out=only_present,
    )
    if not only_present:
        return truth, absent
    present = truth.only(predicted)
    if not present.videos:
        raise InputError(f"none of the {len(truth.videos)} videos is there.")
    return present, absent
