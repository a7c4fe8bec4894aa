"""Opening what the user named, and saying in one sentence what is wrong with it."""

from __future__ import annotations

import os
import stat
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO

import av
from av.container import InputContainer
from av.error import ExitError, FFmpegError, InvalidDataError

from wsgn.remote.addresses import is_address
from wsgn.remote.reading import open_remote
from wsgn.remote.store import RemoteError
from wsgn.support.credentials import without_credentials
from wsgn.video.addresses import resolved
from wsgn.video.errors import VideoError
from wsgn.video.formats import FormatClock, format_clock
from wsgn.video.stream_input import BoxScan, StreamInput, scan_boxes

Source = str | os.PathLike[str] | BinaryIO

# A network source that is silent for so long is given up; files need no limit.
NETWORK_TIMEOUT_SECONDS = 10.0
# Twice 8K; a damaged header may claim any size, and memory would follow it.
MAXIMUM_PIXELS = 1 << 26
# Demuxers that take any text for a video, by the file's name alone.
_TEXT_FORMATS = {"tty", "bin", "adf", "idf", "xbin"}

# For the decoder alone: `options` of av.open corrupts memory before PyAV 18 where streams turn up
# late (FLV).
DECODER_OPTIONS = {"max_pixels": str(MAXIMUM_PIXELS)}
# libavformat adds a whole turn of the clock, 26.5 hours, to whatever lies a minute before the first
# timestamp of an MPEG stream, though it may be an encoder that began anew: the timeline judges.
_CONTAINER_OPTIONS = {"correct_ts_overflow": "0"}


# A server that breaks off in the middle of a file is asked for the rest. Errors before the first
# byte stand (no reconnect_on_network_error): a port where nothing listens is no silence.
_NETWORK_OPTIONS = {"reconnect": "1", "reconnect_delay_max": "10"}


@dataclass(frozen=True)
class OpenSource:
    """An open container and what it was opened from."""

    name: str
    container: InputContainer
    # Going back is possible and quick.
    seekable: bool
    # Set when the bytes come from a file object.
    stream: StreamInput | None
    # What its timestamps are worth.
    clock: FormatClock


def open_source(source: Source) -> OpenSource:
    """Open a path, an address, `-` for stdin, or a binary file object.

    A `VideoError` says why not; see also `wsgn.video.addresses.resolved`.
    """
    found = resolved(source)
    if isinstance(found, str):
        return _open_stored(found) if is_address(found) else _open_url(found)
    if isinstance(found, Path):
        return _open_path(os.fspath(found))
    return _open_stream(found)


def _open_stored(address: str) -> OpenSource:
    try:
        file = open_remote(address)
    except RemoteError as error:
        raise VideoError(error.code, str(error)) from error
    return _open_stream(file)


def _open_url(url: str) -> OpenSource:
    timeout = (NETWORK_TIMEOUT_SECONDS, NETWORK_TIMEOUT_SECONDS)
    name = without_credentials(url)
    try:
        container = _open(url, _NETWORK_OPTIONS, timeout=timeout)
    except (FFmpegError, ValueError) as error:
        # What a web server sends for a film's page is text.
        if isinstance(error, InvalidDataError):
            message = f"{name} is not a video: download what a page shows, with yt-dlp for one."
            raise VideoError("not_a_video", message) from None
        reason = getattr(error, "strerror", None) or "not a video"
        if isinstance(error, ExitError):
            reason = f"no answer for {NETWORK_TIMEOUT_SECONDS:g} s"
        # The error's own text holds the address with its password.
        raise VideoError("not_opened", f"{name} cannot be opened: {reason}.") from None
    return OpenSource(name, container, False, None, format_clock(container, fragmented=False))


def _open_path(path: str) -> OpenSource:
    is_regular = _check_path(path)
    try:
        # The prefix keeps a colon in the name from being taken for a protocol.
        container = _open(f"file:{path}")
    except (FFmpegError, ValueError) as error:
        raise _classify(path, _scan_path(path) if is_regular else BoxScan()) from error
    container = _check_format(path, container)
    is_mp4 = is_regular and _is_mp4(container)
    fragmented = is_mp4 and _scan_path(path, to_fragments=True).has_fragments
    clock = format_clock(container, fragmented=fragmented)
    return OpenSource(path, container, is_regular, None, clock)


def _check_path(path: str) -> bool:
    """Whether it is a regular file; raises when it cannot be read."""
    try:
        status = Path(path).stat()
        if stat.S_ISDIR(status.st_mode):
            raise VideoError("directory", f"{path} is a directory; name the video files in it.")
        if stat.S_ISFIFO(status.st_mode):
            return False
        if not stat.S_ISREG(status.st_mode):
            raise VideoError("no_file", f"{path} is a device or a socket; name a video file.")
        with Path(path).open("rb"):
            pass
    except PermissionError as error:
        message = f"no permission to read {path}; change its access rights or copy it."
        raise VideoError("permission", message) from error
    except (FileNotFoundError, NotADirectoryError) as error:
        raise VideoError("missing", f"there is no file {path}.") from error
    except (OSError, ValueError) as error:
        raise VideoError("unreadable", f"{path} cannot be read: {error}.") from error
    if status.st_size == 0:
        raise _empty(path)
    return True


def _open_stream(file: BinaryIO) -> OpenSource:
    stream = StreamInput(file)
    try:
        container = _open(stream)
    except (FFmpegError, ValueError) as error:
        if stream.error is not None:
            message = f"{stream.name} cannot be read: {stream.error}."
            raise VideoError("unreadable", message) from error
        if stream.num_bytes_read == 0:
            raise _empty(stream.name) from error
        scan = stream.scan() if stream.seekable() else BoxScan(is_mp4=stream.starts_like_mp4)
        raise _classify(stream.name, scan, piped=not stream.seekable()) from error
    container = _check_format(stream.name, container)
    clock = format_clock(container, fragmented=_is_mp4(container) and stream.saw_fragments)
    stream.stop_looking()
    return OpenSource(stream.name, container, stream.seekable(), stream, clock)


def _open(
    source: str | StreamInput, more: Mapping[str, str] | None = None, **options: Any
) -> InputContainer:
    container: InputContainer = av.open(
        source,
        "r",
        metadata_errors="ignore",
        container_options={**_CONTAINER_OPTIONS, **(more or {})},
        **options,
    )
    return container


def _is_mp4(container: InputContainer) -> bool:
    return container.format.name.startswith("mov,")


def _check_format(name: str, container: InputContainer) -> InputContainer:
    if container.format.name in _TEXT_FORMATS:
        container.close()
        raise _not_a_video(name)
    return container


def _scan_path(path: str, *, to_fragments: bool = False) -> BoxScan:
    try:
        with Path(path).open("rb") as file:
            return scan_boxes(file, to_fragments=to_fragments)
    except OSError:
        return BoxScan()


def _classify(name: str, scan: BoxScan, *, piped: bool = False) -> VideoError:
    if not scan.is_mp4:
        return _not_a_video(name)
    if piped:
        return index_behind_frames(name)
    if not scan.has_index:
        return VideoError(
            "no_moov",
            f"{name}: the index (moov) of this MP4 is missing, so the recording or copy was not "
            "finished; copy it again, or repair it with a complete file of the same camera.",
        )
    return VideoError(
        "damaged_index", f"{name}: the index (moov) of this MP4 is damaged; copy the file again."
    )


def index_behind_frames(name: str) -> VideoError:
    """What a pipe with an MP4 gets whose frames have gone by when its index comes."""
    return VideoError(
        "no_moov",
        f"{name}: the index (moov) of this MP4 is missing or stands behind the frames, which "
        "a pipe cannot go back to; give the file by name, or write it with +faststart.",
    )


def _empty(name: str) -> VideoError:
    return VideoError("empty", f"{name} is empty (0 bytes).")


def _not_a_video(name: str) -> VideoError:
    return VideoError(
        "not_a_video", f"{name} is not a video, or its beginning is damaged beyond recognition."
    )
