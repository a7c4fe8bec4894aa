"""The checksum against RFC 3720 and against its definition."""

from __future__ import annotations

import pytest
from bundle_writer import plain_crc32c

from wsgn.weights.crc32c import crc32c, masked_crc32c


# RFC 3720, appendix B.4, and the customary check value.
@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (bytes(32), 0x8A9136AA),
        (b"\xff" * 32, 0x62A8AB43),
        (bytes(range(32)), 0x46DD794E),
        (bytes(reversed(range(32))), 0x113FDB5C),
        (b"123456789", 0xE3069283),
    ],
)
def test_published_values(data: bytes, expected: int) -> None:
    assert crc32c(data) == expected


@pytest.mark.parametrize("size", [0, 1, 3, 4, 5, 4095, 4096, 4097, 20_000])
def test_any_length(size: int) -> None:
    data = bytes((7 * index * index + 3) % 251 for index in range(size))
    assert crc32c(memoryview(data)) == plain_crc32c(data)


def test_masked_value_of_leveldb() -> None:
    # Of the three bytes "foo", from LevelDB's description: rotated by 15 bits, plus a constant.
    value = plain_crc32c(b"foo")
    rotated = (value >> 15) | (value << 17) & 0xFFFFFFFF
    assert masked_crc32c(b"foo") == (rotated + 0xA282EAD8) % 2**32
