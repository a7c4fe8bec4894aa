"""SOURCE arguments to jobs: files, directories, globs, addresses, list files and standard input."""

from __future__ import annotations

import glob
import os
import sys
from collections import Counter
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.errors import InputError, UsageError
from wsgn.remote.addresses import folder_of, inside, is_address, path_of
from wsgn.remote.cache import local_copy
from wsgn.remote.store import RemoteError
from wsgn.support.credentials import without_credentials
from wsgn.support.terminal import printable, without_surrogates
from wsgn.video import VideoError
from wsgn.video.addresses import (
    STANDARD_INPUT,
    file_of_address,
    is_elsewhere,
    is_network,
    name_of_address,
    refuse_live,
)
from wsgn.video.files import is_fifo, matching_files, nothing_found, video_files
from wsgn.video.stored import stored_videos

if TYPE_CHECKING:
    from ..features import FeatureVideo

LIST_SUFFIXES = frozenset({".txt", ".lst", ".list"})


@dataclass(frozen=True, kw_only=True)
class Job:
    """One source of a run."""

    # Path or address of the video, or `-` for standard input; of features where they lie.
    source: str
    # Relative path of its result files without a suffix; no other job of the run has it.
    output_name: str
    # Its name in results, as datasets have it: that of the file without its ending where no other
    # job of the run has that, else as much more of its path as tells them apart.
    key: str = ""
    # What there is to read where the engine takes features.
    features: FeatureVideo | None = None
    # Why there is nothing to run, if so: it is reported when the job's turn comes.
    problem: InputError | None = None


def expand_sources(
    arguments: Sequence[str],
    reserved_names: Iterable[str] = (),
    tell: Callable[[str], None] = lambda sentence: None,
) -> list[Job]:
    """The jobs that SOURCE arguments stand for, in order, each file once.

    A file that does not exist stays a job (it fails when its turn comes); an argument that gives
    nothing (an empty directory, a pattern without a match) becomes a job with a problem. `tell` is
    given one line for each argument that leaves something out. A `UsageError` is raised for sources
    that this version does not have.
    """
    jobs: list[Job] = []
    seen: set[str] = set()
    for argument in arguments:
        for job in _guarded(argument, _jobs(argument, tell)):
            place = place_of(job.source)
            if place not in seen:
                seen.add(place)
                jobs.append(job)
    return _with_keys(with_unique_names(jobs, reserved_names))


def video_of(job: Job) -> Path | str:
    """What the video reader is given."""
    if job.source == STANDARD_INPUT or is_elsewhere(job.source):
        return job.source
    return Path(job.source)


def waiting_sentence(job: Job) -> str | None:
    """What to tell before a source is opened that may let one wait."""
    if not is_fifo(job.source):
        return None
    return f"{display_name(job.source)} is a FIFO: waiting for somebody to write into it."


def display_name(path: str) -> str:
    """A source as text: letters that are not valid in the file system's encoding are replaced."""
    if path == STANDARD_INPUT:
        return "stdin"
    if is_elsewhere(path):
        return without_credentials(path)
    encoding = sys.getfilesystemencoding()
    try:
        name = os.fsencode(path)
    except UnicodeEncodeError:
        # No file has such a name; a list file may.
        return without_surrogates(path)
    # A name says the same, whatever the locale: where it knows no letters, they are UTF-8.
    return name.decode("utf-8" if encoding == "ascii" else encoding, "replace")


def place_of(source: str) -> str:
    """Where a source is, by whatever way it was named; a link to a file is another one."""
    if source == STANDARD_INPUT or is_elsewhere(source):
        return source
    folder, name = os.path.split(source)
    try:
        return os.path.join(os.path.realpath(folder), name)  # noqa: PTH118
    # A name that no file can have.
    except ValueError:
        return source


def _guarded(argument: str, jobs: Iterator[Job]) -> Iterator[Job]:
    """The jobs of an argument; what goes wrong with it is the problem of one job."""
    try:
        yield from jobs
    except UsageError:
        raise
    except VideoError as error:
        yield Job(source=argument, output_name="failed", problem=error)
    except OSError as error:
        reason = error.strerror or str(error)
        yield _problem_job(argument, "unreadable", _unreadable(argument, reason))
    # A null character, or a letter that the file system's encoding lacks.
    except ValueError:
        yield _problem_job(argument, "unreadable", f"'{_shown(argument)}' is the name of no file.")


def _jobs(argument: str, tell: Callable[[str], None]) -> Iterator[Job]:
    yield from (_list_jobs if is_list(argument) else _plain_jobs)(argument, tell)


def _unreadable(argument: str, reason: str) -> str:
    return f"'{_shown(argument)}' cannot be read: {reason}."


def _shown(argument: str) -> str:
    return printable(display_name(argument))


def _problem_job(argument: str, code: str, message: str) -> Job:
    return Job(source=argument, output_name="failed", problem=VideoError(code, message))


def is_list(argument: str) -> bool:
    """Whether a SOURCE argument names a file with one source per line."""
    if argument.startswith("@") and not Path(argument).exists():
        return True
    path = Path(argument)
    if is_address(argument):
        return path.suffix.lower() in LIST_SUFFIXES
    if is_network(argument) or (glob.has_magic(argument) and not path.exists()):
        return False
    return path.suffix.lower() in LIST_SUFFIXES and not path.is_dir()


def _plain_jobs(argument: str, tell: Callable[[str], None]) -> Iterator[Job]:
    path = Path(argument)
    if argument == STANDARD_INPUT:
        yield Job(source=STANDARD_INPUT, output_name="stdin")
    elif path.is_dir():
        yield from _directory_jobs(path, tell)
    elif path.exists():
        yield _file_job(path)
    elif is_address(argument):
        yield from _stored_jobs(argument, tell)
    elif is_network(argument):
        yield Job(source=argument, output_name=Path(name_of_address(argument)).stem)
    else:
        refuse_live(argument)
        if (file := file_of_address(argument)) is not None:
            yield from _plain_jobs(str(file), tell)
        elif glob.has_magic(argument):
            yield from _glob_jobs(argument, tell)
        else:
            yield _file_job(path)


def _file_job(path: Path) -> Job:
    # A file of that name is reached as ./-
    source = str(path) if str(path) != STANDARD_INPUT else f"./{STANDARD_INPUT}"
    return Job(source=source, output_name=path.stem)


def _directory_jobs(directory: Path, tell: Callable[[str], None]) -> Iterator[Job]:
    found = video_files(directory)
    for folder, reason in found.unreadable.items():
        yield _problem_job(str(folder), "unreadable", _unreadable(str(folder), reason))
    if not found.videos:
        raise VideoError("empty_directory", nothing_found(str(directory), found))
    if line := found.left_out():
        tell(f"{display_name(str(directory))}: {line}.")
    for path in found.videos:
        name = path.relative_to(directory).with_suffix("")
        yield Job(source=str(path), output_name=str(name))


def _stored_jobs(address: str, tell: Callable[[str], None]) -> Iterator[Job]:
    videos, line = stored_videos(address)
    if line:
        tell(f"{display_name(address)}: {line}.")
    for video in videos:
        yield Job(source=video.address, output_name=str(Path(video.name).with_suffix("")))


def _glob_jobs(pattern: str, tell: Callable[[str], None]) -> Iterator[Job]:
    found = matching_files(pattern)
    if not found.videos:
        raise VideoError("no_match", nothing_found(pattern, found))
    if line := found.left_out():
        tell(f"{display_name(pattern)}: {line}.")
    yield from map(_file_job, found.videos)


def _list_jobs(argument: str, tell: Callable[[str], None]) -> Iterator[Job]:
    """Sources in a text file, relative to its folder."""
    place = argument.removeprefix("@")
    folder = folder_of(place) if is_address(place) else Path(place).parent
    for entry in list_entries(argument):
        try:
            yield from _guarded(entry, _entry_jobs(entry, folder, tell))
        except UsageError as error:
            # What lacks its protocol may have a password all the same.
            source = without_credentials(entry) if "://" in entry else entry.rpartition("@")[2]
            yield _problem_job(source, "live_source", str(error))


def list_entries(argument: str) -> list[str]:
    """What stands in a list file, one source per line; # starts a comment.

    Raises `VideoError` or `OSError` where it cannot be read or names nothing.
    """
    path = _list_file(argument.removeprefix("@"))
    if not path.exists():
        raise VideoError("missing", f"the list file '{path}' does not exist: check the path.")
    if not path.is_file():
        raise VideoError("bad_list", f"the list file '{path}' is a folder, a FIFO or a device.")
    try:
        # Not splitlines: a name may hold what Unicode calls a line's end.
        lines = [line.strip(" \t\r") for line in path.read_text("utf-8-sig").split("\n")]
    except UnicodeDecodeError as error:
        raise VideoError(
            "bad_list", f"'{path}' is not a list file: it must be text with one source per line."
        ) from error
    entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        raise VideoError("empty_list", f"the list file '{path}' names no sources.")
    return entries


def _list_file(place: str) -> Path:
    """A list file on this disk."""
    if not is_address(place):
        return Path(place)
    try:
        return local_copy(place)
    except RemoteError as error:
        raise VideoError(error.code, str(error)) from error


def _entry_jobs(entry: str, folder: Path | str, tell: Callable[[str], None]) -> Iterator[Job]:
    """The jobs of one line of a list file, which lies in a folder or at an address."""
    if isinstance(folder, str) and entry != STANDARD_INPUT and "://" not in entry:
        entry = inside(folder, entry)
    elif entry != STANDARD_INPUT and "://" not in entry:
        relative = os.path.join(folder, entry)  # noqa: PTH118
        if not Path(relative).exists():
            refuse_live(entry)
        entry = relative
    yield from _plain_jobs(entry, tell)


def with_unique_names(jobs: list[Job], reserved_names: Iterable[str]) -> list[Job]:
    """Result names of their own for videos that would share one (`a.mp4` and `a.mkv`)."""
    taken = set(reserved_names)
    named: list[Job] = []
    for job in jobs:
        name = job.output_name
        # a.partial.json is what is left of an interrupted a.json.
        if (name in taken or name.endswith(".partial")) and job.source != STANDARD_INPUT:
            name += Path(
                name_of_address(job.source) if is_elsewhere(job.source) else job.source
            ).suffix
        candidates = (name if n == 1 else f"{name}-{n}" for n in range(1, len(jobs) + 3))
        name = next(candidate for candidate in candidates if candidate not in taken)
        taken.add(name)
        named.append(replace(job, output_name=name))
    return named


def _with_keys(jobs: list[Job]) -> list[Job]:
    """Names in results: the shortest end of each path that no other job's path has."""
    candidates = [list(dict.fromkeys(_ends_of(job))) for job in jobs]
    counts = Counter(end for ends in candidates for end in ends)
    return [
        replace(job, key=next((end for end in ends if counts[end] == 1), ends[-1]))
        for job, ends in zip(jobs, candidates, strict=True)
    ]


def _ends_of(job: Job) -> Iterator[str]:
    """`a`, `a.mp4`, `x/a`, `x/a.mp4` and so on."""
    if job.source == STANDARD_INPUT:
        yield "stdin"
        return
    path = Path(_path_of(job.source))
    for number in range(1, len(path.parts) + 1):
        end = Path(*path.parts[-number:])
        yield display_name(end.with_suffix("").as_posix() if end.name else end.as_posix())
        yield display_name(end.as_posix())
    yield display_name(job.source)


def _path_of(source: str) -> str:
    """What of a source's place tells it from others; of a web page no more than the last part."""
    if is_address(source):
        return path_of(source)
    return name_of_address(source) if is_network(source) else place_of(source)
