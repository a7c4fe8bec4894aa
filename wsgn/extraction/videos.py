"""VIDEO arguments to files: each gives one feature file, named after it."""

from __future__ import annotations

import glob
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import InputError, UsageError
from wsgn.support.files import input_errors
from wsgn.support.terminal import printable
from wsgn.video.files import matching_files, nothing_found, video_files


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """A video to read, and the name of its features without a suffix."""

    path: Path
    name: str


def expand_videos(
    arguments: Sequence[str], tell: Callable[[str], None] = lambda sentence: None
) -> list[VideoFile]:
    """The videos that files, folders and patterns stand for, in order, each once.

    A file that does not exist stays in the list (it fails when its turn comes); `tell` is given one
    line for each argument that leaves something out. Raises `InputError` for a folder or pattern
    that gives nothing, `UsageError` where two videos share a name.
    """
    paths: dict[Path, Path] = {}
    for argument in arguments:
        for path in _expand(argument, tell):
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


def _expand(argument: str, tell: Callable[[str], None]) -> Sequence[Path]:
    path = Path(argument)
    with input_errors(f"'{printable(argument)}'"):
        if path.is_dir():
            found = video_files(path)
        elif path.exists() or not glob.has_magic(argument):
            return [path]
        else:
            found = matching_files(argument)
    if line := found.left_out():
        tell(f"{argument}: {line}.")
    for folder, reason in found.unreadable.items():
        raise InputError(f"the folder {folder} cannot be read: {reason}.")
    if not found.videos:
        raise InputError(nothing_found(argument, found))
    return found.videos
