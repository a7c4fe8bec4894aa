"""The project's own feature file: one `<video>.safetensors` per video, with its time base inside.

The tensor `features` is (T, D), float16 or float32. The header's metadata holds a JSON document
under `METADATA_KEY`; docs/datasets.md describes it for people who write such files themselves.
"""

from __future__ import annotations

import json
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsgn.errors import InputError, MissingExtraError, UsageError
from wsgn.features.safetensors_file import (
    FileBytes,
    SafetensorsFile,
    read_header_at,
    read_safetensors_header,
)
from wsgn.manifest import Sampling
from wsgn.support.arrays import AnyArray, Float32Array
from wsgn.support.files import write_whole_file
from wsgn.support.json_input import read_object
from wsgn.support.records import record_from_dict, record_to_dict

FORMAT_VERSION = 1
METADATA_KEY = "wsgn.features"
TENSOR_NAME = "features"
SUFFIX = ".safetensors"

# The names that the library gives them in a header.
_DTYPES = {"F16": np.dtype(np.float16), "F32": np.dtype(np.float32)}


@dataclass(frozen=True, kw_only=True)
class FeatureStream:
    """A run of the D channels that one network made, such as RGB or optical flow."""

    name: str
    # Channels.
    size: int


@dataclass(frozen=True, kw_only=True)
class FeatureInfo:
    """What is known of a video's features without reading them."""

    # Snippets, T, and channels, D.
    num_snippets: int
    feature_size: int
    # The time base.
    sampling: Sampling
    # Length of the video; None where nobody said.
    duration_seconds: float | None = None
    # In the order of their channels; empty where nobody said.
    streams: tuple[FeatureStream, ...] = ()
    # Words for people: what made the features.
    source: str = ""
    # The type of the values in their file; they are read as float32.
    dtype: str = "float32"


@dataclass(frozen=True, kw_only=True)
class _Document:
    format_version: int
    frame_rate: float
    snippet_length: int
    snippet_stride: int
    duration_seconds: float | None
    streams: tuple[FeatureStream, ...]
    source: str


def write_feature_file(
    path: Path,
    features: AnyArray,
    sampling: Sampling,
    *,
    duration_seconds: float | None = None,
    streams: tuple[str, ...] = (),
    stream_sizes: tuple[int, ...] = (),
    source: str = "",
) -> None:
    """Write the features (T, D), float16 or float32, of one video: whole or not at all.

    `streams` names runs of channels in their order, of equal width unless `stream_sizes` says
    otherwise. Raises `UsageError` for features that no reader would take.
    """
    data = feature_file_bytes(
        path,
        features,
        sampling,
        duration_seconds=duration_seconds,
        streams=streams,
        stream_sizes=stream_sizes,
        source=source,
    )
    write_whole_file(path, data, what="the feature file")


def feature_file_bytes(
    where: Path | str,
    features: AnyArray,
    sampling: Sampling,
    *,
    duration_seconds: float | None = None,
    streams: tuple[str, ...] = (),
    stream_sizes: tuple[int, ...] = (),
    source: str = "",
) -> bytes:
    """What `write_feature_file` writes; `where` names it in errors."""
    try:
        from safetensors.numpy import save
    except ImportError as error:
        raise MissingExtraError("writing feature files (safetensors)", "train") from error
    _check_features(where, features)
    document = _Document(
        format_version=FORMAT_VERSION,
        frame_rate=sampling.frame_rate,
        snippet_length=sampling.snippet_length,
        snippet_stride=sampling.snippet_stride,
        duration_seconds=duration_seconds,
        streams=_streams(features.shape[1], streams, stream_sizes),
        source=source,
    )
    metadata = {METADATA_KEY: json.dumps(record_to_dict(document), allow_nan=False)}
    data: bytes = save({TENSOR_NAME: np.ascontiguousarray(features)}, metadata=metadata)
    return data


def read_feature_info(path: Path) -> FeatureInfo:
    """Count, width and time base, from the header alone."""
    return _info(_opened(path))


def read_feature_file(path: Path) -> tuple[FeatureInfo, Float32Array]:
    """What is known of the features, and their values (T, D)."""
    info, features = read_stored_features(path)
    return info, np.asarray(features, dtype=np.float32)


def read_stored_features(path: Path) -> tuple[FeatureInfo, AnyArray]:
    """The same, with values (T, D) in the file's own type."""
    return _stored_features(_opened(path))


def read_info_at(place: FileBytes) -> FeatureInfo:
    """From the header of a file that lies in another one, or in memory."""
    return _info(read_header_at(place))


def read_stored_features_at(place: FileBytes) -> tuple[FeatureInfo, AnyArray]:
    """That, and the values, of such a file."""
    return _stored_features(read_header_at(place))


def _stored_features(file: SafetensorsFile) -> tuple[FeatureInfo, AnyArray]:
    info = _info(file)
    return info, file.read(TENSOR_NAME)


def _opened(path: Path) -> SafetensorsFile:
    if not path.exists():
        raise InputError(f"the feature file {path} does not exist.")
    return read_safetensors_header(path)


def _info(file: SafetensorsFile) -> FeatureInfo:
    metadata, path = file.metadata, file.place.where
    if METADATA_KEY not in metadata or TENSOR_NAME not in file.tensors:
        raise InputError(
            f"{path} is a safetensors file without the tensor '{TENSOR_NAME}' and the metadata "
            f"'{METADATA_KEY}': make it with wsgn-convert or write_feature_file."
        )
    document, sampling = _document(path, metadata[METADATA_KEY])
    stored = file.tensors[TENSOR_NAME]
    shape = stored.shape
    if len(shape) != 2 or min(shape) < 1 or stored.dtype not in _DTYPES:
        raise InputError(
            f"{path} must hold features (T, D) in float16 or float32, it holds {shape} in "
            f"{stored.dtype}: make it again."
        )
    sizes = [stream.size for stream in document.streams]
    if sizes and (min(sizes) < 1 or sum(sizes) != shape[1]):
        raise InputError(f"{path} has {shape[1]} channels, but its streams do not add up to that.")
    return FeatureInfo(
        num_snippets=shape[0],
        feature_size=shape[1],
        sampling=sampling,
        duration_seconds=document.duration_seconds,
        streams=document.streams,
        source=document.source,
        dtype=str(_DTYPES[stored.dtype]),
    )


def _document(path: str, text: str) -> tuple[_Document, Sampling]:
    document = read_object(text, what=f"{path}: the metadata '{METADATA_KEY}'")
    version = document.get("format_version")
    if version != FORMAT_VERSION:
        raise InputError(
            f"{path} has feature format version {version}, this wsgn reads {FORMAT_VERSION}: "
            "convert the features again, or install the matching wsgn."
        )
    try:
        record = record_from_dict(_Document, document, what=f"the metadata of {path}")
        sampling = Sampling(
            frame_rate=record.frame_rate,
            snippet_length=record.snippet_length,
            snippet_stride=record.snippet_stride,
        )
    # The file is wrong, not what the caller asked for.
    except UsageError as error:
        raise InputError(f"{path}: {error}") from error
    if record.duration_seconds is not None and not 0 < record.duration_seconds < math.inf:
        raise InputError(
            f"the metadata of {path} is not valid: 'duration_seconds' is "
            f"{record.duration_seconds:g} where a positive number or null is needed."
        )
    return record, sampling


def _check_features(path: Path | str, features: AnyArray) -> None:
    if features.dtype not in _DTYPES.values() or features.ndim != 2 or 0 in features.shape:
        raise UsageError(
            f"the features for {path} must be (T, D) in float16 or float32 and not empty, got "
            f"{features.shape} in {features.dtype}."
        )
    if not np.isfinite(features).all():
        raise UsageError(f"the features for {path} hold NaN or infinite values; mend them first.")


def _streams(
    width: int, names: tuple[str, ...], sizes: tuple[int, ...]
) -> tuple[FeatureStream, ...]:
    if not names:
        return ()
    sizes = sizes or (width // len(names),) * len(names)
    if len(sizes) != len(names) or sum(sizes) != width or min(sizes) < 1:
        raise UsageError(
            f"streams {', '.join(names)} of {', '.join(map(str, sizes))} channels do not make up "
            f"the {width} channels of the features; give stream_sizes."
        )
    return tuple(
        FeatureStream(name=name, size=size) for name, size in zip(names, sizes, strict=True)
    )
