"""Which SOURCE arguments are live, and what each is called."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from wsgn.errors import UsageError
from wsgn.support.shards import Shard
from wsgn.video import VideoError
from wsgn.video.addresses import STANDARD_INPUT, is_network
from wsgn.video.live.source import LiveSource, default_name, is_live

from ..live.asking import answers_of
from .cameras import check_source_name, is_camera_list, read_cameras
from .sources import display_name, expand_sources, is_list, list_entries


@dataclass(frozen=True, kw_only=True)
class LiveWords:
    """What of a command line says which sources are live."""

    arguments: tuple[str, ...]
    # Files are played by their times.
    realtime: bool = False
    # Of the sources that no list of cameras names, in their order; empty for their own.
    names: tuple[str, ...] = ()
    # Whether an option was given that only live sources know.
    wants_live: bool = False
    # Which of them; None for all.
    shard: Shard | None = None


@dataclass(frozen=True, kw_only=True)
class LiveList:
    """The live sources of a run."""

    sources: tuple[LiveSource, ...]
    # Files that named some of them; SIGHUP reads them again.
    lists: tuple[Path, ...]


@dataclass(frozen=True, kw_only=True)
class _Entry:
    """One source as it was written."""

    text: str
    # None of an address that may be either.
    live: bool | None
    # Where a list of cameras says it all.
    camera: LiveSource | None = None


@dataclass(frozen=True, kw_only=True)
class _Named:
    """A source, and whether a user chose its name."""

    source: LiveSource
    by_user: bool = False


def find_live(words: LiveWords, ask: Callable[[str], bool | None] | None = None) -> LiveList | None:
    """The live sources, of a shard perhaps none; None where all are files.

    `ask` says of an http(s) address whether it is live, or None where it does not answer; where
    nobody may ask, it is taken for live. Raises `UsageError` where files and live sources are
    mixed, or names do not fit; `InputError` where a list of cameras cannot be read.
    """
    entries = list(_entries(words.arguments))
    if ask is not None:
        entries = _asked(entries, ask)
    has_live = words.realtime or any(entry.live for entry in entries)
    if not has_live and not (words.wants_live and any(entry.live is None for entry in entries)):
        return None
    sources: list[_Named] = []
    for entry in _once(entries):
        if entry.camera is not None:
            sources.append(_Named(source=entry.camera, by_user=True))
        elif entry.live is False and entry.text != STANDARD_INPUT:
            sources += _played(entry, entries, realtime=words.realtime)
        else:
            source = LiveSource(name=_usual_name(entry.text), address=entry.text)
            sources.append(_Named(source=source))
    lists = [Path(text.removeprefix("@")) for text in words.arguments if _names_others(text)]
    named = _without_doubles(_with_names(sources, words.names))
    if words.shard is not None:
        # Names tell the sources of all shards apart, which may write into one folder.
        named = tuple(words.shard.of(named))
    return LiveList(sources=named, lists=tuple(lists))


def _names_others(argument: str) -> bool:
    return is_camera_list(argument) or is_list(argument)


def _entries(arguments: Sequence[str]) -> Iterator[_Entry]:
    for argument in arguments:
        if is_camera_list(argument):
            for camera in read_cameras(Path(argument)):
                yield _Entry(text=camera.address, live=True, camera=camera)
        elif is_list(argument):
            yield from map(_entry, _listed(argument))
        else:
            yield _entry(argument)


def _listed(argument: str) -> Iterator[str]:
    try:
        lines = list_entries(argument)
    # It is said when the run over files comes to it.
    except (VideoError, OSError, ValueError):
        yield argument
        return
    folder = Path(argument.removeprefix("@")).parent
    for line in lines:
        path = os.path.join(folder, line)  # noqa: PTH118
        is_path = line != STANDARD_INPUT and "://" not in line
        yield path if is_path and (os.path.lexists(path) or not is_live(line)) else line


def _entry(text: str) -> _Entry:
    try:
        is_file = text == STANDARD_INPUT or os.path.lexists(text)
    # A name that no file can have.
    except (OSError, ValueError):
        is_file = True
    return _Entry(text=text, live=False if is_file else is_live(text))


def _asked(entries: list[_Entry], ask: Callable[[str], bool | None]) -> list[_Entry]:
    answers = answers_of([entry.text for entry in entries if entry.live is None], ask)
    return [replace(entry, live=answers.get(entry.text, entry.live)) for entry in entries]


def _once(entries: Sequence[_Entry]) -> list[_Entry]:
    """Each source once; a list of cameras may name one twice."""
    return list(
        {entry.text if entry.camera is None else entry: entry for entry in entries}.values()
    )


def _played(entry: _Entry, entries: Sequence[_Entry], *, realtime: bool) -> list[_Named]:
    """Files as sources that go by their times."""
    if not realtime:
        live = next((other.text for other in entries if other.live), entry.text)
        raise UsageError(
            f"'{display_name(entry.text)}' is a file and '{_usual_name(live)}' is live: run them "
            "apart, or add --realtime, which plays files by their times."
        )
    found = []
    for job in expand_sources([entry.text]):
        if job.problem is not None:
            raise job.problem
        name = job.output_name.replace("/", "_").lstrip(".-") or "video"
        found.append(_Named(source=LiveSource(name=name, address=job.source, realtime=True)))
    return found


def _usual_name(text: str) -> str:
    if text == STANDARD_INPUT:
        return "stdin"
    return default_name(text) if is_network(text) or is_live(text) else display_name(text)


def _with_names(sources: list[_Named], names: Sequence[str]) -> list[_Named]:
    """The sources with the names that the command line gives."""
    num_free = sum(not source.by_user for source in sources)
    if not names:
        return sources
    if len(names) != num_free:
        raise UsageError(
            f"--source-name was given {len(names)} times for {num_free} sources: give it once for "
            "each that no list of cameras names, in their order."
        )
    for name in names:
        check_source_name(name, "--source-name")
    given = iter(names)
    return [
        one if one.by_user else _Named(source=replace(one.source, name=next(given)), by_user=True)
        for one in sources
    ]


def _without_doubles(sources: Sequence[_Named]) -> tuple[LiveSource, ...]:
    """The sources, no two of one name; what users chose stands, and others make room."""
    taken: set[str] = set()
    # File systems may not tell capitals from small letters.
    for one in sources:
        if one.by_user and one.source.name.casefold() in taken:
            raise UsageError(f"two sources are called '{one.source.name}': choose another name.")
        if one.by_user:
            taken.add(one.source.name.casefold())
    result = []
    for one in sources:
        source = one.source
        if not one.by_user:
            name = source.name
            tries = (name if n == 1 else f"{name}-{n}" for n in range(1, len(sources) + 2))
            source = replace(source, name=next(x for x in tries if x.casefold() not in taken))
            taken.add(source.name.casefold())
        result.append(source)
    return tuple(result)
