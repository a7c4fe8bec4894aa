"""What a video may be called besides its path: `-`, file:// and other addresses; what is live."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path
from typing import Any, BinaryIO
from urllib.parse import unquote, urlsplit
from urllib.request import url2pathname

from wsgn.errors import UsageError
from wsgn.remote.addresses import is_address, name_of
from wsgn.support.credentials import HIDDEN, without_credentials
from wsgn.video.errors import VideoError

STANDARD_INPUT = "-"
_SCHEME = re.compile(r"([a-z][a-z0-9+.-]*)://", re.IGNORECASE)
# An address with too few slashes, which would be taken for a path.
_SLIP = re.compile(r"(https?|rtsps?|rtmps?|udp|tcp|rtp|srt):/?(?!/)", re.IGNORECASE)
# user:password@host
_WITHOUT_PROTOCOL = re.compile(r"[^/:]+:(?!//).*@", re.DOTALL)
_CAMERA = re.compile(r"/dev/video\d+|\d+", re.ASCII)
# Read as a file is, from its beginning to its end.
_NETWORK = ("http", "https")


def resolved(source: Any) -> Path | str | BinaryIO:
    """A path, an address or a binary file object for what a user named.

    Raises `TypeError` for what is none of these, `UsageError` for a live source, `VideoError` where
    stdin gives nothing.
    """
    if isinstance(source, str):
        return _of_text(source)
    if isinstance(source, os.PathLike):
        return Path(source)
    if callable(getattr(source, "read", None)) and not hasattr(source, "encoding"):
        file: BinaryIO = source
        return file
    kind = f"{type(source).__module__}.{type(source).__name__}".removeprefix("builtins.")
    raise TypeError(
        f"a video is named by a path, an address or a binary file object, got a {kind}: frames in "
        "memory go to wsgn.runtime.detect_frames, and cameras to wsgn.runtime.detect_live."
    )


def _of_text(text: str) -> Path | str | BinaryIO:
    if text == STANDARD_INPUT:
        return standard_input()
    if is_address(text):
        return text
    if not _exists(text):
        refuse_live(text)
        if is_network(text):
            return text
        if (path := file_of_address(text)) is not None:
            return path
    return Path(text)


def is_network(text: str) -> bool:
    """Whether it is an http(s) address."""
    found = _SCHEME.match(text)
    return found is not None and found[1].lower() in _NETWORK


def is_elsewhere(text: str) -> bool:
    """Whether it is an address of a file that is read where it is: http(s), or of a store."""
    return is_network(text) or is_address(text)


def file_of_address(text: str) -> Path | None:
    """The path in a file:// address of this machine; None for other text."""
    found = _SCHEME.match(text)
    if found is None or found[1].lower() != "file":
        return None
    host, slash, path = text[found.end() :].partition("/")
    if host.lower() not in ("", "localhost") or not slash:
        raise UsageError(
            f"'{text}' names a file of another machine: write file:///PATH, or the path itself."
        )
    return Path(url2pathname(slash + path))


def name_of_address(address: str) -> str:
    """The last part of an address's path, such as `a b.mp4`, without credentials."""
    # In stores % is a letter like others.
    if is_address(address):
        return name_of(address)
    parts = urlsplit(without_credentials(address))
    name = unquote(parts.path).rstrip("/").rpartition("/")[2].replace(HIDDEN, "")
    return name or parts.hostname or "video"


def refuse_live(text: str) -> None:
    """Raise `UsageError` for the name of a camera or the address of a stream, mistyped or not."""
    if (slip := _SLIP.match(text)) is not None:
        raise UsageError(
            f"'{without_credentials(text)}' is no address: write {slip[1]}:// with two slashes."
        )
    if _WITHOUT_PROTOCOL.match(text):
        raise UsageError(
            f"there is no such file as '***@{text.rpartition('@')[2]}', and an address begins with "
            "its protocol, as in rtsp://."
        )
    found = _SCHEME.match(text)
    live = found is not None and found[1].lower() not in (*_NETWORK, "file")
    if live or _CAMERA.fullmatch(text):
        raise UsageError(
            f"'{without_credentials(text)}' is a live source or an address of a kind that is not "
            "read as a file: give a video file, its file://, http(s) or s3:// address or -; "
            "cameras and streams are read by wsgn.runtime.detect_live and by wsgn-run."
        )


def standard_input() -> BinaryIO:
    """Bytes of stdin. Raises `VideoError` where it gives none."""
    # Where stdin was closed from the start, its number may belong to another file by now.
    if sys.stdin is None or sys.stdin.closed:
        raise VideoError("stdin_closed", "stdin is closed: pipe a video into it.")
    if sys.stdin.isatty():
        raise VideoError("stdin_terminal", "stdin is a terminal: pipe a video into it.")
    # Unbuffered: a buffered reader's lock, held by the reading thread, would block the exit.
    return open(sys.stdin.fileno(), "rb", buffering=0, closefd=False)


def _exists(text: str) -> bool:
    try:
        return os.path.lexists(text)
    # A name that no file can have.
    except (OSError, ValueError):
        return False
