"""VIDEO arguments to files: each gives one feature file, named after it."""

from __future__ import annotations

import glob
import os
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import InputError, UsageError

_ENDINGS = "3gp avi flv gif h264 h265 ivf m2ts m4v mkv mov mp4 mpeg mpg mts mxf ogv ts webm wmv y4m"
VIDEO_SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """A video to read, and the name of its features without a suffix."""

    path: Path
    name: str


def expand_videos(arguments: Sequence[str]) -> list[VideoFile]:
    """The videos that files, folders and patterns stand for, in order, each once.

    A file that does not exist stays in the list (it fails when its turn comes). Raises `InputError`
    for a folder or pattern that gives nothing, `UsageError` where two videos share a name.
    """
    paths: dict[Path, Path] = {}
    for argument in arguments:
        for path in _expand(argument):
            paths.setdefault(path.absolute(), path)
    videos: dict[str, VideoFile] = {}
    for path in paths.values():
        video = VideoFile(path=path, name=path.stem)
        if video.name in videos:
            raise UsageError(
                f"{videos[video.name].path} and {path} would both give features named "
                f"'{video.name}': extract them into different folders, or rename one."
            )
        videos[video.name] = video
    return list(videos.values())


def _expand(argument: str) -> Iterator[Path]:
    path = Path(argument)
    if path.is_dir():
        yield from _in_folder(path)
    elif path.exists() or not glob.has_magic(argument):
        yield path
    else:
        # Path.glob knows neither absolute patterns nor "..".
        matches = [Path(match) for match in sorted(glob.glob(argument, recursive=True))]  # noqa: PTH207
        files = [match for match in matches if match.is_file()]
        if not files:
            raise InputError(f"no file matches '{argument}': check the pattern.")
        yield from files


def _in_folder(folder: Path) -> Iterator[Path]:
    def fail(error: OSError) -> None:
        raise InputError(f"the folder {folder} cannot be read: {error.strerror}.") from error

    found = False
    for top, folders, names in os.walk(folder, onerror=fail):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        for name in sorted(names):
            if not name.startswith(".") and Path(name).suffix.lower() in VIDEO_SUFFIXES:
                found = True
                yield Path(top, name)
    if not found:
        raise InputError(
            f"the folder {folder} holds no video files (*.mp4, *.mkv and the like); name a file "
            "directly if it has another suffix."
        )
