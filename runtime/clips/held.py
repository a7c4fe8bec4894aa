"""Files of what a ring holds of a live source: its packets as they came."""

from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.packet import Packet

from wsgn.video.live.ring import RingCut, RingPacket

_TICK = Fraction(1, 90_000)
# What players expect in an MP4; all else goes into Matroska.
_IN_MP4 = ("h264", "hevc", "av1", "mpeg4")


def held_ending(cut: RingCut) -> str:
    """The ending of its file."""
    return ".mp4" if _codec(cut) in _IN_MP4 else ".mkv"


def write_held(cut: RingCut, path: Path) -> None:
    """Write the packets into a file, from time 0 on. Raises what PyAV raises."""
    form, options = "matroska", {}
    if held_ending(cut) == ".mp4":
        form, options = "mp4", {"movflags": "+faststart"}
    with av.open(str(path), "w", format=form, options=options) as output:
        stream: Any = output.add_stream_from_template(cut.parameters, opaque=True)
        stream.time_base = _TICK
        for packet in _packets(cut.packets, stream):
            output.mux(packet)


def _codec(cut: RingCut) -> str:
    return str(cut.parameters.codec_context.codec.canonical_name)


def _packets(held: tuple[RingPacket, ...], stream: Any) -> Iterator[Packet[Any]]:
    begin = held[0].seconds
    last: int | None = None
    for number, one in enumerate(held):
        packet: Packet[Any] = Packet(one.data)
        pts = round((one.seconds - begin) / _TICK)
        order = min(pts, round((one.order_seconds - begin) / _TICK))
        # Two that came at once.
        order = order if last is None else max(order, last + 1)
        packet.stream, packet.time_base = stream, _TICK
        packet.pts, packet.dts = max(pts, order), order
        packet.duration = round(one.duration_seconds / _TICK)
        packet.is_keyframe = one.is_keyframe
        last = order
        if number + 1 < len(held) or packet.duration:
            yield packet
            continue
        # The last one is shown as long as the one before.
        packet.duration = _usual_ticks(held)
        yield packet


def _usual_ticks(held: tuple[RingPacket, ...]) -> int:
    length = max(one.seconds for one in held) - held[0].seconds
    return max(1, round(length / max(1, len(held) - 1) / _TICK))
