"""VIDEO arguments to files: each gives one feature file, named after it."""

from __future__ import annotations

import glob
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.errors import InputError, UsageError
from wsgn.remote.addresses import is_address, path_of, shown
from wsgn.support.files import input_errors
from wsgn.support.terminal import printable
from wsgn.video.files import (
    matching_files,
    nothing_found,
    video_files,
    without_video_suffix,
)
from wsgn.video.stored import stored_videos


@dataclass(frozen=True, kw_only=True)
class VideoFile:
    """A video to read, and the name of its features without a suffix."""

    # An address where it lies in a store.
    path: Path | str
    name: str

    @property
    def shown(self) -> str:
        """Its path or address, for sentences."""
        return shown(str(self.path))


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
    found: dict[Path | str, _Found] = {}
    for argument in arguments:
        for one in _found(argument, tell):
            found.setdefault(one.key, one)
    stems = Counter(one.place.stem for one in found.values())
    whole = Counter(one.place.with_suffix("") for one in found.values())
    videos: dict[str, VideoFile] = {}
    for one in found.values():
        name = one.place.stem
        if one.inside and stems[name] > 1:
            # Two files may differ in their ending only.
            only = whole[one.place.with_suffix("")] == 1
            name = without_video_suffix(one.inside) if only else one.inside
        video = VideoFile(path=one.path, name=name)
        if video.name in videos:
            raise UsageError(
                f"{videos[video.name].shown} and {video.shown} would both give features named "
                f"'{video.name}': extract them into different folders, or rename one."
            )
        videos[video.name] = video
    return list(videos.values())


@dataclass(frozen=True, kw_only=True)
class _Found:
    """A video that an argument gave."""

    path: Path | str
    # Each video has another.
    key: Path | str
    # As a path that tells its name, even where it lies in a store.
    place: Path
    # From the folder that was named on; empty where none was.
    inside: str = ""


def _found(argument: str, tell: Callable[[str], None]) -> Iterator[_Found]:
    if is_address(argument):
        videos, line = stored_videos(argument)
        if line:
            tell(f"{shown(argument)}: {line}.")
        for video in videos:
            address = video.address
            yield _Found(
                path=address,
                key=address,
                place=Path(path_of(address)),
                inside=video.name if video.in_folder else "",
            )
        return
    top = Path(argument) if Path(argument).is_dir() else None
    for path in _expand(argument, tell):
        inside = "" if top is None else path.relative_to(top).as_posix()
        yield _Found(path=path, key=path.absolute(), place=path, inside=inside)


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
