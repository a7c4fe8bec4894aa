"""Files in the format of safetensors, read by NumPy alone: where no library for them is installed.

The length of a header, the header in JSON, the values of all tensors behind each other
(https://huggingface.co/docs/safetensors/index#format). Nothing of it is believed before it was held
against the size of the file.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import IO, Any

import numpy as np

from wsgn.errors import InputError
from wsgn.features.npy_file import opened
from wsgn.support.arrays import AnyArray, UInt8Array
from wsgn.support.json_input import read_object, whole_object

_LENGTH = struct.Struct("<Q")
# What the library allows too.
_MOST_HEADER_BYTES = 100_000_000
_METADATA = "__metadata__"
# Types that NumPy has, by the names of the format; the sizes of others are not checked.
_DTYPES = {
    "F16": "<f2", "F32": "<f4", "F64": "<f8", "I8": "<i1", "I16": "<i2", "I32": "<i4", "I64": "<i8",
    "U8": "<u1", "U16": "<u2", "U32": "<u4", "U64": "<u8", "BOOL": "?",
}  # fmt: skip


@dataclass(frozen=True, kw_only=True)
class StoredTensor:
    """Where a tensor lies in its file, and what it is."""

    # As the format names it: F16.
    dtype: str
    shape: tuple[int, ...]
    # Bytes from the beginning of what holds the file.
    begin: int
    end: int


@dataclass(frozen=True, kw_only=True)
class FileBytes:
    """Where the bytes of a file lie: in a file of their own, or in the midst of another one."""

    # As messages call it.
    where: str
    open: Callable[[], AbstractContextManager[IO[bytes]]]
    begin: int = 0
    size: int


@dataclass(frozen=True, kw_only=True)
class SafetensorsFile:
    """A file's header."""

    place: FileBytes
    metadata: dict[str, str]
    tensors: dict[str, StoredTensor]

    def read(self, name: str) -> AnyArray:
        """The values of a tensor as they are stored. Raises `InputError`."""
        tensor = self.tensors[name]
        values: UInt8Array = np.empty(tensor.end - tensor.begin, dtype=np.uint8)
        with self.place.open() as file:
            file.seek(tensor.begin)
            num_bytes = file.readinto(values)  # type: ignore[attr-defined]
        if num_bytes != len(values):
            raise _damaged(self.place.where, "it was cut while it was read")
        return values.view(np.dtype(_DTYPES[tensor.dtype])).reshape(tensor.shape)


def read_safetensors_header(path: Path) -> SafetensorsFile:
    """What a file says of itself; an `InputError` where it is cut, damaged or no such file."""
    with opened(path):
        size = path.stat().st_size
    return read_header_at(FileBytes(where=str(path), open=partial(opened, path), size=size))


def read_header_at(place: FileBytes) -> SafetensorsFile:
    """The same of bytes that may lie in the midst of others."""
    where, size = place.where, place.size
    with place.open() as file:
        file.seek(place.begin)
        first = file.read(_LENGTH.size)
        if len(first) < _LENGTH.size:
            raise _damaged(where, "it has no header")
        (length,) = _LENGTH.unpack(first)
        if length > min(size - _LENGTH.size, _MOST_HEADER_BYTES):
            raise _damaged(where, f"its header is to have {length} bytes")
        text = file.read(length)
    try:
        document = read_object(text.decode("utf-8"), what="its header")
        metadata = whole_object(document.pop(_METADATA, {}), f"'{_METADATA}'")
        if not all(isinstance(value, str) for value in metadata.values()):
            raise _damaged(where, f"'{_METADATA}' holds what is no text")
        begin = place.begin + _LENGTH.size + length
        tensors = {name: _tensor(name, entry, begin) for name, entry in document.items()}
        _require_whole(tensors, begin, place.begin + size)
    except (InputError, ValueError) as error:
        raise _damaged(where, str(error).rstrip(".")) from error
    return SafetensorsFile(place=place, metadata=metadata, tensors=tensors)


def _damaged(where: str, reason: str) -> InputError:
    return InputError(
        f"{where} is not a safetensors file, or is damaged ({reason}): make it again."
    )


def _tensor(name: str, entry: Any, begin: int) -> StoredTensor:
    """One entry of a header. Raises `ValueError`."""
    try:
        dtype, shape, (first, last) = entry["dtype"], entry["shape"], entry["data_offsets"]
    except (TypeError, KeyError, ValueError) as error:
        raise ValueError(f"'{name[:60]}' is no tensor") from error
    numbers = [*shape, first, last] if isinstance(shape, list) else [None]
    # True is an int to Python.
    if not all(type(number) is int and number >= 0 for number in numbers) or type(dtype) is not str:
        raise ValueError(f"'{name[:60]}' has no type, shape and place")
    known = _DTYPES.get(dtype)
    if known is not None and math.prod(shape) * np.dtype(known).itemsize != last - first:
        raise ValueError(f"'{name[:60]}' has {last - first} bytes for {str(shape)[:60]} of {dtype}")
    return StoredTensor(dtype=dtype, shape=tuple(shape), begin=begin + first, end=begin + last)


def _require_whole(tensors: dict[str, StoredTensor], begin: int, size: int) -> None:
    """Raise a `ValueError` unless the tensors fill the file from the header on, without holes."""
    for tensor in sorted(tensors.values(), key=lambda one: (one.begin, one.end)):
        if tensor.begin != begin or tensor.end < tensor.begin:
            raise ValueError("its tensors do not lie behind each other")
        begin = tensor.end
    if begin != size:
        raise ValueError(f"its tensors end at {begin} of {size} bytes")
