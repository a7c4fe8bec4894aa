"""Detections of many videos as columns, and the reader of result files."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from wsgn.errors import InputError
from wsgn.support.arrays import FloatArray
from wsgn.support.json_input import (
    as_list,
    as_number,
    as_object,
    as_segment,
    as_text,
    member,
    read_object,
)

if TYPE_CHECKING:
    from wsgn.localization.segments import Segment


@dataclass(frozen=True, kw_only=True, eq=False)
class Detections:
    """N detected segments; their order decides between equal scores."""

    # (N,) video and label of each detection.
    video_ids: Sequence[str]
    labels: Sequence[str]
    # (N,) times in seconds.
    start_seconds: FloatArray
    end_seconds: FloatArray
    # (N,) confidence, in any unit: only its order counts.
    scores: FloatArray

    def __post_init__(self) -> None:
        """Check lengths and numbers."""
        columns = (self.video_ids, self.labels, self.start_seconds, self.end_seconds, self.scores)
        lengths = [len(column) for column in columns]
        if len(set(lengths)) > 1:
            raise InputError(f"The columns of the detections differ in length: {lengths}.")
        for name in ("start_seconds", "end_seconds", "scores"):
            wrong = np.flatnonzero(~np.isfinite(getattr(self, name)))
            if len(wrong):
                raise InputError(f"Detection {wrong[0]} is not finite in {name!r}.")
        backwards = np.flatnonzero(self.end_seconds < self.start_seconds)
        if len(backwards):
            raise InputError(f"Detection {backwards[0]} ends before it starts.")

    def __len__(self) -> int:
        """The number of detections."""
        return len(self.video_ids)

    @classmethod
    def from_segments(cls, segments: Mapping[str, Iterable[Segment]]) -> Detections:
        """Detections from the segments of each video."""
        rows = [(video, segment) for video, found in segments.items() for segment in found]
        return cls(
            video_ids=[video for video, _ in rows],
            labels=[segment.label for _, segment in rows],
            start_seconds=np.array([segment.start_seconds for _, segment in rows], np.float64),
            end_seconds=np.array([segment.end_seconds for _, segment in rows], np.float64),
            scores=np.array([segment.score for _, segment in rows], np.float64),
        )


def read_detections(path: str | Path) -> Detections:
    """Read a result file in ActivityNet's layout.

    Args:
        path: a JSON object with `results[video] = [{label, segment: [start, end], score}]`, times
            in seconds, as `wsgn-run -f json` and `wsgn-predict -o` write it.

    Raises:
        InputError: the file cannot be read, or a field is wrong.
    """
    path = Path(path)
    name = repr(str(path))
    results = as_object(member(read_object(path), "results", name), f"{name}: 'results'")
    videos: list[str] = []
    labels: list[str] = []
    numbers: list[tuple[float, float, float]] = []
    for video, found in results.items():
        for index, item in enumerate(as_list(found, f"{name}: video {video!r}")):
            where = f"{name}: detection {index} of {video!r}"
            detection = as_object(item, where)
            videos.append(video)
            labels.append(as_text(member(detection, "label", where), f"{where}: 'label'"))
            start, end = as_segment(member(detection, "segment", where), f"{where}: 'segment'")
            score = as_number(member(detection, "score", where), f"{where}: 'score'")
            numbers.append((start, end, score))
    table = np.array(numbers, dtype=np.float64).reshape(-1, 3)
    return Detections(
        video_ids=videos,
        labels=labels,
        start_seconds=table[:, 0],
        end_seconds=table[:, 1],
        scores=table[:, 2],
    )
