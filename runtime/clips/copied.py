"""A part of a video without encoding it anew: from the keyframe before it on."""

from __future__ import annotations

import errno
from collections.abc import Iterator
from contextlib import closing
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.audio.stream import AudioStream
from av.container import InputContainer, OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from wsgn.errors import InputError
from wsgn.video.opened_video import OpenedVideo
from wsgn.video.source import OpenSource, open_source
from wsgn.video.timeline import JUMP_SECONDS

from .part import CutPart, Part

# What is no MP4 becomes Matroska, which holds nearly every codec.
_MP4_FORMAT = "mov,mp4,m4a,3gp,3g2,mj2"
# Where a seek lands behind its aim, aim so much earlier, and at last at the beginning.
_STEPS_BACK_SECONDS = (0.0, 2.0, 20.0, float("inf"))
# Sound may lie so far behind the pictures in the file.
_INTERLEAVED_SECONDS = 2.0
_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG, errno.EIO)


def copied_ending(source: Path) -> str:
    """The ending of copies of a video. Raises `InputError` where it cannot be opened."""
    opened = open_source(source)
    with closing(opened.container):
        return ".mp4" if opened.container.format.name == _MP4_FORMAT else ".mkv"


def write_copy(source: Path, part: Part, path: Path) -> CutPart:
    """Copy the part of a video, from the last keyframe that is no later than its start.

    It ends with the last frame before the end, and those that this one needs. Raises `InputError`
    where that cannot be done, `OutputError` where the disk is full.
    """
    with OpenedVideo(source, None) as video:
        origin, index = video.origin_seconds(), video.stream_index
        start = part.start_seconds + video.timeline.tolerance_seconds
        end = part.end_seconds - video.timeline.tolerance_seconds
        if origin is None or not video.stores_times:
            raise _not_copied(source, "it does not store the times of its frames")
    keyframe = _keyframe_before(source, index, origin + start)
    if keyframe is None:
        raise InputError(
            f"{source} has no keyframe before {part.start_seconds:.2f} s: leave out --copy."
        )
    opened = open_source(source)
    with closing(opened.container):
        copier = _Copier(opened, index, keyframe, origin + end, source)
        try:
            with av.open(str(path), "w", format=_muxer(opened.container)) as output:
                copier.copy(output)
        except (FFmpegError, ValueError) as error:
            if getattr(error, "errno", None) in _FULL:
                raise
            reason = getattr(error, "strerror", None) or "its codec has no place there"
            raise _not_copied(source, reason.lower()) from error
    if copier.num_frames == 0 or copier.end_seconds <= origin + start:
        raise InputError(
            f"{source} shows nothing from {part.start_seconds:.2f} to {part.end_seconds:.2f} s: "
            "are these the results of another video?"
        )
    return CutPart(
        begins_seconds=float(keyframe) - origin,
        ends_seconds=copier.end_seconds - origin,
        num_frames=copier.num_frames,
        has_sound=copier.has_sound,
        remark=copier.remark,
    )


def _muxer(container: InputContainer) -> str:
    return "mp4" if container.format.name == _MP4_FORMAT else "matroska"


def _not_copied(source: Path, reason: str) -> InputError:
    return InputError(f"{source} cannot be copied ({reason}): leave out --copy.")


def _keyframe_before(source: Path, index: int, seconds: float) -> Fraction | None:
    """The time in the file of the last keyframe that is no later than a time of the file."""
    opened = open_source(source)
    with closing(opened.container):
        stream = opened.container.streams[index]
        assert isinstance(stream, VideoStream)
        for back_seconds in _STEPS_BACK_SECONDS:
            _seek(opened, stream, seconds - back_seconds)
            found: Fraction | None = None
            for packet in _packets(opened, [stream], source):
                pts, dts = _time(packet.pts, packet), _time(packet.dts, packet)
                if packet.is_keyframe and pts is not None and pts <= seconds:
                    found = pts
                if (dts if dts is not None else pts or 0) > seconds:
                    break
            if found is not None or not _seeks(opened):
                return found
    return None


def _seeks(opened: OpenSource) -> bool:
    return opened.seekable and opened.clock.seeks


def _seek(opened: OpenSource, stream: VideoStream, seconds: float) -> None:
    """Go to a keyframe before a time, or to the beginning; else the file is read on."""
    if not _seeks(opened) or not stream.time_base:
        return
    begin = float((stream.start_time or 0) * stream.time_base)
    opened.container.seek(int(max(seconds, begin) / stream.time_base), stream=stream)


def _packets(opened: OpenSource, streams: list[Any], source: Path) -> Iterator[Packet[Any]]:
    """Packets from where the container stands on."""
    last: Fraction | None = None
    try:
        for packet in opened.container.demux(*streams):
            # The empty ones at the end.
            if packet.size == 0:
                continue
            if packet.stream.index == streams[0].index:
                time = _time(packet.dts, packet)
                if last is not None and time is not None and time < last - Fraction(JUMP_SECONDS):
                    raise _not_copied(source, "its clock begins anew on the way")
                last = time if time is not None else last
            yield packet
    except (FFmpegError, IndexError):
        # Damage, or the end of a file in which streams appeared while it was read.
        return


def _time(ticks: int | None, packet: Packet[Any]) -> Fraction | None:
    return None if ticks is None or packet.time_base is None else ticks * packet.time_base


class _Copier:
    """Copies the packets of one part."""

    def __init__(
        self, opened: OpenSource, index: int, keyframe: Fraction, end_seconds: float, source: Path
    ) -> None:
        self._opened = opened
        stream = opened.container.streams[index]
        assert isinstance(stream, VideoStream)
        self._video = stream
        self._keyframe = keyframe
        self._end = end_seconds
        self._source = source
        self._outputs: dict[int, Any] = {}
        # The first packets, while it is not known when they are to be decoded.
        self._unordered: list[Packet[Any]] = []
        self._last_order: int | None = None
        self.num_frames = 0
        # In the time of the file.
        self.end_seconds = float(keyframe)
        self.has_sound = False
        self.remark = ""

    def copy(self, output: OutputContainer) -> None:
        """Copy it."""
        audio = self._add_streams(output)
        _seek(self._opened, self._video, float(self._keyframe))
        streams = [self._video, *([] if audio is None else [audio])]
        # What lies behind the end, until it is known whether frames before the end need it.
        held: list[Packet[Any]] = []
        for packet in _packets(self._opened, streams, self._source):
            time = self._time_of(packet)
            if packet.stream.index != self._video.index:
                if self._keyframe <= time < self._end:
                    held.append(packet)
                continue
            # Neither what is decoded before the keyframe, nor what is shown before it.
            if time >= self._keyframe:
                held.append(packet)
                if time < self._end:
                    self._write(held, output)
                    held.clear()
            order = _time(packet.dts, packet)
            if (time if order is None else order) >= self._end + _INTERLEAVED_SECONDS:
                break
        self._write([one for one in held if one.stream.index != self._video.index], output)
        self._write_unordered(None, output)

    def _add_streams(self, output: OutputContainer) -> AudioStream | None:
        self._outputs[self._video.index] = output.add_stream_from_template(self._video, opaque=True)
        audio = next(iter(self._opened.container.streams.audio), None)
        if audio is None:
            return None
        try:
            self._outputs[audio.index] = output.add_stream_from_template(audio)
        except (ValueError, AttributeError):
            self.remark = f"the sound is left out, because a {output.format.name} cannot hold it"
            return None
        self.has_sound = True
        return audio

    def _time_of(self, packet: Packet[Any]) -> Fraction:
        time = _time(packet.pts, packet)
        if time is None:
            raise _not_copied(self._source, "its frames have no times of their own")
        return time

    def _write(self, packets: list[Packet[Any]], output: OutputContainer) -> None:
        for packet in packets:
            shift = round(self._keyframe / (packet.time_base or 1))
            time = self._time_of(packet)
            assert packet.pts is not None
            packet.pts -= shift
            packet.dts = None if packet.dts is None else packet.dts - shift
            if packet.stream.index == self._video.index:
                self.num_frames += 1
                length = float((packet.duration or 0) * (packet.time_base or 0))
                self.end_seconds = max(self.end_seconds, float(time) + length)
                self._order(packet, output)
            else:
                packet.dts = packet.pts if packet.dts is None else packet.dts
                self._mux(packet, output)

    def _order(self, packet: Packet[Any], output: OutputContainer) -> None:
        """Give a frame its place in decoding, where the file does not store it (Matroska)."""
        if packet.dts is not None:
            self._write_unordered(packet.dts, output)
            self._last_order = packet.dts
            self._mux(packet, output)
        elif self._last_order is None:
            self._unordered.append(packet)
        else:
            self._last_order += 1
            packet.dts = self._last_order
            self._mux(packet, output)

    def _write_unordered(self, next_order: int | None, output: OutputContainer) -> None:
        waiting, self._unordered = self._unordered, []
        for number, packet in enumerate(waiting):
            step = max(1, packet.duration or 1)
            places = len(waiting) - number
            packet.dts = packet.pts if next_order is None else next_order - places * step
            self._mux(packet, output)

    def _mux(self, packet: Packet[Any], output: OutputContainer) -> None:
        packet.stream = self._outputs[packet.stream.index]
        output.mux(packet)
