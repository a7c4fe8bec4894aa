"""Files of what a ring holds of a live source: its packets as they came."""

from __future__ import annotations

import re
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
# Kinds of NAL units that say how to decode the others: of H.264 (its 5 low bits) SPS and PPS, of
# H.265 (6 bits, one further up) VPS, SPS and PPS.
_PARAMETERS = {"h264": (0x1F, 0, (7, 8)), "hevc": (0x3F, 1, (32, 33, 34))}
_START_CODE = re.compile(b"\x00\x00\x01")


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
        # Cameras that are opened again quickly name none beforehand, and others change them.
        parameters = _parameters_in(cut.packets[0].data, _codec(cut))
        if parameters:
            stream.codec_context.extradata = parameters
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


def _parameters_in(data: bytes, codec: str) -> bytes:
    """NAL units of a keyframe that say how to decode it; empty where there are none."""
    if codec not in _PARAMETERS or not data.startswith((b"\x00\x00\x01", b"\x00\x00\x00\x01")):
        return b""
    mask, shift, kinds = _PARAMETERS[codec]
    starts = [found.end() for found in _START_CODE.finditer(data)]
    ends = [start - 3 for start in starts[1:]] + [len(data)]
    units = [data[start:end].rstrip(b"\x00") for start, end in zip(starts, ends, strict=True)]
    wanted = [unit for unit in units if unit and (unit[0] & (mask << shift)) >> shift in kinds]
    return b"".join(b"\x00\x00\x00\x01" + unit for unit in wanted)
