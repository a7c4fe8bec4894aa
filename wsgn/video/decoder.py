"""Decoding that survives damage: frames in presentation order, failures counted between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass

from av.container import InputContainer
from av.error import EOFError as EndOfStream
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wsgn.video.timeline import STILL_WINDOW

# A decoder that fails so often in a row will not recover.
MAXIMUM_FAILURES_IN_A_ROW = 8
# On two idle cores a second thread decodes 720p 1.5 times as fast, for 15 % more processor time and
# one more frame in memory. Small frames decode in thousands a second anyway.
_PIXELS_FOR_ONE_THREAD = 640 * 480


def decoder_threads(width: int, height: int) -> int:
    """Threads for a stream of this size."""
    return 1 if width * height <= _PIXELS_FOR_ONE_THREAD else 2


@dataclass(frozen=True, eq=False)
class DecodedFrame:
    """A decoded frame with its timestamp in ticks of the stream, where it has one."""

    video_frame: VideoFrame
    pts: int | None
    # 0 when the file does not say.
    duration_seconds: float


@dataclass(frozen=True)
class DecodeFailure:
    """A packet that could not be read or decoded."""

    reason: str


class FrameDecoder:
    """Decodes one stream; `frames()` may be called again after a seek of the container."""

    def __init__(
        self, container: InputContainer, stream: VideoStream, *, watch_others: bool
    ) -> None:
        self._container = container
        self._stream = stream
        self._seconds_per_tick = float(stream.time_base or 0)
        self._watched = tuple(container.streams) if watch_others else (stream,)
        self._failures_in_a_row = 0
        # Durations of the packets read last, for the timeline.
        self.packet_seconds: deque[float] = deque(maxlen=STILL_WINDOW)
        # End of the last packet of any other stream, in the file's own time.
        self.others_end_seconds = 0.0

    @property
    def gave_up(self) -> bool:
        """Whether decoding stopped because of too many failures in a row."""
        return self._failures_in_a_row >= MAXIMUM_FAILURES_IN_A_ROW

    def frames(self) -> Iterator[DecodedFrame | DecodeFailure]:
        """Everything from the container's position to its end, or until giving up."""
        self._failures_in_a_row = 0
        for packet in self._packets():
            if isinstance(packet, DecodeFailure):
                yield packet
            else:
                yield from self._decode(packet)
            if self.gave_up:
                return

    def _packets(self) -> Iterator[Packet[Stream] | DecodeFailure]:
        while True:
            try:
                for packet in self._container.demux(*self._watched):
                    # The empty packet at the end carries its stream, but not the index of it.
                    if packet.stream.index == self._stream.index:
                        self.packet_seconds.append(self._seconds(packet.duration))
                        yield packet
                    else:
                        self._watch(packet)
                return
            except IndexError:
                # PyAV at the end of a damaged file in which streams appeared while it was read; the
                # older streams, and so this one, are drained by then.
                return
            except FFmpegError as error:
                yield self._failure(error)

    def _decode(self, packet: Packet[Stream]) -> Iterator[DecodedFrame | DecodeFailure]:
        # The empty packet at the end drains the decoder: a failure there hides further frames.
        is_last = packet.size == 0
        while True:
            try:
                frames = packet.decode()
            except EndOfStream:
                return
            except FFmpegError as error:
                yield self._failure(error)
                if is_last and not self.gave_up:
                    continue
                return
            for frame in frames:
                if isinstance(frame, VideoFrame):
                    self._failures_in_a_row = 0
                    yield self._decoded(frame)
            return

    def _decoded(self, frame: VideoFrame) -> DecodedFrame:
        pts = frame.dts if frame.pts is None else frame.pts
        return DecodedFrame(frame, pts, self._seconds(frame.duration))

    def _failure(self, error: FFmpegError) -> DecodeFailure:
        self._failures_in_a_row += 1
        return DecodeFailure(error.strerror or type(error).__name__)

    def _seconds(self, ticks: int | None) -> float:
        return max(0, ticks or 0) * self._seconds_per_tick

    def _watch(self, packet: Packet[Stream]) -> None:
        time = packet.pts if packet.pts is not None else packet.dts
        if time is not None and packet.time_base:
            end = float((time + (packet.duration or 0)) * packet.time_base)
            self.others_end_seconds = max(self.others_end_seconds, end)
