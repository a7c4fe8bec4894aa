"""What a store's address stands for: a video, the videos of a folder, or those of a pattern."""

from __future__ import annotations

import glob
from dataclasses import dataclass

from wsgn.remote.addresses import name_of, shown
from wsgn.remote.reading import StoredFile, list_folder, list_matches
from wsgn.remote.store import MISSING, RemoteError, require_store
from wsgn.video.errors import VideoError
from wsgn.video.files import FolderVideos, is_video_name


@dataclass(frozen=True, kw_only=True)
class StoredVideo:
    """A video in a store."""

    address: str
    # From the folder that was named on, with `/` and nothing that leads out of it; else its file's.
    name: str
    # Whether a folder was named.
    in_folder: bool


def stored_videos(address: str) -> tuple[list[StoredVideo], str | None]:
    """The videos, sorted, and what was left out of a folder, as one line.

    A name of a video is taken as it is, without asking whether it is there. Raises `VideoError`,
    also where nothing is found, and what `wsgn.remote.store.require_store` raises.
    """
    require_store(address)
    try:
        if glob.has_magic(address) and (found := list_matches(address)):
            return [_named(file.address) for file in found], None
        if is_video_name(address):
            return [_named(address)], None
        return _of_folder(address, list_folder(address))
    except RemoteError as error:
        raise VideoError(error.code, str(error)) from error


def _named(address: str) -> StoredVideo:
    return StoredVideo(address=address, name=_safe(name_of(address)), in_folder=False)


def _of_folder(address: str, files: list[StoredFile]) -> tuple[list[StoredVideo], str | None]:
    if not files:
        raise VideoError(MISSING, f"there is no {shown(address)}, and no file in it.")
    if not files[0].name:
        return [_named(address)], None
    others, videos = FolderVideos(), []
    for file in files:
        name = file.name.rpartition("/")[2]
        if name.startswith("."):
            others.num_hidden += is_video_name(name) and not name.startswith("._")
        elif is_video_name(name):
            videos.append(StoredVideo(address=file.address, name=_safe(file.name), in_folder=True))
        else:
            ending = name.rpartition(".")[2].lower() if "." in name else ""
            others.others[f".{ending}" if ending else "no ending"] += 1
    line = others.left_out()
    if not videos:
        raise VideoError(
            "empty_directory",
            f"the folder {shown(address)} holds no video files ({line}); name a file directly if "
            "it has another ending.",
        )
    return videos, line


def _safe(name: str) -> str:
    """Names in stores may be anything; those of results lie in the folder of results."""
    parts = [part for part in name.split("/") if part not in ("", ".", "..")]
    return "/".join(parts) or "video"
