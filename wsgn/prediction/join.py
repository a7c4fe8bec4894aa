"""The shards of a prediction: what each leaves, and all of them joined as if one had done it."""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsgn.data.annotations import VideoAnnotation
from wsgn.errors import InputError
from wsgn.features.options import FeatureOptions
from wsgn.prediction.models import Predicted, PredictedVideo
from wsgn.prediction.options import PredictOptions
from wsgn.prediction.parts import (
    STEM,
    SUFFIX,
    Part,
    PartList,
    PartVideo,
    damaged,
    read_part,
    read_predictions,
    require_all_videos,
)
from wsgn.support.files import file_sha256, input_errors
from wsgn.support.mirrors import fetch_file, file_names
from wsgn.support.shards import unfinished_shards

_PART = re.compile(rf"{STEM}\.\d+-of-\d+{re.escape(SUFFIX)}")
# Of the features: the others say where they lie, or count for scores alone.
_OF_FEATURES = ("layout", "frame_rate", "snippet_length", "snippet_stride")


def part_list(
    options: PredictOptions, videos: Sequence[VideoAnnotation], names: Sequence[str]
) -> PartList:
    """The list of the shards of these options: of all annotated videos, and those that are there.

    Raises `InputError` where a model cannot be read.
    """
    annotated = [options.subset, [(video.name, video.frame_rate) for video in videos]]
    return PartList(
        num_videos=len(names),
        videos_sha256=_hash(list(names)),
        annotations_sha256=_hash(annotated),
        models_sha256=tuple(file_sha256(path) for path in options.checkpoints),
        options=_options(options),
    )


def _hash(document: Any) -> str:
    return hashlib.sha256(json.dumps(document).encode()).hexdigest()


def _options(options: PredictOptions) -> dict[str, Any]:
    """What predictions depend on, as the command line calls it."""
    found: dict[str, Any] = {"scoring": options.scoring}
    data = options.data
    if not isinstance(data, FeatureOptions):
        return found | {"videos": True}
    found |= {name: getattr(data, name) for name in _OF_FEATURES}
    return found | {"skip-missing": data.skip_missing or data.only_present}


def joined(
    options: PredictOptions, videos: Sequence[VideoAnnotation], num_classes: int
) -> Predicted:
    """What the shards of these options left in their folder, in the order of the videos.

    Raises `InputError` where parts are missing, damaged, or of another prediction.
    """
    assert options.parts is not None
    paths = _paths(options.parts)
    parts = {path: read_part(path) for path in paths}
    for path, part in parts.items():
        require_all_videos(path, part)
    first = parts[paths[0]]
    expected = part_list(options, videos, ())
    for path, part in parts.items():
        _require_same(path, part, first, expected)
    numbers = [part.number for part in parts.values()]
    if words := unfinished_shards(numbers, first.count):
        raise InputError(f"{words}; run them, then join again.")
    names = {video.position: video.name for part in parts.values() for video in part.videos}
    if _hash([names[position] for position in sorted(names)]) != first.of.videos_sha256:
        raise damaged(options.parts, "its parts do not list the videos of their shards")
    found: dict[int, PredictedVideo] = {}
    failed: dict[int, PartVideo] = {}
    for path, part in parts.items():
        found |= read_predictions(path, num_classes)
        failed |= {video.position: video for video in part.videos if video.problem}
    return Predicted(
        videos=tuple(found[position] for position in sorted(found)),
        failed=tuple((failed[place].name, failed[place].problem) for place in sorted(failed)),
    )


def _paths(folder: Path) -> list[Path]:
    with input_errors(f"the folder {folder}"):
        paths = [folder / name for name in file_names(folder) if _PART.fullmatch(name)]
        for path in paths:
            fetch_file(path)
    if not paths:
        raise InputError(
            f"{folder} holds no part of a prediction ({STEM}.1-of-N{SUFFIX}): run each shard "
            "first, with --shard i/N."
        )
    return paths


def _require_same(path: Path, part: Part, first: Part, expected: PartList) -> None:
    """Refuse a part that is not of the prediction that is asked for."""
    if part.count != first.count or part.of.videos_sha256 != first.of.videos_sha256:
        what = "number of shards" if part.count != first.count else "videos"
        raise InputError(
            f"{path} is of another {what} than the parts beside it: remove what an earlier run "
            "left, and run the shards that are missing."
        )
    if words := difference(part.of, expected):
        raise InputError(
            f"{path} was predicted with {words}: give those of the shards, or run them again."
        )


def difference(given: PartList, expected: PartList) -> str:
    """With what other models, annotations or options a part was made; empty where with none."""
    if given.models_sha256 != expected.models_sha256:
        return "other models"
    if given.annotations_sha256 != expected.annotations_sha256:
        return "other annotations, or another subset"
    if given.options != expected.options:
        return f"other options (--{_odd(given.options, expected.options)})"
    return ""


def _odd(one: dict[str, Any], other: dict[str, Any]) -> str:
    """The first option in which two differ."""
    names = dict.fromkeys([*one, *other])
    found = next((name for name in names if one.get(name) != other.get(name)), "")
    return found.replace("_", "-")
