"""Small truths and detections, written as rows."""

from __future__ import annotations

import numpy as np
from plain_evaluator import Scene

from wsgn.metrics import Detections, Truth


def as_truth(scene: Scene, videos: list[str], classes: list[str]) -> Truth:
    instances = scene.instances
    ambiguous = [(video, *span) for video, spans in scene.ambiguous.items() for span in spans]
    return Truth(
        videos=tuple(videos),
        classes=tuple(classes),
        instance_videos=np.array([videos.index(row[0]) for row in instances], dtype=np.int64),
        instance_classes=np.array([classes.index(row[1]) for row in instances], dtype=np.int64),
        instance_start_seconds=np.array([row[2] for row in instances], dtype=np.float64),
        instance_end_seconds=np.array([row[3] for row in instances], dtype=np.float64),
        ambiguous_videos=np.array([videos.index(row[0]) for row in ambiguous], dtype=np.int64),
        ambiguous_start_seconds=np.array([row[1] for row in ambiguous], dtype=np.float64),
        ambiguous_end_seconds=np.array([row[2] for row in ambiguous], dtype=np.float64),
        subsets=("test",),
    )


def as_detections(scene: Scene) -> Detections:
    rows = scene.detections
    return Detections(
        video_ids=[row[0] for row in rows],
        labels=[row[1] for row in rows],
        start_seconds=np.array([row[2] for row in rows], dtype=np.float64),
        end_seconds=np.array([row[3] for row in rows], dtype=np.float64),
        scores=np.array([row[4] for row in rows], dtype=np.float64),
    )
