"""Files at addresses, read where they are: whole folders listed, blocks and ranges fetched."""

from __future__ import annotations

import glob
import io
from collections import OrderedDict
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, BinaryIO, cast

from wsgn.remote.addresses import folder_of, inside, shown
from wsgn.remote.store import UNREADABLE, RemoteError, open_store, read_errors

if TYPE_CHECKING:
    from _typeshed import WriteableBuffer

# Bytes of one request while a file is read; a decoder asks for 32 kB at a time.
BLOCK_BYTES = 1 << 20
# Blocks of an open file that are kept: the tracks of a film may lie apart.
_MOST_BLOCKS = 16
# What tells the versions of a file apart, as the stores call it.
_TAGS = ("ETag", "etag", "generation", "md5Hash", "content_md5", "VersionId")
_TIMES = ("LastModified", "last_modified", "mtime", "modified", "updated", "created")


@dataclass(frozen=True, kw_only=True)
class StoredFile:
    """A file in a store."""

    address: str
    # From the folder that was listed on, with `/`; empty where the address named the file itself.
    name: str
    # Bytes.
    size: int
    # What tells its versions apart; None where the store does not say.
    version: str | None = None


def list_folder(address: str) -> list[StoredFile]:
    """The files of a folder and the folders in it, sorted by name, by one listing of the store.

    None where nothing is there; the file itself where the address names one. Raises `RemoteError`.
    """
    store, path = open_store(address)
    with read_errors(address):
        # What an earlier listing said may be out of date.
        store.invalidate_cache(path)
        found = store.find(path, detail=True)
    return sorted(_stored_files(found, path, address), key=lambda file: file.name)


def list_matches(pattern: str) -> list[StoredFile]:
    """The files whose address matches a pattern as of a shell, sorted. Raises `RemoteError`."""
    store, path = open_store(pattern)
    # The last folder whose name is plain.
    folder = pattern
    while glob.has_magic(folder):
        folder = folder_of(folder)
    _, top = open_store(folder)
    with read_errors(pattern):
        store.invalidate_cache(top)
        found = store.glob(path, detail=True)
    return sorted(_stored_files(found, top, folder), key=lambda file: file.name)


def _stored_files(found: dict[str, Any], top: str, address: str) -> Iterator[StoredFile]:
    for path, info in found.items():
        # Some stores hold an empty object where a folder was made.
        if info.get("type") == "directory" or path.endswith("/"):
            continue
        name = path.removeprefix(top.rstrip("/")).lstrip("/")
        place = inside(address, name) if name else address
        yield StoredFile(
            address=place, name=name, size=int(info.get("size") or 0), version=version_of(info)
        )


def version_of(info: Mapping[str, Any]) -> str | None:
    """What a store says of a file that tells its versions apart; None where that is nothing."""
    marks = [f"{key}={info[key]}" for key in (*_TAGS, *_TIMES) if info.get(key)]
    return "\n".join(marks) or None


def read_range(address: str, offset: int, size: int) -> bytes:
    """`size` bytes from `offset` on, fewer at the file's end, by one request. Raises `RemoteError`.

    Raises it also where the file ends before `offset`.
    """
    if size == 0:
        return b""
    store, path = open_store(address)
    with read_errors(address):
        return bytes(store.cat_file(path, start=offset, end=offset + size))


def open_remote(address: str) -> BinaryIO:
    """The file at an address for reading, unbuffered and seekable. Raises `RemoteError`."""
    store, path = open_store(address)
    with read_errors(address):
        info = store.info(path)
    if info.get("type") == "directory":
        raise RemoteError(UNREADABLE, f"{shown(address)} is a folder; name the files in it.")
    if info.get("size") is None:
        raise RemoteError(UNREADABLE, f"{shown(address)} cannot be read: its size is not known.")
    return cast(BinaryIO, RemoteFile(address, int(info["size"])))


class RemoteFile(io.RawIOBase):
    """A file at an address; it is fetched in blocks, of which the last ones are kept.

    Reading raises `OSError` with the reason of a `RemoteError`.
    """

    def __init__(self, address: str, size: int) -> None:
        super().__init__()
        # As of files that `open` gives.
        self.name = address
        self.size = size
        self._position = 0
        self._blocks: OrderedDict[int, bytes] = OrderedDict()

    def readable(self) -> bool:
        """It is."""
        return True

    def seekable(self) -> bool:
        """It is."""
        return True

    def seek(self, offset: int, whence: int = io.SEEK_SET) -> int:
        """Go to an offset in bytes; nothing is fetched."""
        start = {io.SEEK_SET: 0, io.SEEK_CUR: self._position, io.SEEK_END: self.size}[whence]
        if start + offset < 0:
            raise ValueError(f"there is nothing before the first byte, at {start + offset}")
        self._position = start + offset
        return self._position

    def tell(self) -> int:
        """The offset in bytes."""
        return self._position

    def readinto(self, buffer: WriteableBuffer) -> int:
        """Up to as many bytes as the buffer takes, none at the end: no further than one block."""
        target = memoryview(buffer).cast("B")
        if self._position >= self.size or not target:
            return 0
        number, begin = divmod(self._position, BLOCK_BYTES)
        part = self._block(number)[begin : begin + len(target)]
        target[: len(part)] = part
        self._position += len(part)
        return len(part)

    def _block(self, number: int) -> bytes:
        if number not in self._blocks:
            start = number * BLOCK_BYTES
            size = min(BLOCK_BYTES, self.size - start)
            try:
                block = read_range(self.name, start, size)
            except RemoteError as error:
                raise OSError(error.words) from error
            if len(block) != size:
                raise OSError("it has changed while it was read")
            self._blocks[number] = block
            if len(self._blocks) > _MOST_BLOCKS:
                self._blocks.popitem(last=False)
        self._blocks.move_to_end(number)
        return self._blocks[number]
