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
from wsgn.prediction.models import Predicted, PredictedVideo
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
    videos: tuple[PartVideo, ...]
    # Of the tensors.
    content_sha256: str


def part_path(folder: Path, shard: Shard) -> Path:
    """Where the part of a shard lies."""
    return folder / f"{STEM}.{shard.name}{SUFFIX}"


def write_part(
    path: Path, shard: Shard, of: PartList, names: Sequence[str], predicted: Predicted
) -> None:
    """Write what became of the shard's videos out of all these names. Raises `OutputError`."""
    by_name = {one.prediction.name: one for one in predicted.videos}
    problems = dict(predicted.failed)
    predictions = [one.prediction for one in predicted.videos]
    tensors = _tensors(predictions)
    part = Part(
        number=shard.number,
        count=shard.count,
        of=of,
        rule=predictions[0].rule if predictions else None,
        videos=tuple(
            _part_video(position, names[position], by_name, problems)
            for position in shard.positions(len(names))
        ),
        content_sha256=_content(tensors),
    )
    document = {"schema": _SCHEMA} | record_to_dict(part)
    data = save(tensors, metadata={_KEY: json.dumps(document, allow_nan=False)})
    write_whole_file(path, data, what="the part")


def _part_video(
    position: int, name: str, by_name: Mapping[str, PredictedVideo], problems: Mapping[str, str]
) -> PartVideo:
    if name not in by_name:
        return PartVideo(position=position, name=name, num_snippets=0, problem=problems[name])
    one = by_name[name]
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
    """A part's metadata. Raises `InputError`."""
    return _part(path, read_safetensors_header(path))


def _part(path: Path, file: SafetensorsFile) -> Part:
    document = read_object(file.metadata.get(_KEY, "{}"), what=f"the metadata of {path}")
    if document.pop("schema", None) != _SCHEMA:
        raise InputError(f"{path} is no part of a prediction of this version ({_SCHEMA}).")
    try:
        part = record_from_dict(Part, document, what="it")
        shard = Shard(number=part.number, count=part.count)
    except UsageError as error:
        raise InputError(f"{path} is no part of a prediction: {error}") from error
    positions = [video.position for video in part.videos]
    if positions != list(shard.positions(part.of.num_videos)):
        raise damaged(path, "it does not list the videos of its shard")
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
