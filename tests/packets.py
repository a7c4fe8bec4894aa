"""Where the packets of a video file lie, and damage done to some of them."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import av


def packet_positions(path: Path) -> list[tuple[int, int]]:
    """Byte offset and size of every packet of the first video stream."""
    with av.open(str(path)) as container:
        packets = list(container.demux(video=0))
    return [(packet.pos or 0, packet.size) for packet in packets if packet.size]


def damage_packets(path: Path, numbers: Iterable[int]) -> None:
    """Overwrite the contents of packets, so that none of them can be decoded."""
    data = bytearray(path.read_bytes())
    packets = packet_positions(path)
    for number in numbers:
        position, size = packets[number]
        data[position : position + size] = b"\xff" * size
    path.write_bytes(data)
