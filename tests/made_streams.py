"""Streams whose right times are known by construction, in any container."""

from __future__ import annotations

import io
import struct
import tempfile
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import numpy as np
from av.video.stream import VideoStream
from coded_clips import coded_frame

SIZE = (64, 48)


@dataclass(frozen=True, kw_only=True)
class Container:
    """A way to write frames: what a muxer and an encoder are called."""

    suffix: str
    format: str
    codec: str = "libx264"
    pixel_format: str = "yuv420p"
    # As "name=value".
    muxer_option: str = ""
    # Whether it can be read from a pipe.
    pipes: bool = True


MP4 = Container(suffix="mp4", format="mp4", pipes=False)
FRAGMENTED = Container(
    suffix="mp4", format="mp4", muxer_option="movflags=frag_keyframe+empty_moov+default_base_moof"
)
MKV = Container(suffix="mkv", format="matroska")
FLV = Container(suffix="flv", format="flv")
ASF = Container(suffix="asf", format="asf")
AVI = Container(suffix="avi", format="avi")
XVID = Container(suffix="avi", format="avi", codec="mpeg4")
TS = Container(suffix="ts", format="mpegts")
MPEG_TS = Container(suffix="ts", format="mpegts", codec="mpeg2video")
PROGRAM = Container(suffix="mpg", format="vob", codec="mpeg2video")
# What is rarely met, and has no index that libavformat could use.
RARE = [
    Container(suffix="swf", format="swf", codec="flv1"),
    Container(suffix="wtv", format="wtv", codec="mpeg2video"),
    Container(suffix="mpjpeg", format="mpjpeg", codec="mjpeg", pixel_format="yuvj420p"),
    Container(suffix="mjpg", format="smjpeg", codec="mjpeg", pixel_format="yuvj420p"),
]


def encoder_options(codec: str, num_b_frames: int, keyframe_distance: int) -> dict[str, str]:
    options = {"bf": str(num_b_frames), "g": str(keyframe_distance)}
    if codec == "libx264":
        options |= {"preset": "veryfast", "x264-params": "scenecut=0:b-adapt=0"}
    return options


def made(
    numbers: Sequence[int],
    container: Container,
    *,
    rate: Fraction = Fraction(30),
    slots: Sequence[int] | None = None,
    offset_seconds: float = 0.0,
    sound_seconds: tuple[float, float] | None = None,
    num_b_frames: int = 0,
    keyframe_distance: int = 15,
    presentation_times: bool = True,
) -> bytes:
    """A file in which frame k shows numbers[k] from slots[k] / rate on (by default k / rate).

    All times are later by `offset_seconds`. `sound_seconds` adds silence from one time to another.
    Without `presentation_times` the decoding times take their place, as of a bad muxer.
    """
    target = io.BytesIO()
    slots = range(len(numbers)) if slots is None else slots
    options = encoder_options(container.codec, num_b_frames, keyframe_distance)
    flags = dict([container.muxer_option.split("=")] if container.muxer_option else [])
    with av.open(target, "w", format=container.format, options=flags) as output:
        stream = cast(VideoStream, output.add_stream(container.codec, rate=rate, options=options))
        stream.width, stream.height = SIZE
        stream.pix_fmt = container.pixel_format
        stream.codec_context.time_base = 1 / rate
        sound: list[Any] = []
        if sound_seconds is not None:
            sound = _silence(output, *sound_seconds)
        offset = round(offset_seconds * rate)
        packets: list[Any] = []
        for number, slot in zip(numbers, slots, strict=True):
            frame = av.VideoFrame.from_ndarray(coded_frame(number, *SIZE))
            frame.pts, frame.time_base = slot + offset, 1 / rate
            packets += stream.encode(frame)
        packets += stream.encode()
        if not presentation_times:
            for packet in packets:
                packet.pts = packet.dts
        for packet in sorted(packets + sound, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return target.getvalue()


def _silence(output: Any, begin: float, end: float) -> list[Any]:
    stream = output.add_stream("mp2", rate=16000, layout="mono")
    packets: list[Any] = []
    for start in range(round(begin * 16000), round(end * 16000), 576):
        frame = av.AudioFrame.from_ndarray(np.zeros((1, 576), np.int16), "s16", "mono")
        frame.sample_rate, frame.pts, frame.time_base = 16000, start, Fraction(1, 16000)
        packets += stream.encode(frame)
    return packets + list(stream.encode())


def with_mp4_duration(data: bytes, box: bytes, ticks: int) -> bytes:
    """The MP4 with another duration in its boxes `mvhd` or `mdhd` (version 0)."""
    changed = bytearray(data)
    place = changed.find(box)
    while place >= 0:
        struct.pack_into(">I", changed, place + 4 + 4 + 8 + 4, ticks)
        place = changed.find(box, place + 4)
    return bytes(changed)


def with_flv_duration(data: bytes, seconds: float) -> bytes:
    """The FLV with another duration in its metadata."""
    place = data.index(b"\x00\x08duration\x00") + len(b"\x00\x08duration\x00")
    return data[:place] + struct.pack(">d", seconds) + data[place + 8 :]


def with_mkv_duration(data: bytes, milliseconds: float) -> bytes:
    """The Matroska file with another duration, and none in its tags."""
    place = data.index(b"\x44\x89\x88") + 3
    changed = data[:place] + struct.pack(">d", milliseconds) + data[place + 8 :]
    return changed.replace(b"DURATION", b"DURATIOX")


def write(path: Path, data: bytes) -> Path:
    path.write_bytes(data)
    return path


def with_index_in_front(data: bytes) -> bytes:
    """The MP4 as it can be read from a pipe."""
    with tempfile.TemporaryDirectory() as folder:
        target = Path(folder) / "front.mp4"
        with (
            av.open(io.BytesIO(data)) as source,
            av.open(str(target), "w", options={"movflags": "faststart"}) as sink,
        ):
            stream = sink.add_stream_from_template(source.streams.video[0])
            for packet in source.demux(video=0):
                if packet.dts is not None:
                    packet.stream = stream
                    sink.mux(packet)
        return target.read_bytes()


def two_streams(
    container: Container, films: Sequence[tuple[Sequence[int], Fraction, str]]
) -> bytes:
    """A file with several video streams: numbers of the frames, rate and codec of each."""
    target = io.BytesIO()
    packets: list[Any] = []
    with av.open(target, "w", format=container.format) as output:
        streams = []
        for _, rate, codec in films:
            stream = cast(VideoStream, output.add_stream(codec, rate=rate))
            stream.width, stream.height = SIZE
            stream.pix_fmt = "yuvj420p" if codec == "mjpeg" else "yuv420p"
            stream.codec_context.time_base = 1 / rate
            streams.append(stream)
        for stream, (numbers, rate, _) in zip(streams, films, strict=True):
            for slot, number in enumerate(numbers):
                frame = av.VideoFrame.from_ndarray(coded_frame(number, *SIZE))
                frame.pts, frame.time_base = slot, 1 / rate
                packets += stream.encode(frame)
            packets += stream.encode()
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            output.mux(packet)
    return target.getvalue()
