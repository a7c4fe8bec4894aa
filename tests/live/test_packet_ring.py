"""The ring of packets: bounded in time and memory, whatever a source sends."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import av
import pytest
from av.video.stream import VideoStream

from wsgn.video.live.ring import PacketRing, RingCut


@pytest.fixture(scope="module")
def stream() -> Iterator[VideoStream]:
    with av.open("unused", "w", format="null") as container:
        made: Any = container.add_stream("libx264", rate=10)
        made.width, made.height = 64, 48
        yield made


def fill(
    ring: PacketRing, first: int, last: int, *, group: int = 10, size: int = 100, shift: float = 0.0
) -> None:
    """Packets numbered from `first`, ten in a second; their numbers are their contents."""
    for number in range(first, last):
        packet: Any = av.Packet(str(number).encode().ljust(size))
        packet.is_keyframe = number % group == 0
        ring.add(packet, number / 10 + shift, arrival=number / 10)


def numbers(cut: RingCut | None) -> list[int]:
    return [] if cut is None else [int(one.data) for one in cut.packets]


def test_a_cut_begins_at_the_keyframe_before_and_ends_before_its_end(stream: VideoStream) -> None:
    ring = PacketRing()
    ring.begin(stream)
    # What comes before the first keyframe cannot be decoded.
    fill(ring, 5, 100)
    ring.place(5.0, 1.0)
    cut = ring.cut(0.25, 1.2)
    assert cut is not None
    assert numbers(cut) == list(range(40, 52))
    assert (cut.begins_seconds, ring.end_seconds) == (0.0, pytest.approx(5.9))
    # What begins before all that is held begins there.
    assert numbers(ring.cut(-30, -2.5)) == list(range(10, 15))
    assert ring.cut(6.0, 9.0) is None
    assert ring.cut(-9.0, -4.0) is None


@pytest.mark.parametrize("group", [1, 10, 250])
def test_memory_is_bounded(stream: VideoStream, group: int) -> None:
    """Whether a keyframe comes with each picture, or so seldom that a group alone is too much."""
    ring = PacketRing(num_bytes=200_000)
    ring.begin(stream)
    most = 0
    for begin in range(0, 6000, 100):
        fill(ring, begin, begin + 100, group=group, size=2000)
        most = max(most, ring.num_bytes)
    ring.place(599.0, 599.0)
    assert 100_000 < most <= 200_000
    held = numbers(ring.cut(0.0, 600.0))
    if group < 100:
        # The newest, as much as there is room for.
        assert held == list(range(held[0], 6000))
        assert held[0] % group == 0
        assert len(held) * 2300 > 200_000 - group * 2300
    else:
        assert held == []
        # And it goes on at the next keyframe.
        fill(ring, 6000, 6050, group=group, size=2000)
        ring.place(604.0, 604.0)
        assert numbers(ring.cut(600.0, 605.0)) == list(range(6000, 6050))


def test_a_minute_is_held(stream: VideoStream) -> None:
    ring = PacketRing()
    ring.begin(stream)
    fill(ring, 0, 3000)
    ring.place(0.0, 0.0)
    held = numbers(ring.cut(0.0, 1000.0))
    # And what the oldest picture of it needs.
    assert held == list(range(2390, 3000))


def test_nothing_goes_over_a_break(stream: VideoStream) -> None:
    """A clock that jumps, or a new connection, begins with a keyframe of its own."""
    ring = PacketRing()
    ring.begin(stream)
    fill(ring, 0, 25)
    ring.place(2.0, 2.0)
    # The clock jumps in the middle of a group.
    fill(ring, 25, 45, shift=100.0)
    ring.place(103.0, 3.5)
    ring.begin(stream)
    fill(ring, 47, 70)
    ring.place(6.0, 7.0)
    assert numbers(ring.cut(1.2, 2.3)) == list(range(10, 23))
    assert numbers(ring.cut(1.2, 4.0)) == list(range(10, 25))
    assert numbers(ring.cut(3.6, 4.6)) == list(range(30, 41))
    assert numbers(ring.cut(6.0, 7.5)) == list(range(50, 65))


def test_pictures_before_their_keyframe_are_left_out(stream: VideoStream) -> None:
    """Open groups: what is decoded behind a keyframe and shown before it needs what is gone."""
    ring = PacketRing()
    ring.begin(stream)
    for number, seconds in enumerate([0.2, 0.0, 0.1, 0.5, 0.3, 0.4]):
        packet: Any = av.Packet(str(number).encode())
        packet.is_keyframe = number in (0, 3)
        ring.add(packet, seconds, arrival=seconds)
    ring.place(0.2, 0.2)
    assert numbers(ring.cut(0.5, 1.0)) == [3]
    assert numbers(ring.cut(0.0, 1.0)) == [0, 3, 4, 5]
