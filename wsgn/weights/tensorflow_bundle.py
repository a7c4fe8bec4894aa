"""Tensors out of a TensorFlow checkpoint (V2, `model.ckpt.index` and its data), without TensorFlow.

The index is a sorted table of LevelDB (blocks of keys that share prefixes, a footer at the end);
its values are protocol buffers: the header under the empty key, then one BundleEntryProto per
tensor with type, shape, place and checksum (tensorflow/core/protobuf/tensor_bundle.proto). Every
block of the table and every tensor is held against its CRC-32C.
"""

from __future__ import annotations

import math
import struct
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from wsgn.errors import InputError
from wsgn.support.arrays import Float32Array
from wsgn.support.files import input_errors
from wsgn.weights.crc32c import masked_crc32c

_MAGIC = 0xDB4775248B80FB57
_FOOTER_BYTES, _TRAILER_BYTES = 48, 5
# DataType.DT_FLOAT.
_FLOAT = 1
# I3D's has 11 kB and some 200 tensors. What it names is bounded, since blocks may be named often.
_LARGEST_INDEX = 64 << 20
_MOST_ENTRIES = 100_000
_MOST_BLOCKS = 10_000
_MOST_DIMENSIONS = 8
_LONGEST_VARINT = 10
# Of a checkpoint whose data are one file.
INDEX_SUFFIX, DATA_SUFFIX = ".index", ".data-00000-of-00001"


@dataclass(frozen=True, kw_only=True)
class BundleEntry:
    """Where one tensor lies in the checkpoint's data file."""

    data_type: int
    shape: tuple[int, ...]
    shard: int
    # Bytes.
    offset: int
    size: int
    # Masked CRC-32C.
    checksum: int


def files_beside(name: str) -> tuple[str, ...]:
    """The other file of a checkpoint of which one is named so; none of what is no checkpoint."""
    for own, other in ((INDEX_SUFFIX, DATA_SUFFIX), (DATA_SUFFIX, INDEX_SUFFIX)):
        if name.endswith(own):
            return (name.removesuffix(own) + other,)
    return ()


def read_index(path: Path) -> dict[str, BundleEntry]:
    """The tensors that an index names; an `InputError` says when it is not one, or damaged."""
    with input_errors(path), path.open("rb") as file:
        data = file.read(_LARGEST_INDEX + 1)
    if len(data) > _LARGEST_INDEX:
        raise InputError(f"{path} is not the index of a TensorFlow checkpoint: it is too large.")
    try:
        if struct.unpack("<Q", data[-8:])[0] != _MAGIC:
            raise InputError(f"{path} is not the index of a TensorFlow checkpoint, or is cut off.")
        footer = data[-_FOOTER_BYTES:]
        _, position = _handle(footer, 0)
        index_block, _ = _handle(footer, position)
        entries: dict[str, BundleEntry] = {}
        handles = [_handle(value, 0)[0] for _, value in _records(_block(path, data, index_block))]
        # Each block is named once, so that all of them are no larger than the file.
        if len(handles) > _MOST_BLOCKS or sum(size for _, size in handles) > len(data):
            raise ValueError("blocks that are named more than once")
        for handle in handles:
            for key, record in _records(_block(path, data, handle)):
                # The empty key is the header's.
                if key:
                    entries[key.decode()] = _entry(record)
                if len(entries) > _MOST_ENTRIES:
                    raise ValueError("too many tensors")
    except (IndexError, struct.error, UnicodeDecodeError, ValueError) as error:
        raise InputError(f"the index {path} of a TensorFlow checkpoint is damaged.") from error
    return entries


def read_tensors(index: Path, names: set[str]) -> dict[str, Float32Array]:
    """The named tensors, each held against its checksum."""
    entries = read_index(index)
    missing = sorted(names - set(entries))
    if missing:
        raise InputError(f"the checkpoint {index} lacks '{missing[0]}'.")
    data_file = index.with_name(index.name.removesuffix(INDEX_SUFFIX) + DATA_SUFFIX)
    if not data_file.is_file():
        raise InputError(f"the checkpoint {index} needs {data_file.name} beside it.")
    with input_errors(data_file):
        data = memoryview(data_file.read_bytes())
    return {name: _tensor(data_file, data, name, entries[name]) for name in sorted(names)}


def _tensor(path: Path, data: memoryview, name: str, entry: BundleEntry) -> Float32Array:
    part = data[entry.offset : entry.offset + entry.size]
    if entry.data_type != _FLOAT or entry.shard != 0:
        raise InputError(f"'{name}' in {path} is not float32 in one file; only that can be read.")
    if len(entry.shape) > _MOST_DIMENSIONS:
        raise InputError(f"'{name}' in {path} has {len(entry.shape)} dimensions.")
    if len(part) != entry.size or 4 * math.prod(entry.shape) != entry.size:
        raise InputError(f"{path} is cut off: '{name}' ends behind its end.")
    if masked_crc32c(part) != entry.checksum:
        raise InputError(f"{path} is damaged: '{name}' does not match its checksum.")
    return np.frombuffer(part, "<f4").reshape(entry.shape)


def _block(path: Path, data: bytes, handle: tuple[int, int]) -> bytes:
    offset, size = handle
    block = data[offset : offset + size]
    trailer = data[offset + size : offset + size + _TRAILER_BYTES]
    kind, checksum = struct.unpack("<BI", trailer)
    if masked_crc32c(block + trailer[:1]) != checksum:
        raise InputError(f"the index {path} is damaged: a block does not match its checksum.")
    if kind != 0:
        raise InputError(f"the index {path} is compressed, which cannot be read here.")
    return block


def _records(block: bytes) -> Iterator[tuple[bytes, bytes]]:
    """Keys and values; a key begins like the one before it."""
    num_restarts = struct.unpack("<I", block[-4:])[0]
    end = len(block) - 4 * (num_restarts + 1)
    position, key = 0, b""
    while position < end:
        shared, position = _varint(block, position)
        rest, position = _varint(block, position)
        size, position = _varint(block, position)
        key = key[:shared] + block[position : position + rest]
        position += rest
        yield key, block[position : position + size]
        position += size


def _entry(record: bytes) -> BundleEntry:
    fields = dict(_fields(record))
    shape = tuple(
        int(dict(_fields(_message(dimension))).get(1, 0))
        for number, dimension in _fields(_message(fields.get(2, b"")))
        if number == 2
    )
    numbers = {key: value for key, value in fields.items() if isinstance(value, int)}
    return BundleEntry(
        data_type=numbers.get(1, 0),
        shape=shape,
        shard=numbers.get(3, 0),
        offset=numbers.get(4, 0),
        size=numbers.get(5, 0),
        checksum=numbers.get(6, 0),
    )


def _message(value: int | bytes) -> bytes:
    """A field that holds a message; `bytes` of a number would be so many zeros."""
    if isinstance(value, int):
        raise ValueError("a number where a message belongs")
    return value


def _fields(message: bytes) -> Iterator[tuple[int, int | bytes]]:
    """Fields of a protocol buffer by number: whole numbers, or the bytes of a nested message."""
    position = 0
    while position < len(message):
        tag, position = _varint(message, position)
        number, kind = tag >> 3, tag & 7
        if kind == 0:
            value, position = _varint(message, position)
            yield number, value
        elif kind == 2:
            size, position = _varint(message, position)
            yield number, message[position : position + size]
            position += size
        elif kind == 5:
            yield number, struct.unpack("<I", message[position : position + 4])[0]
            position += 4
        else:
            raise ValueError(f"wire type {kind}")


def _handle(data: bytes, position: int) -> tuple[tuple[int, int], int]:
    """Offset and size of a block, and where the next one's begin."""
    offset, position = _varint(data, position)
    size, position = _varint(data, position)
    return (offset, size), position


def _varint(data: bytes, position: int) -> tuple[int, int]:
    value = shift = 0
    while True:
        if shift >= 7 * _LONGEST_VARINT:
            raise ValueError("a number that does not end")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
        shift += 7
