"""VIDEO arguments to files: each gives one feature file, named after it."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import InputError, UsageError
from wsgn.support.files import input_errors
from wsgn.support.terminal import printable
from wsgn.video.files import (
    matching_files,
    nothing_found,
    video_files,
    without_video_suffix,
)


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
    line for each argument that leaves something out. A video is named after its file. Where several
    files of a folder that was named have one name, as `walk/1.mp4` and `jump/1.mp4`, theirs is the
    path from there on, `walk/1`, as in annotations by folders. Raises `InputError` for a folder or
    pattern that gives nothing, `UsageError` where two videos share a name nevertheless.
    """
    paths: dict[Path, tuple[Path, Path | None]] = {}
    for argument in arguments:
        top = Path(argument) if Path(argument).is_dir() else None
        for path in _expand(argument, tell):
            paths.setdefault(path.absolute(), (path, top))
    stems = Counter(path.stem for path, _ in paths.values())
    whole = Counter(path.with_suffix("") for path, _ in paths.values())
    videos: dict[str, VideoFile] = {}
    for path, top in paths.values():
        name = path.stem
        if top is not None and stems[name] > 1:
            inside = path.relative_to(top).as_posix()
            # Two files may differ in their ending only.
            name = without_video_suffix(inside) if whole[path.with_suffix("")] == 1 else inside
        video = VideoFile(path=path, name=name)
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
