"""Bytes from a file object for libav, and a look at the boxes of an MP4."""

from __future__ import annotations

from dataclasses import dataclass
from typing import BinaryIO

from wsgn.support.credentials import without_credentials

_MP4_BOXES = {b"ftyp", b"moov", b"mdat", b"wide", b"free", b"skip", b"pnot", b"styp", b"moof"}
# The box in an index that says so.
_FRAGMENTS_FOLLOW = b"mvex"
# A file of ordinary length has a handful of boxes at its top, a fragmented one some thousands.
_MAXIMUM_BOXES = 100_000


@dataclass(frozen=True)
class BoxScan:
    """What the top level of a file says about being an MP4."""

    is_mp4: bool = False
    has_index: bool = False
    has_fragments: bool = False


def scan_boxes(file: BinaryIO, *, to_fragments: bool = False) -> BoxScan:
    """Walk the boxes of a seekable file from its start, to the index or to the first fragment."""
    position = 0
    is_mp4 = has_index = False
    for _ in range(_MAXIMUM_BOXES):
        file.seek(position)
        header = file.read(16)
        if len(header) < 8:
            break
        size, kind = int.from_bytes(header[:4], "big"), header[4:8]
        if position == 0:
            is_mp4 = kind in _MP4_BOXES
        if not is_mp4:
            break
        if kind == b"moof":
            return BoxScan(True, has_index, True)
        has_index = has_index or kind == b"moov"
        if has_index and not to_fragments:
            return BoxScan(True, True)
        if size == 1:
            size = int.from_bytes(header[8:16], "big")
        if size < 8:
            break
        position += size
    return BoxScan(is_mp4, has_index)


class StreamInput:
    """A file object as libav reads it: from its start when that can be reached, never raising.

    What the file object raises ends the bytes and is kept in `error`.
    """

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.name = _name_of(file)
        self.error: Exception | None = None
        self.num_bytes_read = 0
        self.starts_like_mp4 = False
        # Whether an index that fragments follow was among the bytes, while anyone looked.
        self.saw_fragments = False
        self._looking = True
        self._tail = b""
        self._seekable = self._rewind()
        # A pipe's read() waits until all bytes are there, read1() returns what there is.
        self._read = getattr(file, "read1", file.read)

    def _rewind(self) -> bool:
        try:
            if not self._file.seekable():
                return False
            self._file.seek(0)
        except (AttributeError, OSError, ValueError):
            return False
        return True

    def readable(self) -> bool:
        """For PyAV."""
        return True

    def seekable(self) -> bool:
        """Whether going back is possible."""
        return self._seekable

    def read(self, size: int) -> bytes:
        """Up to `size` bytes; none at the end or after an error."""
        if self.error is not None:
            return b""
        try:
            chunk: bytes = self._read(size) or b""
            if not isinstance(chunk, bytes | bytearray | memoryview):
                raise TypeError(f"its read() gives {type(chunk).__name__}, not bytes")
        except Exception as error:
            self.error = error
            return b""
        if self.num_bytes_read == 0:
            self.starts_like_mp4 = chunk[4:8] in _MP4_BOXES
        self.num_bytes_read += len(chunk)
        if self._looking:
            self.saw_fragments |= _FRAGMENTS_FOLLOW in self._tail + chunk
            self._tail = chunk[1 - len(_FRAGMENTS_FOLLOW) :]
        return chunk

    def stop_looking(self) -> None:
        """Do not look for fragments any more."""
        self._looking, self._tail = False, b""

    def seek(self, offset: int, whence: int = 0) -> int:
        """For libav; only called on what says it is seekable."""
        return self._file.seek(offset, whence)

    def tell(self) -> int:
        """For libav; only called on what says it is seekable."""
        return self._file.tell()

    def scan(self) -> BoxScan:
        """The boxes of a seekable file object."""
        try:
            return scan_boxes(self._file)
        except (OSError, ValueError):
            return BoxScan()


def _name_of(file: BinaryIO) -> str:
    name = getattr(file, "name", None)
    # Files over a network are named by their address.
    return without_credentials(name) if isinstance(name, str) and name else "the input stream"
