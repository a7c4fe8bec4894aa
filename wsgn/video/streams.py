"""Which video stream of a file is read: the named one, or the first that is more than a still."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from av.container import InputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.stream import VideoStream

from wsgn.errors import UsageError
from wsgn.video.errors import VideoError

# AV_DISPOSITION_ATTACHED_PIC of libavformat.
_ATTACHED_PICTURE = 0x400
# Packets that tell a film from a thumbnail: of each stream, or of one of them.
_PACKETS_OF_EACH = 8
_PACKETS_OF_ONE = 64
# What lasts for less than this part of the longest is no film: as declared, and by those packets.
_SHORT_DECLARED = 0.1
_SHORT_PACKETS = 0.25


@dataclass(frozen=True, eq=False)
class ChosenStream:
    """The stream to be read."""

    stream: VideoStream
    # Its packets that were read to choose it.
    packets: list[Packet[Stream]] = field(default_factory=list)
    # What is to be said about the choice; None where there was none, or the user made it.
    remark: str | None = None


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Video streams without cover art."""
    return [stream for stream in container.streams.video if not _is_cover(stream)]


def audio_codec(container: InputContainer) -> str | None:
    """Codec of the first audio stream."""
    for stream in container.streams.audio:
        context = getattr(stream, "codec_context", None)
        return "unknown" if context is None else str(context.name)
    return None


def choose_stream(name: str, container: InputContainer, number: int | None) -> ChosenStream:
    """Video stream `number` (0 is the first; cover art is not counted), by default the first film.

    Raises `VideoError` where there is none that can be decoded.
    """
    streams = video_streams(container)
    if not streams:
        raise _no_video_stream(name, container)
    if number is not None and not 0 <= number < len(streams):
        raise UsageError(f"{name} has no video stream {number}; it has {_listed(streams)}.")
    packets: list[Packet[Stream]] = []
    remark = None
    chosen = number or 0
    if number is None and len(streams) > 1:
        packets = _first_packets(container, streams)
        chosen = _first_film(streams, packets)
        remark = (
            f"{len(streams)} video streams ({_listed(streams)}): {chosen} is read "
            "(wsgn-run --stream takes another)"
        )
    stream = streams[chosen]
    # PyAV has no codec context where libav has no decoder.
    if getattr(stream, "codec_context", None) is None:
        raise VideoError(
            "undecodable",
            f"{name}: there is no decoder for the video stream, or its header is damaged.",
        )
    own = [packet for packet in packets if packet.stream.index == stream.index]
    return ChosenStream(stream, own, remark)


def _first_packets(container: InputContainer, streams: list[VideoStream]) -> list[Packet[Stream]]:
    """Packets until each stream has shown some, or one of them many."""
    packets: list[Packet[Stream]] = []
    counts: Counter[int] = Counter()
    try:
        for packet in container.demux(*streams):
            packets.append(packet)
            counts[packet.stream.index] += packet.size > 0
            fewest = min(counts[stream.index] for stream in streams)
            if fewest >= _PACKETS_OF_EACH or max(counts.values()) >= _PACKETS_OF_ONE:
                break
    except (FFmpegError, IndexError):
        # The decoder meets the same damage again, or what comes behind it.
        pass
    return packets


def _first_film(streams: list[VideoStream], packets: list[Packet[Stream]]) -> int:
    """Number of the first stream that lasts about as long as the others."""
    counts = Counter(packet.stream.index for packet in packets if packet.size > 0)
    declared = [_seconds(stream, stream.duration) for stream in streams]
    reached = [_reached_seconds(stream, packets) for stream in streams]
    for number, stream in enumerate(streams):
        if getattr(stream, "codec_context", None) is None:
            continue
        is_short = 0 < declared[number] < _SHORT_DECLARED * max(declared)
        if counts[stream.index] > 0:
            is_short = is_short or reached[number] < _SHORT_PACKETS * max(reached)
        elif not declared[number]:
            is_short = True
        if not is_short:
            return number
    return 0


def _reached_seconds(stream: VideoStream, packets: list[Packet[Stream]]) -> float:
    """From the first of a stream's packets to the last."""
    times = [
        packet.dts
        for packet in packets
        if packet.stream.index == stream.index and packet.dts is not None
    ]
    return _seconds(stream, max(times) - min(times)) if times else 0.0


def _seconds(stream: VideoStream, ticks: int | None) -> float:
    return float((ticks or 0) * (stream.time_base or 0))


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition.value & _ATTACHED_PICTURE)


def _listed(streams: list[VideoStream]) -> str:
    return "; ".join(f"{number}: {_describe(stream)}" for number, stream in enumerate(streams))


def _describe(stream: VideoStream) -> str:
    context = getattr(stream, "codec_context", None)
    return "unknown codec" if context is None else f"{context.name} {stream.width}x{stream.height}"


def _no_video_stream(name: str, container: InputContainer) -> VideoError:
    others = []
    audio = audio_codec(container)
    if audio is not None:
        others.append(f"audio: {audio}")
    if container.streams.video:
        others.append("cover art only")
    if not others:
        # Many a text passes for subtitles.
        return VideoError("not_a_video", f"{name} is not a video.")
    return VideoError("no_video_stream", f"{name}: no video stream ({', '.join(others)}).")
