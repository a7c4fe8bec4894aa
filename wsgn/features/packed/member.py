"""Members of a tar file as any tar reads them: a header of 512 bytes, the file, zeros behind it."""

from __future__ import annotations

import tarfile

from wsgn.errors import InputError
from wsgn.features.file import SUFFIX

BLOCK = tarfile.BLOCKSIZE
# Two empty blocks end an archive.
END = bytes(2 * BLOCK)
_MODE = 0o644


def member_header(name: str, size: int) -> bytes:
    """What stands before the feature file of a video: the same bytes for the same name and size.

    It is of the format USTAR, which nothing but plain text has in it, and which every tar reads. A
    name that has no room in it stands in a header of its own before that (POSIX.1-2001, "pax").
    Raises `InputError` for a name that no member can have.
    """
    require_member_name(name)
    header = tarfile.TarInfo(f"{name}{SUFFIX}")
    header.size, header.mode = size, _MODE
    try:
        return header.tobuf(tarfile.USTAR_FORMAT, encoding="utf-8", errors="strict")
    except ValueError:
        # The name is too long.
        return header.tobuf(tarfile.PAX_FORMAT, encoding="utf-8", errors="strict")


def require_member_name(name: str) -> None:
    """Refuse a name that leads out of the folder where somebody unpacks, or that is no text."""
    parts = name.split("/")
    if any(part in ("", ".", "..") for part in parts) or set(name) & set("\\\0"):
        raise InputError(f"the video name {name!r} cannot be the name of a file in a tar.")
    try:
        name.encode()
    except UnicodeEncodeError as error:
        raise InputError(f"the video name {name!r} is no text that a tar can have.") from error


def padding(size: int) -> bytes:
    """The zeros behind a file of so many bytes."""
    return bytes(-size % BLOCK)


def header_problem(block: bytes, name: str, size: int) -> str:
    """Why a block is not the header of a video's file of this size; empty where it is."""
    try:
        found = _read(block)
    except tarfile.HeaderError:
        return "no header of a tar file stands before it"
    # What the last block of a header says of a name that is too long is cut.
    expected = _read(member_header(name, size)[-BLOCK:])
    if (found.name, found.size) != (expected.name, expected.size):
        return f"'{found.name[:80]}' of {found.size} bytes stands there"
    return ""


def _read(block: bytes) -> tarfile.TarInfo:
    return tarfile.TarInfo.frombuf(block, "utf-8", "surrogateescape")
