"""Small annotations and configurations in which every strength is known."""

from __future__ import annotations

import dataclasses
import json
from pathlib import Path
from typing import Any

from wsgn.data.annotations import Annotations, VideoAnnotation
from wsgn.synthetic.features.config import SyntheticFeaturesConfig

CLASSES = ("dive", "cliff", "golf")

# No clipping at 0, and nothing but the resting level.
SILENT = SyntheticFeaturesConfig(
    base_level=4.0,
    appearance_variation=0.0,
    action_strength=0.0,
    action_spread=0.0,
    weak_fraction=0.0,
    context_strength=0.0,
    context_spread=0.0,
    stray_video_fraction=0.0,
    distractor_strength=0.0,
    establishing_strength=0.0,
    shot_spread=0.0,
    shift_std=0.0,
    gain_spread=0.0,
    noise_std=0.0,
)


def changed(**changes: Any) -> SyntheticFeaturesConfig:
    """The silent configuration with some strengths turned up."""
    return dataclasses.replace(SILENT, **changes)


def video(
    *segments: tuple[str, float, float],
    name: str = "v",
    duration_seconds: float | None = 600.0,
    labels: tuple[str, ...] = (),
) -> VideoAnnotation:
    """A training video; its labels are those given and those of its segments."""
    found = sorted({label for label, _, _ in segments} | set(labels))
    return VideoAnnotation(
        name=name,
        subset="training",
        duration_seconds=duration_seconds,
        labels=tuple(found),
        segments=segments,
    )


def annotations(*videos: VideoAnnotation) -> Annotations:
    """The videos as the content of an annotation file."""
    return Annotations(classes=CLASSES, videos=videos)


def write_annotations(path: Path, *videos: VideoAnnotation) -> Path:
    """The videos as an annotation file."""
    database = {
        item.name: {
            "subset": item.subset,
            "duration": item.duration_seconds,
            "labels": list(item.labels),
            "annotations": [
                {"label": label, "segment": [start, end]} for label, start, end in item.segments
            ],
        }
        for item in videos
    }
    path.write_text(json.dumps({"classes": list(CLASSES), "database": database}))
    return path
