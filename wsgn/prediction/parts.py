"""What a shard of a prediction leaves for the others to be joined with: one file, no pickle.

`predictions.2-of-4.safetensors` holds the outputs of all its videos behind each other, and in its
metadata of what they are.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from safetensors.numpy import save

from wsgn.errors import InputError, UsageError
from wsgn.features.file import FeatureInfo
from wsgn.features.safetensors_file import SafetensorsFile, read_safetensors_header
from wsgn.localization.segments import SnippetTimes
from wsgn.manifest import SelectionRule
from wsgn.prediction.models import PredictedVideo
from wsgn.prediction.predict import VideoPrediction
from wsgn.support.arrays import AnyArray
from wsgn.support.files import write_whole_file
from wsgn.support.json_input import read_object
from wsgn.support.records import record_from_dict, record_to_dict
from wsgn.support.shards import Shard

SUFFIX = ".safetensors"
STEM = "predictions"
_SCHEMA = "wsgn.predictions/1"
# Of the metadata's document.
_KEY = "wsgn.predictions"
# (N,) of the N snippets of all videos, and (N, C).
_TIMES = ("start_seconds", "centre_seconds", "end_seconds", "epoch")
_OUTPUTS = ("selection_logits", "class_probabilities", "scores")
# (V, C) of the videos, where their scores are not the mean of the frame scores.
_VIDEO_SCORES = "video_scores"


@dataclass(frozen=True, kw_only=True)
class PartList:
    """Which list a part is of, and by what it was predicted: that of all parts is the same."""

    # Videos of all shards, and a hash of their names.
    num_videos: int
    videos_sha256: str
    # A hash of what the annotations say of the subset, as far as predictions depend on it.
    annotations_sha256: str
    # Of the files.
    models_sha256: tuple[str, ...]
    # Of the command line, as far as predictions depend on them.
    options: dict[str, Any]


@dataclass(frozen=True, kw_only=True)
class PartVideo:
    """One video of a part."""

    # In the list of all videos, from 0.
    position: int
    name: str
    # Snippets, T; 0 where it failed.
    num_snippets: int
    features: tuple[FeatureInfo, ...] = ()
    # Why it was not predicted; empty where it was.
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part's metadata."""

    number: int
    count: int
    of: PartList
    # Of all its videos; None where it has none.
    rule: SelectionRule | None
    # Of the shard all, or in a piece some.
    videos: tuple[PartVideo, ...]
    # Of the tensors.
    content_sha256: str


def part_path(folder: Path, shard: Shard) -> Path:
    """Where the part of a shard lies."""
    return folder / f"{STEM}.{shard.name}{SUFFIX}"


def write_part(
    path: Path,
    shard: Shard,
    of: PartList,
    names: Sequence[str],
    found: Mapping[int, PredictedVideo],
    problems: Mapping[int, str],
) -> None:
    """Write what became of videos at some positions of the list of names. Raises `OutputError`.

    `problems` are those of videos that were not predicted.
    """
    done = sorted(found)
    tensors = _tensors([found[position].prediction for position in done])
    part = Part(
        number=shard.number,
        count=shard.count,
        of=of,
        rule=found[done[0]].prediction.rule if done else None,
        videos=tuple(
            _part_video(position, names[position], found.get(position), problems.get(position, ""))
            for position in sorted({*found, *problems})
        ),
        content_sha256=_content(tensors),
    )
    document = {"schema": _SCHEMA} | record_to_dict(part)
    data = save(tensors, metadata={_KEY: json.dumps(document, allow_nan=False)})
    write_whole_file(path, data, what="the part")


def _part_video(position: int, name: str, one: PredictedVideo | None, problem: str) -> PartVideo:
    if one is None:
        return PartVideo(position=position, name=name, num_snippets=0, problem=problem)
    return PartVideo(
        position=position,
        name=name,
        num_snippets=len(one.prediction.scores),
        features=one.features,
    )


def _tensors(predictions: Sequence[VideoPrediction]) -> dict[str, AnyArray]:
    """The arrays of all predictions behind each other; none of no predictions."""
    if not predictions:
        return {}
    found: dict[str, AnyArray] = {
        name: np.concatenate([getattr(one.times, name) for one in predictions]) for name in _TIMES
    }
    for name in _OUTPUTS:
        found[name] = np.concatenate([getattr(one, name) for one in predictions])
    own = [one.video_scores for one in predictions if one.video_scores is not None]
    if own:
        found[_VIDEO_SCORES] = np.stack(own)
    return found


def _content(tensors: Mapping[str, AnyArray]) -> str:
    digest = hashlib.sha256()
    for name in sorted(tensors):
        digest.update(np.ascontiguousarray(tensors[name]).data)
    return digest.hexdigest()


def read_part(path: Path) -> Part:
    """The metadata of a part, or of a piece of one. Raises `InputError`."""
    return _part(path, read_safetensors_header(path))


def require_all_videos(path: Path, part: Part) -> None:
    """Raise `InputError` for a part that lacks videos of its shard."""
    if [video.position for video in part.videos] != list(_positions(part)):
        raise damaged(path, "it does not list the videos of its shard")


def _positions(part: Part) -> range:
    return Shard(number=part.number, count=part.count).positions(part.of.num_videos)


def _part(path: Path, file: SafetensorsFile) -> Part:
    document = read_object(file.metadata.get(_KEY, "{}"), what=f"the metadata of {path}")
    if document.pop("schema", None) != _SCHEMA:
        raise InputError(f"{path} is no part of a prediction of this version ({_SCHEMA}).")
    try:
        part = record_from_dict(Part, document, what="it")
        all_positions = _positions(part)
    except UsageError as error:
        raise InputError(f"{path} is no part of a prediction: {error}") from error
    positions = [video.position for video in part.videos]
    if sorted(set(positions)) != positions or not all(one in all_positions for one in positions):
        raise damaged(path, "it lists videos of another shard")
    return part


def read_predictions(path: Path, num_classes: int) -> dict[int, PredictedVideo]:
    """The predictions of a part's videos, by their positions. Raises `InputError`."""
    file = read_safetensors_header(path)
    part = _part(path, file)
    done = [video for video in part.videos if not video.problem]
    tensors = {name: file.read(name) for name in file.tensors}
    if _content(tensors) != part.content_sha256:
        raise damaged(path, "its values are not those that were written")
    num_rows = sum(video.num_snippets for video in done)
    expected = dict.fromkeys(_TIMES, (num_rows,)) | dict.fromkeys(_OUTPUTS, (num_rows, num_classes))
    expected |= {_VIDEO_SCORES: (len(done), num_classes)} if _VIDEO_SCORES in tensors else {}
    if {name: values.shape for name, values in tensors.items()} != (expected if done else {}):
        raise damaged(path, "its arrays are not those of its videos")
    found: dict[int, PredictedVideo] = {}
    begin = 0
    for place, video in enumerate(done):
        rows = slice(begin, begin + video.num_snippets)
        begin = rows.stop
        prediction = VideoPrediction(
            name=video.name,
            times=SnippetTimes(**{name: tensors[name][rows] for name in _TIMES}),
            video_scores=tensors[_VIDEO_SCORES][place] if _VIDEO_SCORES in tensors else None,
            rule=part.rule,
            **{name: tensors[name][rows] for name in _OUTPUTS},
        )
        found[video.position] = PredictedVideo(prediction=prediction, features=video.features)
    return found


def damaged(path: Path, reason: str) -> InputError:
    """What is said of a part that is not what was written."""
    return InputError(f"{path} is damaged ({reason}): run its shard again.")
