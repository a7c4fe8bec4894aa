"""Decoding that survives damage: frames in presentation order, failures counted between them."""

from __future__ import annotations

from collections import deque
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from av.container import InputContainer
from av.error import EOFError as EndOfStream
from av.error import FFmpegError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wsgn.video.presentation import Candidates, PresentationTimes
from wsgn.video.timeline import JUMP_SECONDS, STILL_WINDOW

# A decoder that fails so often in a row will not recover.
MAXIMUM_FAILURES_IN_A_ROW = 8
# So many frames at the beginning wait until it is known whether their times are guesses; of large
# ones fewer, which take no more memory than those of 1080p.
_FRAMES_TO_JUDGE = 8
_LEAST_FRAMES_TO_JUDGE = 2
_PIXELS_TO_JUDGE = _FRAMES_TO_JUDGE * 1920 * 1088
# Packets are passed over up to so long before what is to be shown: after a point of recovery a
# decoder gives its first frames late.
_RECOVERY_SECONDS = 2.0
# More compressed packets are not held for a keyframe that does not come.
_MAXIMUM_HELD_PACKETS = 4096
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
    """Decodes one stream; `frames()` begins anew after `restart()`, when the container was sought.

    `packets` were read from the container already, before the decoder was made.
    """

    def __init__(
        self,
        container: InputContainer,
        stream: VideoStream,
        *,
        times: PresentationTimes,
        packets: Iterable[Packet[Stream]] = (),
        watch_others: bool = False,
    ) -> None:
        self._container = container
        self._stream = stream
        self._times = times
        self._seconds_per_tick = float(stream.time_base or 0)
        self._watched = tuple(container.streams) if watch_others else (stream,)
        self._held: deque[Packet[Stream] | DecodeFailure] = deque(packets)
        self._unread = iter(self._container.demux(*self._watched))
        self._failures_in_a_row = 0
        self._last_dts: int | None = None
        affordable = _PIXELS_TO_JUDGE // max(1, stream.width * stream.height)
        self._num_to_judge = min(_FRAMES_TO_JUDGE, max(_LEAST_FRAMES_TO_JUDGE, affordable))
        self._is_judged = times.by_decoding or not stream.codec_context.has_b_frames
        # The least timestamp of the packets that went in before the first frame came out.
        self.begin_pts: int | None = None
        self._has_decoded = False
        # Durations of the packets read last, for the timeline.
        self.packet_seconds: deque[float] = deque(maxlen=STILL_WINDOW)
        # End of the last packet of any other stream, in the file's own time.
        self.others_end_seconds = 0.0

    @property
    def gave_up(self) -> bool:
        """Whether decoding stopped because of too many failures in a row."""
        return self._failures_in_a_row >= MAXIMUM_FAILURES_IN_A_ROW

    @property
    def numbered_seconds(self) -> float:
        """End of the last packet where packets are only numbered; some of them show nothing."""
        if not self._times.numbers_packets or self._last_dts is None:
            return 0.0
        return self._seconds(self._last_dts + 1)

    def restart(self) -> None:
        """Go on from where the container stands now."""
        self._times.restart()
        self._last_dts = None
        self._held.clear()
        self._unread = iter(self._container.demux(*self._watched))

    def frames(self) -> Iterator[DecodedFrame | DecodeFailure]:
        """Everything from the container's position to its end, or until giving up."""
        waiting: list[tuple[VideoFrame, Candidates] | DecodeFailure] = []
        for item in self._decoded():
            waiting.append(item)
            self._is_judged = self._is_judged or len(waiting) >= self._num_to_judge
            if self._is_judged:
                yield from map(self._timed, waiting)
                waiting.clear()
        self._is_judged = True
        yield from map(self._timed, waiting)

    def skip_to(self, pts: int) -> bool:
        """Pass packets over, undecoded, up to those from which the frame at `pts` can be shown.

        Stops where the clock jumps: what lies behind has other times. False where nothing could be
        left out; frames that were asked for before then go on as if this had not been called.
        """
        latest = pts - round(_RECOVERY_SECONDS / self._seconds_per_tick)
        step = round(JUMP_SECONDS / self._seconds_per_tick)
        held: deque[Packet[Stream] | DecodeFailure] = deque()
        last = self._last_dts
        begins_with_keyframe = False
        for packet in self._packets():
            held.append(packet)
            if isinstance(packet, DecodeFailure) or packet.size == 0:
                break
            jumps = last is not None and packet.dts is not None and abs(packet.dts - last) > step
            last = last if packet.dts is None else packet.dts
            if jumps or (last is not None and last > pts) or len(held) > _MAXIMUM_HELD_PACKETS:
                break
            if packet.is_keyframe and packet.pts is not None and packet.pts <= latest:
                begins_with_keyframe = True
                held = deque([packet])
        self._held.extendleft(reversed(held))
        if begins_with_keyframe:
            self._stream.codec_context.flush_buffers()
            self._times.restart()
        return begins_with_keyframe

    def _decoded(self) -> Iterator[tuple[VideoFrame, Candidates] | DecodeFailure]:
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
            if self._held:
                yield self._held.popleft()
                continue
            try:
                packet = next(self._unread, None)
            except IndexError:
                # PyAV at the end of a damaged file in which streams appeared while it was read; the
                # older streams, and so this one, are drained by then.
                return
            except FFmpegError as error:
                # The failed iterator has ended; the container goes on behind the failure.
                self._unread = iter(self._container.demux(*self._watched))
                yield self._failure(error)
                continue
            if packet is None:
                return
            # The empty packet at the end carries its stream, but not the index of it.
            if packet.stream.index == self._stream.index:
                yield packet
            else:
                self._watch(packet)

    def _decode(
        self, packet: Packet[Stream]
    ) -> Iterator[tuple[VideoFrame, Candidates] | DecodeFailure]:
        # The empty packet at the end drains the decoder: a failure there hides further frames.
        is_last = packet.size == 0
        if not is_last:
            self._note(packet)
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
                    self._has_decoded = True
                    yield frame, self._times.candidates(frame.pts, frame.dts, frame.duration or 0)
            return

    def _note(self, packet: Packet[Stream]) -> None:
        """Keep what the times of frames depend on."""
        ticks = packet.duration or 0
        if self._times.numbers_packets and packet.dts is not None and self._last_dts is not None:
            # Numbers left out are empty chunks, which say that the frame before stands.
            ticks = max(ticks, packet.dts - self._last_dts)
        self._last_dts = packet.dts
        if not self._has_decoded and packet.pts is not None:
            before = self.begin_pts
            self.begin_pts = packet.pts if before is None else min(before, packet.pts)
        self.packet_seconds.append(self._seconds(ticks))
        self._times.feed(packet.pts, packet.dts)

    def _timed(
        self, item: tuple[VideoFrame, Candidates] | DecodeFailure
    ) -> DecodedFrame | DecodeFailure:
        if isinstance(item, DecodeFailure):
            return item
        frame, candidates = item
        pts = self._times.choose(candidates, frame.duration or 0)
        duration = 0.0 if self._times.counts_frames else self._seconds(frame.duration)
        return DecodedFrame(frame, pts, duration)

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
