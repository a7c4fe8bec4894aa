"""SOURCE arguments to jobs: files, directories, globs, list files and standard input."""

from __future__ import annotations

import glob
import os
import re
import sys
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import BinaryIO

from wsgn.errors import InputError, UsageError
from wsgn.video import VideoError

_VIDEO_ENDINGS = (
    "3gp 264 265 avi flv gif h264 h265 hevc ivf m2ts m4v mkv mov mp4 mpeg mpg mts mxf nut obu ogv "
    "ts vob webm wmv y4m"
)
VIDEO_SUFFIXES = frozenset(f".{ending}" for ending in _VIDEO_ENDINGS.split())
LIST_SUFFIXES = frozenset({".txt", ".lst", ".list"})
STANDARD_INPUT = "-"
_CREDENTIALS = re.compile(r"//[^/]*@")
_LIVE = re.compile(r"(?:[a-z][a-z0-9+.-]+://.*|/dev/video\d+|\d+)", re.IGNORECASE)


@dataclass(frozen=True, kw_only=True)
class Job:
    """One source of a run."""

    # Path of the video, or `-` for standard input.
    source: str
    # Relative path of its result files without a suffix; no other job of the run has it.
    output_name: str
    # Why there is nothing to run, if so: it is reported when the job's turn comes.
    problem: InputError | None = None


def expand_sources(arguments: Sequence[str], reserved_names: Iterable[str] = ()) -> list[Job]:
    """The jobs that SOURCE arguments stand for, in order, each file once.

    A file that does not exist stays a job (it fails when its turn comes); an argument that gives
    nothing (an empty directory, a pattern without a match) becomes a job with a problem. A
    `UsageError` is raised for sources that this version does not have.
    """
    jobs: list[Job] = []
    seen: set[str] = set()
    for argument in arguments:
        for job in _guarded(argument):
            key = job.source if job.source == STANDARD_INPUT else str(Path(job.source).absolute())
            if key not in seen:
                seen.add(key)
                jobs.append(job)
    return _with_unique_names(jobs, reserved_names)


def open_source(job: Job) -> Path | BinaryIO:
    """What the video reader is given. Raises `VideoError` when stdin gives nothing."""
    if job.source != STANDARD_INPUT:
        return Path(job.source)
    # Where stdin was closed from the start, its number may belong to another file by now.
    if sys.stdin is None or sys.stdin.closed:
        raise VideoError("stdin_closed", "stdin is closed: pipe a video into it.")
    if sys.stdin.isatty():
        raise VideoError("stdin_terminal", "stdin is a terminal: pipe a video into it.")
    # Unbuffered: a buffered reader's lock, held by the reading thread, would block the exit.
    return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)


def display_name(path: str) -> str:
    """A source as text: letters that are not valid in the file system's encoding are replaced."""
    if path == STANDARD_INPUT:
        return "stdin"
    return os.fsencode(path).decode(sys.getfilesystemencoding(), "replace")


def _guarded(argument: str) -> Iterator[Job]:
    try:
        yield from _list_jobs(argument) if _is_list(argument) else _plain_jobs(argument)
    except OSError as error:
        reason = error.strerror or str(error)
        yield _problem_job(argument, "unreadable", f"'{argument}' cannot be read: {reason}.")
    except VideoError as error:
        yield Job(source=argument, output_name="failed", problem=error)


def _problem_job(argument: str, code: str, message: str) -> Job:
    return Job(source=argument, output_name="failed", problem=VideoError(code, message))


def _is_list(argument: str) -> bool:
    if argument.startswith("@") and not Path(argument).exists():
        return True
    path = Path(argument)
    if glob.has_magic(argument) and not path.exists():
        return False
    return path.suffix.lower() in LIST_SUFFIXES and not path.is_dir()


def _plain_jobs(argument: str) -> Iterator[Job]:
    path = Path(argument)
    if argument == STANDARD_INPUT:
        yield Job(source=STANDARD_INPUT, output_name="stdin")
    elif path.is_dir():
        yield from _directory_jobs(path)
    elif path.is_file():
        yield _file_job(path)
    elif _LIVE.fullmatch(argument):
        raise UsageError(
            f"'{_CREDENTIALS.sub('//', argument)}' is a live source, which this version does not "
            "read: give a video file, a directory, a pattern, a list file or -."
        )
    elif glob.has_magic(argument):
        yield from _glob_jobs(argument)
    else:
        yield _file_job(path)


def _file_job(path: Path) -> Job:
    return Job(source=str(path), output_name=path.stem)


def _directory_jobs(directory: Path) -> Iterator[Job]:
    found = sorted(_video_files(directory))
    if not found:
        raise VideoError(
            "empty_directory",
            f"the directory '{directory}' holds no video files (looked for *.mp4, *.mkv and the "
            "like, also in its folders); name a file directly if it has another suffix.",
        )
    for path in found:
        name = path.relative_to(directory).with_suffix("")
        yield Job(source=str(path), output_name=str(name))


def _video_files(directory: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise error

    for folder, folders, names in os.walk(directory, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in names:
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                yield Path(folder, name)


def _glob_jobs(pattern: str) -> Iterator[Job]:
    matches = [Path(match) for match in _matches(pattern)]
    files = [path for path in matches if path.is_file()]
    if not files:
        raise VideoError("no_match", f"no file matches '{pattern}': check the pattern.")
    yield from map(_file_job, files)


def _matches(pattern: str) -> list[str]:
    # Path.glob knows neither absolute patterns nor "..", which a shell expands.
    return sorted(glob.glob(pattern, recursive=True))  # noqa: PTH207


def _list_jobs(argument: str) -> Iterator[Job]:
    """Sources in a text file, one per line, relative to its folder; # starts a comment."""
    path = Path(argument.removeprefix("@"))
    if not path.is_file():
        raise VideoError("missing", f"the list file '{path}' does not exist: check the path.")
    try:
        lines = [line.strip() for line in path.read_text("utf-8-sig").splitlines()]
    except UnicodeDecodeError as error:
        raise VideoError(
            "bad_list", f"'{path}' is not a list file: it must be text with one source per line."
        ) from error
    entries = [line for line in lines if line and not line.startswith("#")]
    if not entries:
        raise VideoError("empty_list", f"the list file '{path}' names no sources.")
    for entry in entries:
        plain = entry == STANDARD_INPUT or _LIVE.fullmatch(entry)
        try:
            yield from _plain_jobs(entry if plain else str(path.parent / entry))
        except UsageError as error:
            shown = _CREDENTIALS.sub("//", entry)
            yield _problem_job(shown, "live_source", str(error))
        except VideoError as error:
            yield Job(source=entry, output_name="failed", problem=error)


def _with_unique_names(jobs: list[Job], reserved_names: Iterable[str]) -> list[Job]:
    """Result names of their own for videos that would share one (`a.mp4` and `a.mkv`)."""
    taken = set(reserved_names)
    named: list[Job] = []
    for job in jobs:
        name = job.output_name
        if name in taken and job.source != STANDARD_INPUT:
            name += Path(job.source).suffix
        candidates = (name if n == 1 else f"{name}-{n}" for n in range(1, len(jobs) + 3))
        name = next(candidate for candidate in candidates if candidate not in taken)
        taken.add(name)
        named.append(replace(job, output_name=name))
    return named
