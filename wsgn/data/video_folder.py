"""Finding an annotated video by its name in a folder of video files."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path

from wsgn.errors import InputError
from wsgn.support.files import input_errors
from wsgn.support.terminal import printable, quoted
from wsgn.video.files import is_video_name, video_files, without_video_suffix


class VideoFolder:
    """The video files of a folder by the names that annotations give them.

    A name stands with or without the file's ending, and with or without the folders that the file
    lies in: `bikes`, `bikes.mp4` and `sport/bikes` all are `sport/bikes.mp4`, while only one file
    can be meant.
    """

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        # Paths by their names, with and without ending: of folders that were looked into, and of
        # the whole tree once a name needed that.
        self._listed: dict[Path, dict[str, list[Path]]] = {}
        self._tree: dict[str, list[Path]] | None = None

    def find(self, name: str) -> Path:
        """The file of a video. Raises `InputError` where there is none, or more than one."""
        parent, last = os.path.split(_normal(name))
        found = self._listing(self._folder / parent).get(last, [])
        if not found and not parent:
            found = self._whole_tree().get(last, [])
        # A file with exactly this name comes before those that only begin so.
        paths = [path for path in found if _normal(path.name) == last] or found
        if len(paths) > 1:
            shown = quoted([os.path.relpath(path, self._folder) for path in paths])
            raise InputError(
                f"video '{printable(name)}' may be any of {shown} in {self._folder}: write one of "
                "these into the annotations, or take the others away."
            )
        if paths and paths[0].is_file():
            return paths[0]
        raise InputError(self._missing(name, last, paths))

    def _listing(self, folder: Path) -> dict[str, list[Path]]:
        if folder not in self._listed:
            try:
                names = sorted(os.listdir(folder))  # noqa: PTH208
            except (FileNotFoundError, NotADirectoryError):
                names = []
            # A name of annotations may be no name of a folder at all.
            except ValueError:
                names = []
            except OSError as error:
                raise InputError(f"{folder} cannot be read: {error.strerror}.") from error
            self._listed[folder] = _by_name(Path(folder, name) for name in names)
        return self._listed[folder]

    def _whole_tree(self) -> dict[str, list[Path]]:
        if self._tree is None:
            with input_errors(f"the folder {self._folder}"):
                self._tree = _by_name(iter(video_files(self._folder).videos))
        return self._tree

    def _missing(self, name: str, last: str, paths: list[Path]) -> str:
        if paths:
            return (
                f"video '{printable(name)}' is no file: '{paths[0]}' is a folder, a FIFO, a device "
                "or a link that leads nowhere."
            )
        sentence = f"video '{printable(name)}' is not in {self._folder}"
        others = self._whole_tree().get(without_video_suffix(last), [])
        if others:
            return f"{sentence}, which has {quoted([path.name for path in others])} instead."
        return f"{sentence}: no video file there, or in the folders in it, is named so."


def _by_name(paths: Iterator[Path]) -> dict[str, list[Path]]:
    """Video files by their names without ending, in either case, and by their whole names."""
    found: dict[str, list[Path]] = {}
    for path in paths:
        if is_video_name(path):
            name = _normal(path.name)
            stem, ending = without_video_suffix(name), path.suffix
            for known in {stem, name, stem + ending.lower(), stem + ending.upper()}:
                found.setdefault(known, []).append(path)
    return found


def _normal(name: str) -> str:
    # One letter may be stored in two ways, and file systems and JSON differ in which.
    return unicodedata.normalize("NFC", name)
