"""CRC-32C (Castagnoli, RFC 3720), by which TensorFlow guards its checkpoints.

Fast without a compiled extension: the data is cut into lanes whose registers advance side by side,
and these are joined by the linear map that a run of zero bytes is.
"""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from wsgn.support.arrays import UInt8Array

_Words = npt.NDArray[np.uint32]

# Reflected polynomial.
_POLYNOMIAL = 0x82F63B78
# A power of two; so many lanes make NumPy's calls cheap beside the work in them.
_LANES = 4096
# How TensorFlow and LevelDB disguise a checksum that is stored beside what it covers.
_MASK_DELTA = 0xA282EAD8


def _byte_table() -> _Words:
    table = np.arange(256, dtype=np.uint32)
    for _ in range(8):
        table = np.where(table & 1, (table >> 1) ^ np.uint32(_POLYNOMIAL), table >> 1)
    return table.astype(np.uint32)


_TABLE = _byte_table()


def crc32c(data: bytes | memoryview) -> int:
    """The checksum of some bytes."""
    if len(data) < 4:
        register = np.full(1, 0xFFFFFFFF, np.uint32)
        for value in bytes(data):
            register = _step(register, np.uint8(value))
        return int(register[0]) ^ 0xFFFFFFFF
    values = np.frombuffer(data, np.uint8)
    length = -(-len(values) // _LANES)
    # Zeros in front leave an empty register empty; the standard's start of all ones is the same as
    # flipping the first four bytes.
    lanes = np.zeros(_LANES * length, np.uint8)
    lanes[-len(values) :] = values
    lanes[len(lanes) - len(values) :][:4] ^= 0xFF
    columns = np.ascontiguousarray(lanes.reshape(_LANES, length).T)  # (length, lanes)
    registers = np.zeros(_LANES, np.uint32)
    for column in columns:
        registers = _step(registers, column)
    return _joined(registers, length) ^ 0xFFFFFFFF


def masked_crc32c(data: bytes | memoryview) -> int:
    """The checksum as it is stored in files."""
    value = crc32c(data)
    return (((value >> 15) | (value << 17)) + _MASK_DELTA) & 0xFFFFFFFF


def _step(registers: _Words, values: UInt8Array | np.uint8) -> _Words:
    result: _Words = _TABLE[(registers ^ values) & 0xFF] ^ (registers >> 8)
    return result


def _joined(registers: _Words, length: int) -> int:
    """One register of lanes of `length` bytes behind each other."""
    shift = _zero_bytes(length)
    while len(registers) > 1:
        registers = _mapped(registers[0::2], shift) ^ registers[1::2]
        shift = _mapped(shift, shift)
    return int(registers[0])


def _zero_bytes(count: int) -> _Words:
    """The map of `count` zero bytes on a register, as the images (32,) of its bits."""
    result = np.uint32(1) << np.arange(32, dtype=np.uint32)
    power = _step(result, np.uint8(0))
    while count:
        if count & 1:
            result = _mapped(result, power)
        power = _mapped(power, power)
        count >>= 1
    return result


def _mapped(registers: _Words, images: _Words) -> _Words:
    result = np.zeros_like(registers)
    for bit in range(32):
        result ^= np.where((registers >> np.uint32(bit)) & 1, images[bit], 0).astype(np.uint32)
    return result
