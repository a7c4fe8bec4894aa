"""What a shard of a run leaves beside its results, for `wsgn-run merge` to hold against the others.

`detections.2-of-4.shard` says which sources the shard had and what became of them.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from wsgn.errors import InputError, UsageError
from wsgn.support.files import file_sha256, input_errors
from wsgn.support.json_input import read_object
from wsgn.support.mirrors import at_hand
from wsgn.support.records import record_from_dict
from wsgn.support.shards import Shard

from ..events import RunEvent
from ..writers import ResultFile
from .joined import JOINED_NAME
from .sources import Job

RECORD_SUFFIX = ".shard"
_SCHEMA = "wsgn.shard/1"
DONE, FAILED, NOT_RUN = "done", "failed", "not run"


@dataclass(frozen=True, kw_only=True)
class ShardSource:
    """One source of a shard."""

    # In the list of all sources, from 0.
    position: int
    # In results.
    name: str
    # One of DONE, FAILED, NOT_RUN.
    state: str
    # Of its page, relative to the folder; empty without one.
    page: str = ""
    # Why it failed.
    problem: str = ""


@dataclass(frozen=True, kw_only=True)
class ShardRecord:
    """A shard that has come to its end."""

    number: int
    count: int
    # Sources of all shards, and a hash of their names: shards of other lists do not fit.
    num_all: int
    list_sha256: str
    formats: tuple[str, ...]
    engine_sha256: str
    parameters: dict[str, Any]
    # By format, the SHA-256 of the shard's document of all its sources.
    documents: dict[str, str]
    sources: tuple[ShardSource, ...]


@dataclass(frozen=True, kw_only=True)
class ShardPlan:
    """A shard, and the list that it is one of."""

    shard: Shard
    num_all: int
    list_sha256: str


def shard_plan(shard: Shard, jobs: Sequence[Job]) -> ShardPlan:
    """The plan of a shard of all jobs of a run."""
    names = hashlib.sha256(json.dumps([job.key for job in jobs]).encode())
    return ShardPlan(shard=shard, num_all=len(jobs), list_sha256=names.hexdigest())


def reserved_names(shard: Shard) -> list[str]:
    """Names without endings that no source of a run in so many shards may have."""
    return [f"{JOINED_NAME}.{number}-of-{shard.count}" for number in range(1, shard.count + 1)]


def record_path(folder: Path, shard: Shard) -> Path:
    """Where the record of a shard lies."""
    return folder / f"{JOINED_NAME}.{shard.name}{RECORD_SUFFIX}"


def write_record(
    path: Path,
    plan: ShardPlan,
    run: RunEvent,
    *,
    formats: Sequence[str],
    documents: Mapping[str, Path],
    sources: Sequence[ShardSource],
) -> None:
    """Write the record of a shard, whose documents are there. Raises `OutputError`."""
    record = ShardRecord(
        number=plan.shard.number,
        count=plan.shard.count,
        num_all=plan.num_all,
        list_sha256=plan.list_sha256,
        formats=tuple(formats),
        engine_sha256=run.engine_sha256,
        parameters=run.parameters,
        documents={kind: document_sha256(document) for kind, document in documents.items()},
        sources=tuple(sources),
    )
    file = ResultFile(path)
    try:
        # In ASCII, which keeps names of files that are no text.
        file.write(json.dumps({"schema": _SCHEMA} | asdict(record), indent=1) + "\n")
        file.commit()
    finally:
        file.discard()


def document_sha256(path: Path) -> str:
    """Of a shard's document, what its record says of it. Raises `InputError`."""
    with input_errors(path), at_hand(path) as copy:
        return file_sha256(copy)


def read_record(path: Path) -> ShardRecord:
    """The record in a file. Raises `InputError`."""
    with at_hand(path) as file:
        document = read_object(file, what=f"'{path}'")
    if document.pop("schema", None) != _SCHEMA:
        raise InputError(f"'{path}' is no record of a shard of this version ({_SCHEMA}).")
    try:
        record = record_from_dict(ShardRecord, document, what="it")
        shard = Shard(number=record.number, count=record.count)
    except UsageError as error:
        raise InputError(f"'{path}' is no record of a shard: {error}") from error
    expected = list(shard.positions(record.num_all))
    if [source.position for source in record.sources] != expected:
        raise InputError(f"'{path}' does not list the sources of its shard: run that once more.")
    return record
