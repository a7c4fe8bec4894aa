"""Clips in parts, so that models can be trained without each: what they score, they never saw."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from pathlib import Path

from wsgn.data.annotations import Annotations, write_annotations
from wsgn.data.split import SplitOptions, split_annotations
from wsgn.errors import InputError

_NUM_PARTS = 3


@dataclass(frozen=True, kw_only=True)
class Parts:
    """Files of annotations, in one folder."""

    # Of all videos, each in the subset of its part.
    all: Path
    # By the name of a part: of the videos in the others, as the subset that is trained on.
    others: Mapping[str, Path]


def write_parts(
    folder: Path, annotations: Annotations, subset: str, *, group_pattern: str | None, seed: int
) -> Parts | None:
    """Divide a subset; None where a part holds all that there is of a class."""
    videos = annotations.subset(subset)
    names = [f"part{number}" for number in range(_NUM_PARTS)]
    split = SplitOptions(
        shares=dict.fromkeys(names[1:], 1 / _NUM_PARTS),
        rest=names[0],
        group_pattern=group_pattern,
        seed=seed,
    )
    try:
        divided = split_annotations(replace(annotations, videos=videos), split)
    except InputError:
        return None
    others = {name: _others(divided, name, subset) for name in names}
    if any(_lacks_contrast(one) for one in others.values()):
        return None
    folder.mkdir(parents=True, exist_ok=True)
    paths = {name: folder / f"without_{name}.json" for name in names}
    for name, path in paths.items():
        write_annotations(path, others[name])
    write_annotations(folder / "parts.json", divided)
    return Parts(all=folder / "parts.json", others=paths)


def _others(divided: Annotations, part: str, subset: str) -> Annotations:
    videos = tuple(
        replace(video, subset=subset) for video in divided.videos if video.subset != part
    )
    return replace(divided, videos=videos)


def _lacks_contrast(annotations: Annotations) -> bool:
    """Whether a class is in none of the videos, or in all."""
    counts = [
        sum(label in video.labels for video in annotations.videos) for label in annotations.classes
    ]
    return min(counts) == 0 or max(counts) == len(annotations.videos)
