"""The index of packed features: in which tar file each video lies, where in it, and what it is.

docs/datasets.md describes it for people who read it with other programs.
"""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from wsgn.errors import InputError, UsageError
from wsgn.features.file import FeatureInfo, FeatureStream
from wsgn.features.packed.member import BLOCK, require_member_name
from wsgn.manifest import Sampling
from wsgn.support.json_input import as_list, as_object, as_text, member, read_object
from wsgn.support.records import record_from_dict, record_to_dict

INDEX_NAME = "features.index.json"
_FORMAT = "wsgn.features.packed/1"
# What an entry of `files` says, in its order.
_COLUMNS = ("shard", "offset", "size", "num_snippets", "duration_seconds", "kind")
# Of another folder, or hidden, is none.
_SHARD_NAME = re.compile(r"[A-Za-z0-9_][A-Za-z0-9._-]{0,199}\.tar", re.ASCII)
_TYPES = ("float16", "float32")


@dataclass(frozen=True, kw_only=True)
class PackedFile:
    """Where the feature file of a video lies, and what is known of it."""

    # The number of its tar file in the index.
    shard: int
    # Of its first byte, behind the header of the member.
    offset: int
    size: int
    info: FeatureInfo


@dataclass(frozen=True, kw_only=True)
class PackIndex:
    """Tar files with their sizes in bytes, and feature files in them by the names of videos."""

    shards: tuple[tuple[str, int], ...] = ()
    files: Mapping[str, PackedFile]


@dataclass(frozen=True, kw_only=True)
class _Kind:
    """What many videos have alike."""

    frame_rate: float
    snippet_length: int
    snippet_stride: int
    feature_size: int
    dtype: str
    streams: tuple[FeatureStream, ...]
    source: str


def index_bytes(index: PackIndex) -> bytes:
    """The document of an index, a line for each video."""
    kinds: dict[_Kind, int] = {}
    lines = []
    for name, file in sorted(index.files.items()):
        number = kinds.setdefault(_kind_of(file.info), len(kinds))
        info = file.info
        entry = (
            file.shard, file.offset, file.size, info.num_snippets, info.duration_seconds, number
        )  # fmt: skip
        lines.append(f"{json.dumps(name)}: {json.dumps(entry, allow_nan=False)}")
    head = {
        "format": _FORMAT,
        "columns": _COLUMNS,
        "shards": index.shards,
        "kinds": [record_to_dict(kind) for kind in kinds],
    }
    text, rows = json.dumps(head, allow_nan=False), ",\n".join(lines)
    return f'{text[:-1]}, "files": {{\n{rows}\n}}}}\n'.encode()


def read_index(source: Path | str, where: str) -> PackIndex:
    """The index in a file, or in a text; raises `InputError` where it is damaged, or of others."""
    document = read_object(source, what=where)
    found = document.get("format")
    if found != _FORMAT:
        shown = json.dumps(found)[:60]
        raise InputError(
            f"{where} has format {shown}, this wsgn reads {_FORMAT}: pack the features again, or "
            "install the matching wsgn."
        )
    if document.get("columns") != list(_COLUMNS):
        raise InputError(f"{where}: 'columns' must be {json.dumps(_COLUMNS)}.")
    shards = [_shard(entry, where) for entry in _list(document, "shards", where)]
    kinds = [_kind(entry, where) for entry in _list(document, "kinds", where)]
    entries = as_object(member(document, "files", where), f"{where}: 'files'")
    if not entries:
        raise InputError(f"{where} names no videos: pack the features again.")
    files = {name: _file(name, entry, shards, kinds, where) for name, entry in entries.items()}
    return PackIndex(shards=tuple(shards), files=files)


def _list(document: dict[str, Any], key: str, where: str) -> list[Any]:
    return as_list(member(document, key, where), f"{where}: '{key}'")


def _shard(entry: Any, where: str) -> tuple[str, int]:
    if not isinstance(entry, list) or len(entry) != 2 or not _is_count(entry[1]):
        raise InputError(f"{where}: an entry of 'shards' is no [name, bytes].")
    name = as_text(entry[0], f"{where}: the name of a shard")
    if _SHARD_NAME.fullmatch(name) is None:
        raise InputError(f"{where}: {name[:60]!r} is not the name of a tar file beside it.")
    return name, entry[1]


def _kind(entry: Any, where: str) -> tuple[_Kind, Sampling]:
    try:
        kind = record_from_dict(
            _Kind, as_object(entry, f"{where}: an entry of 'kinds'"), what=f"a kind in {where}"
        )
        sampling = Sampling(
            frame_rate=kind.frame_rate,
            snippet_length=kind.snippet_length,
            snippet_stride=kind.snippet_stride,
        )
    # The file is wrong, not what the caller asked for.
    except UsageError as error:
        raise InputError(f"{where}: {error}") from error
    sizes = [stream.size for stream in kind.streams]
    adds_up = not sizes or (min(sizes) > 0 and sum(sizes) == kind.feature_size)
    if kind.dtype not in _TYPES or kind.feature_size < 1 or not adds_up:
        raise InputError(f"{where}: an entry of 'kinds' is of no features that can be read.")
    return kind, sampling


def _file(
    name: str,
    entry: Any,
    shards: list[tuple[str, int]],
    kinds: list[tuple[_Kind, Sampling]],
    where: str,
) -> PackedFile:
    try:
        require_member_name(name)
    except InputError as error:
        raise InputError(f"{where}: {error}") from error
    if not isinstance(entry, list) or len(entry) != len(_COLUMNS):
        raise InputError(f"{where}: the entry of '{name[:60]}' is no list of {len(_COLUMNS)}.")
    shard, offset, size, num_snippets, seconds, number = entry
    if not all(map(_is_count, (shard, offset, size, num_snippets, number))) or not (
        shard < len(shards) and number < len(kinds) and num_snippets > 0 and size > 0
    ):
        raise InputError(f"{where}: the entry of '{name[:60]}' holds no numbers that are possible.")
    if offset < BLOCK or offset % BLOCK or offset + size > shards[shard][1]:
        raise InputError(
            f"{where}: '{name[:60]}' is to lie at {offset} to {offset + size} of "
            f"{shards[shard][0]}, which has {shards[shard][1]} bytes: pack the features again."
        )
    kind, sampling = kinds[number]
    return PackedFile(
        shard=shard,
        offset=offset,
        size=size,
        info=FeatureInfo(
            num_snippets=num_snippets,
            feature_size=kind.feature_size,
            sampling=sampling,
            duration_seconds=_seconds(seconds, f"{where}: the duration of '{name[:60]}'"),
            streams=kind.streams,
            source=kind.source,
            dtype=kind.dtype,
        ),
    )


def _is_count(value: object) -> bool:
    # True is an int to Python.
    return type(value) is int and 0 <= value < 1 << 60


def _seconds(value: Any, where: str) -> float | None:
    if value is None:
        return None
    if type(value) not in (int, float) or not 0 < value < math.inf:
        raise InputError(f"{where} must be a positive number or null.")
    return float(value)


def _kind_of(info: FeatureInfo) -> _Kind:
    return _Kind(
        frame_rate=info.sampling.frame_rate,
        snippet_length=info.sampling.snippet_length,
        snippet_stride=info.sampling.snippet_stride,
        feature_size=info.feature_size,
        dtype=info.dtype,
        streams=info.streams,
        source=info.source,
    )
