"""What is a video by its name, for runs, features and training alike; the walk of folders."""

from __future__ import annotations

import glob
import os
import stat
from collections import Counter
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from pathlib import Path

# What cameras, recorders, editors, web sites and test suites write and FFmpeg's libraries read.
_ENDINGS = (
    "264 265 3g2 3gp 3gp2 3gpp amv apng asf av1 avc avi divx dv dvr-ms evo f4v flv gif h261 h263 "
    "h264 h265 hevc insv ivf lrv m1v m2p m2t m2ts m2v m4v mj2 mjpeg mjpg mk3d mkv mod mov mp2v mp4 "
    "mp4v mpe mpeg mpg mpv mqv mts mxf nsv nut obu ogm ogv qt rm rmvb tod tp trp ts vc1 vdr viv "
    "vob vro webm wmv wtv xvid y4m"
)
VIDEO_SUFFIXES = frozenset(f".{ending}" for ending in _ENDINGS.split())
# A folder's sentence names so many kinds of what was left out.
_MOST_KINDS = 6


def is_video_name(name: str | os.PathLike[str]) -> bool:
    """Whether a file of this name looks like a video, whatever the case of its ending."""
    return os.path.splitext(name)[1].lower() in VIDEO_SUFFIXES  # noqa: PTH122


def without_video_suffix(name: str) -> str:
    """`a.MP4` is `a`, and `a.b` stays."""
    return name[: -len(os.path.splitext(name)[1])] if is_video_name(name) else name  # noqa: PTH122


def is_fifo(path: str | os.PathLike[str]) -> bool:
    """Whether reading it waits until somebody writes into it."""
    try:
        return stat.S_ISFIFO(Path(path).stat().st_mode)
    except (OSError, ValueError):
        return False


@dataclass(kw_only=True)
class FolderVideos:
    """The videos in a folder and the folders in it, and what else is there."""

    # Sorted.
    videos: list[Path] = field(default_factory=list)
    # Numbers of files by their endings.
    others: Counter[str] = field(default_factory=Counter)
    num_hidden: int = 0
    # Links to what was reached already, or to a folder that they lie in.
    num_links: int = 0
    # FIFOs, sockets and devices that are named like videos.
    num_special: int = 0
    # Folders that a pattern matches.
    num_folders: int = 0
    # Folders in it that cannot be listed, and why; their videos fail with them.
    unreadable: dict[Path, str] = field(default_factory=dict)

    def left_out(self) -> str | None:
        """What was left out, as one line; None where nothing was."""
        parts = []
        if count := self.others.total():
            kinds = [f"{kind} {number}" for kind, number in self.others.most_common(_MOST_KINDS)]
            more = ", ..." if len(self.others) > _MOST_KINDS else ""
            what = "file that does" if count == 1 else "files that do"
            looks = "like a video" if count == 1 else "like videos"
            parts.append(f"{count} {what} not look {looks} ({', '.join(kinds)}{more})")
        for count, one, many in (
            (self.num_hidden, "hidden video", "hidden videos"),
            (self.num_links, "link to what is read already", "links to what is read already"),
            (self.num_special, "FIFO, socket or device", "FIFOs, sockets or devices"),
            (self.num_folders, "folder", "folders"),
        ):
            if count:
                parts.append(f"{count} {one if count == 1 else many}")
        return f"left out: {', '.join(parts)}" if parts else None


def video_files(folder: Path) -> FolderVideos:
    """The videos of a folder tree, hidden ones left out.

    Linked folders are followed, each folder (by device and inode) once. Raises `OSError` where the
    folder itself cannot be listed.
    """
    walk = _Walk(folder)
    walk.run()
    walk.found.videos.sort()
    return walk.found


def matching_files(pattern: str) -> FolderVideos:
    """The files that match a pattern, of any ending: who writes a pattern chooses them."""
    found = FolderVideos()
    # Path.glob knows neither absolute patterns nor "..", which a shell expands.
    for match in sorted(glob.glob(pattern, recursive=True)):  # noqa: PTH207
        path = Path(match)
        if path.is_dir():
            found.num_folders += 1
        elif path.is_file():
            found.videos.append(path)
        else:
            found.num_special += 1
    return found


def nothing_found(argument: str, found: FolderVideos) -> str:
    """A sentence for a folder or a pattern that gives no video."""
    line = found.left_out()
    rest = f" ({line})" if line else ""
    if not Path(argument).is_dir():
        return f"no file matches '{argument}': check the pattern{rest}."
    return (
        f"the folder '{argument}' holds no video files, nor do the folders in it{rest}; name a "
        "file directly if it has another ending."
    )


class _Walk:
    """One pass over a folder tree: what lies in it first, what links lead to afterwards."""

    def __init__(self, folder: Path) -> None:
        self.found = FolderVideos()
        self._top = folder
        self._folders = {_identity(folder.stat())}
        self._files: set[tuple[int, int]] = set()
        self._linked_folders: list[Path] = []
        self._linked_files: list[Path] = []

    def run(self) -> None:
        self._into(self._top)
        # A link may lead to folders with links of their own, which are put behind these.
        for link in self._linked_folders:
            if _leads_back(link) or not self._is_new(link):
                self.found.num_links += 1
            else:
                self._into(link)
        for link in self._linked_files:
            identity = _identity(link.stat())
            if identity in self._files:
                self.found.num_links += 1
            else:
                self._files.add(identity)
                self.found.videos.append(link)

    def _is_new(self, folder: Path) -> bool:
        identity = _identity(folder.stat())
        if identity in self._folders:
            return False
        self._folders.add(identity)
        return True

    def _into(self, top: Path) -> None:
        waiting = [top]
        for folder in waiting:
            for entry in self._entries(folder):
                path = Path(folder, entry.name)
                if entry.is_dir(follow_symlinks=False):
                    if not entry.name.startswith(".") and self._is_new(path):
                        waiting.append(path)
                # Unlike Path.is_dir, no error where a link leads to what may not be looked at.
                elif entry.is_symlink() and os.path.isdir(path):  # noqa: PTH112
                    if not entry.name.startswith("."):
                        self._linked_folders.append(path)
                else:
                    self._take(path, is_link=entry.is_symlink())

    def _entries(self, folder: Path) -> Sequence[os.DirEntry[str]]:
        try:
            with os.scandir(folder) as entries:
                return sorted(entries, key=lambda entry: entry.name)
        except OSError as error:
            if folder == self._top:
                raise
            self.found.unreadable[folder] = error.strerror or str(error)
            return []

    def _take(self, path: Path, *, is_link: bool) -> None:
        if path.name.startswith("."):
            # What macOS puts beside each file on foreign disks is no file of the user's.
            self.found.num_hidden += is_video_name(path) and not path.name.startswith("._")
            return
        if not is_video_name(path):
            self.found.others[path.suffix.lower() or "no ending"] += 1
            return
        try:
            status = path.stat()
        except OSError:
            # It fails when its turn comes, and says why.
            self.found.videos.append(path)
            return
        if not stat.S_ISREG(status.st_mode):
            self.found.num_special += 1
        elif is_link:
            self._linked_files.append(path)
        else:
            self._files.add(_identity(status))
            self.found.videos.append(path)


def _identity(status: os.stat_result) -> tuple[int, int]:
    return status.st_dev, status.st_ino


def _leads_back(link: Path) -> bool:
    """Whether a link to a folder leads to one that it lies in itself."""
    target = _identity(link.stat())
    return any(_identity(above.stat()) == target for above in _above(link))


def _above(link: Path) -> Iterator[Path]:
    # By the way it was reached, links included, and as the disk has it.
    yield from link.absolute().parents
    yield from link.parent.resolve().parents
