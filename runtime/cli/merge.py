"""`wsgn-run merge`: the documents of a whole run, out of those that its shards left."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from wsgn.errors import InputError, OutputError
from wsgn.remote.arguments import output_folder
from wsgn.support.command import failure_code
from wsgn.support.files import input_errors
from wsgn.support.mirrors import file_names, is_there
from wsgn.support.parser import CommandParser
from wsgn.support.shards import Shard, unfinished_shards
from wsgn.support.terminal import printable

from ..report.names import INDEX_NAME, PAGE_FORMAT
from ..writers import SourceResult
from .console import Console, print_result
from .joined import JOINED_FORMATS, JOINED_NAME, read_joined, write_joined
from .shard_records import (
    DONE,
    RECORD_SUFFIX,
    ShardRecord,
    ShardSource,
    document_sha256,
    read_record,
)

_DESCRIPTION = """\
Join what the shards of one run left in a folder: detections.json, detections.csv and index.html,
as one run over all sources writes them. It goes by the records detections.1-of-N.shard."""
_RECORD = re.compile(rf"{JOINED_NAME}\.\d+-of-\d+{re.escape(RECORD_SUFFIX)}")
# Sources that failed, each named with its reason.
_MOST_NAMED = 20


def merge(arguments: Sequence[str]) -> int:
    """Run the subcommand; the exit code is that of the run as a whole."""
    parser = CommandParser(prog="wsgn-run merge", description=_DESCRIPTION)
    parser.add_argument(
        "folder", type=output_folder, metavar="DIR", help="what the shards were given with --output"
    )
    parser.add_argument("--overwrite", action="store_true", help="replace files that exist")
    words = parser.parse_args(arguments)
    folder: Path = words.folder
    records = _records(folder)
    sources = sorted(
        (source for record in records for source in record.sources),
        key=lambda source: source.position,
    )
    targets = _targets(folder, records[0].formats, len(sources))
    if not words.overwrite and (existing := [path for path in targets.values() if is_there(path)]):
        raise OutputError(f"'{existing[0]}' exists already: add --overwrite to replace it.")
    # All are read before one is written.
    joined = {
        kind: _joined(folder, kind, records, sources) for kind in targets if kind != PAGE_FORMAT
    }
    for kind, path in targets.items():
        if kind == PAGE_FORMAT:
            _write_index(path, sources)
        else:
            write_joined(path, kind, joined[kind])
        print_result(f"{printable(str(path))}\n")
    return _tell_how_it_ended(sources)


def _records(folder: Path) -> list[ShardRecord]:
    """Those of all shards, in their order. Raises `InputError` where they are no whole run."""
    with input_errors(folder):
        paths = [folder / name for name in file_names(folder) if _RECORD.fullmatch(name)]
    if not paths:
        raise InputError(
            f"'{folder}' holds no record of a shard ({JOINED_NAME}.1-of-N{RECORD_SUFFIX}): name "
            "the folder that wsgn-run --shard -o wrote to."
        )
    records = [read_record(path) for path in paths]
    first = records[0]
    for path, record in zip(paths, records, strict=True):
        if difference := _difference(first, record):
            raise InputError(
                f"'{path.name}' and '{paths[0].name}' are no shards of one run: they differ in "
                f"{difference}; remove what an earlier run left."
            )
    by_number = {record.number: record for record in records}
    if words := unfinished_shards(by_number, first.count):
        raise InputError(f"{words}; run them with --resume, then merge again.")
    return [by_number[number] for number in range(1, first.count + 1)]


def _difference(one: ShardRecord, other: ShardRecord) -> str:
    """In what two records belong to different runs; empty where in nothing."""
    pairs = {
        "the number of shards": (one.count, other.count),
        "the list of sources": (one.list_sha256, other.list_sha256),
        "the formats": (one.formats, other.formats),
        "the engine": (one.engine_sha256, other.engine_sha256),
        "the options of detection": (one.parameters, other.parameters),
    }
    return next((name for name, (first, second) in pairs.items() if first != second), "")


def _targets(folder: Path, formats: Sequence[str], num_sources: int) -> dict[str, Path]:
    """The documents of all sources by format, where a run over so many writes them."""
    if num_sources < 2:
        return {}
    names = {kind: f"{JOINED_NAME}.{kind}" for kind in JOINED_FORMATS} | {PAGE_FORMAT: INDEX_NAME}
    return {kind: folder / names[kind] for kind in formats if kind in names}


def _joined(
    folder: Path, kind: str, records: Sequence[ShardRecord], sources: Sequence[ShardSource]
) -> list[SourceResult]:
    """The results of the sources that were done, in the order of the whole list."""
    found: dict[str, SourceResult] = {}
    for record in records:
        name = Shard(number=record.number, count=record.count).name
        path = folder / f"{JOINED_NAME}.{name}.{kind}"
        # Rows that are missing at the end of a CSV are not seen in it.
        if document_sha256(path) != record.documents.get(kind):
            raise InputError(
                f"'{path}' is not what its shard wrote: run shard {record.number}/{record.count} "
                "once more with --resume."
            )
        found |= read_joined(path, kind)
    done = [source.name for source in sources if source.state == DONE]
    # A CSV has no rows of a source without segments.
    return [found.get(name, SourceResult(name=name, segments=())) for name in done]


def _write_index(path: Path, sources: Sequence[ShardSource]) -> None:
    from ..report.index import write_index

    pages = [path.parent / source.page for source in sources if source.state == DONE]
    write_index(path, [page for page in pages if is_there(page)])


def _tell_how_it_ended(sources: Sequence[ShardSource]) -> int:
    console = Console()
    unfinished = [source for source in sources if source.state != DONE]
    for source in unfinished[:_MOST_NAMED]:
        console.error(f"{source.name}: {source.problem or source.state}")
    states = Counter(source.state for source in sources)
    words = ", ".join(f"{number} {state}" for state, number in states.items())
    console.say(f"{len(sources)} sources: {words}.")
    return failure_code(len(unfinished), len(sources) - len(unfinished))
