"""A writer of TensorFlow's V2 checkpoints, by the published formats of LevelDB's table and of
tensor_bundle.proto; its checksum goes bit by bit."""

from __future__ import annotations

import struct
from collections.abc import Mapping, Sequence
from functools import cache
from pathlib import Path

from wsgn.support.arrays import Float32Array

MAGIC = 0xDB4775248B80FB57


@cache
def _byte(value: int) -> int:
    for _ in range(8):
        value = (value >> 1) ^ (0x82F63B78 if value & 1 else 0)
    return value


def plain_crc32c(data: bytes) -> int:
    """One byte after the other."""
    register = 0xFFFFFFFF
    for value in data:
        register = _byte((register ^ value) & 0xFF) ^ (register >> 8)
    return register ^ 0xFFFFFFFF


def masked(checksum: int) -> int:
    return (((checksum >> 15) | (checksum << 17)) + 0xA282EAD8) & 0xFFFFFFFF


def varint(value: int) -> bytes:
    out = bytearray()
    while value >= 0x80:
        out.append(value & 0x7F | 0x80)
        value >>= 7
    return bytes([*out, value])


def field(number: int, value: int | bytes) -> bytes:
    if isinstance(value, int):
        return varint(number << 3) + varint(value)
    return varint(number << 3 | 2) + varint(len(value)) + value


def entry(array: Float32Array, offset: int, checksum: int) -> bytes:
    """A BundleEntryProto; zeros are left out, as protocol buffers do."""
    shape = b"".join(field(2, field(1, size)) for size in array.shape)
    message = field(1, 1) + field(2, shape)
    if offset:
        message += field(4, offset)
    return message + field(5, array.nbytes) + varint(6 << 3 | 5) + struct.pack("<I", checksum)


def block(records: Sequence[tuple[bytes, bytes]]) -> bytes:
    """Records whose keys share prefixes, with a restart every 16."""
    out, restarts, last = bytearray(), [], b""
    for index, (key, value) in enumerate(records):
        shared = 0
        if index % 16 == 0:
            restarts.append(len(out))
        else:
            while shared < min(len(key), len(last)) and key[shared] == last[shared]:
                shared += 1
        out += varint(shared) + varint(len(key) - shared) + varint(len(value))
        out += key[shared:] + value
        last = key
    restarts = restarts or [0]
    return bytes(out) + struct.pack(f"<{len(restarts) + 1}I", *restarts, len(restarts))


def write_checkpoint(
    stem: Path,
    tensors: Mapping[str, Float32Array],
    *,
    checksums: bool = True,
    records_per_block: int = 50,
) -> None:
    """Write STEM.index and its data; the tensors' checksums may be left 0 where nobody looks."""
    data, records = bytearray(), [(b"", field(1, 1) + field(3, field(1, 1)))]
    for name in sorted(tensors):
        part = tensors[name].astype("<f4").tobytes()
        checksum = masked(plain_crc32c(part)) if checksums else 0
        records.append((name.encode(), entry(tensors[name], len(data), checksum)))
        data += part
    stem.with_name(stem.name + ".data-00000-of-00001").write_bytes(data)
    table, handles = bytearray(), []

    def place(content: bytes) -> bytes:
        handle = varint(len(table)) + varint(len(content))
        trailer = b"\0"
        table.extend(content + trailer)
        table.extend(struct.pack("<I", masked(plain_crc32c(content + trailer))))
        return handle

    for start in range(0, len(records), records_per_block):
        part_records = records[start : start + records_per_block]
        handles.append((part_records[-1][0], place(block(part_records))))
    meta, index = place(block([])), place(block(handles))
    footer = (meta + index).ljust(40, b"\0") + struct.pack("<Q", MAGIC)
    stem.with_name(stem.name + ".index").write_bytes(bytes(table) + footer)
