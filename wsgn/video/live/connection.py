"""One connection to a live source: its pictures as they come, until they do not come any more."""

from __future__ import annotations

from collections.abc import Callable, Generator, Iterator
from dataclasses import dataclass

from av.container import InputContainer
from av.error import EOFError as EndOfStream
from av.error import FFmpegError, InvalidDataError
from av.packet import Packet
from av.stream import Stream
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wsgn.video.decoder import MAXIMUM_FAILURES_IN_A_ROW, DecodeFailure
from wsgn.video.formats import format_clock
from wsgn.video.info import frame_seconds
from wsgn.video.live.faults import Fault, LiveFaultError
from wsgn.video.live.moments import Moments
from wsgn.video.live.opening import PLAYLISTS, Opening
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.pace import Pace
from wsgn.video.live.ring import PacketRing
from wsgn.video.source import DECODER_OPTIONS
from wsgn.video.streams import choose_stream
from wsgn.video.timeline import JUMP_SECONDS

# The first packets of a stream may have no time until the sender has said how its clocks compare.
_UNTIMED_PICTURES = 50
# Packets are left out until one from which decoding can begin is no later than this.
_CAUGHT_UP_SECONDS = 0.5
# So many timeouts, where none comes at all.
_KEYFRAME_PATIENCE = 6
# A second thread holds a picture back, and cores are there for other sources.
_PIXELS_FOR_ONE_THREAD = 1920 * 1088
# Their demuxer counts pictures at a rate of its own.
_WITHOUT_TIMES = ("mpjpeg",)


@dataclass(frozen=True, eq=False, kw_only=True)
class Picture:
    """A decoded picture."""

    frame: VideoFrame
    # On the clock of the source, or of this machine where that has none.
    raw_seconds: float
    duration_seconds: float
    # Monotonic, of the packet that brought it out.
    arrival: float


@dataclass(frozen=True)
class SkippedPackets:
    """Packets that were left out before the next picture."""

    number: int


@dataclass(frozen=True)
class TimesByArrival:
    """The source gives no times: from here on pictures lie where they come."""


Item = Picture | DecodeFailure | SkippedPackets | TimesByArrival


class Connection:
    """Iterates the pictures of an open container, and what went wrong between them.

    Ends where the source ends; raises `LiveFaultError` where no pictures come, `FFmpegError` where
    reading breaks off, `VideoError` where there is no video to decode. `lag` says how late a
    picture of some time is that arrives now. `ring` gets every packet of the stream.
    """

    def __init__(
        self,
        name: str,
        container: InputContainer,
        opening: Opening,
        options: LiveOptions,
        *,
        timeout_seconds: float,
        moments: Moments,
        lag: Callable[[float, float], float],
        ring: PacketRing | None = None,
    ) -> None:
        self.container = container
        self.is_playlist = container.format.name in PLAYLISTS
        # The first where none is named: to compare them would take packets that are filmed now.
        self.stream = choose_stream(name, container, options.stream or 0).stream
        if self.is_playlist:
            _take_only(self.stream)
        self.stream.thread_type = "AUTO"
        is_large = self.stream.width * self.stream.height > _PIXELS_FOR_ONE_THREAD
        self.stream.thread_count = 2 if is_large else 1
        self.stream.codec_context.options = dict(DECODER_OPTIONS)
        self._seconds_per_tick = float(self.stream.time_base or 0)
        self.frame_seconds = frame_seconds(self.stream)
        self._options = options
        self._timeout_seconds = timeout_seconds
        # Until the first picture: a decoder that joins waits for a keyframe.
        self._patience_seconds = timeout_seconds + options.open_timeout_seconds
        self._moments = moments
        self._lag = lag
        self.is_finite = opening.is_finite
        self._pace = Pace(moments) if opening.is_paced else None
        no_times = not format_clock(container, fragmented=False).has_times
        no_times = no_times or container.format.name in _WITHOUT_TIMES
        self.by_arrival = no_times and not opening.is_paced and options.input_rate is None
        self._ring = ring
        self._num_packets = 0
        if ring is not None:
            ring.begin(self.stream)
        self._num_pictures = 0
        self._num_untimed = 0
        self._last_raw: float | None = None
        self._last_picture = self._asked = moments.now()
        self._failures_in_a_row = 0
        self._num_skipped: int | None = None
        self._skips_since = 0.0

    @property
    def may_skip(self) -> bool:
        """Whether packets may be left out: their times say when they are late."""
        has_times = not self.by_arrival and self._options.input_rate is None
        waits = self.is_finite and self._pace is None
        return has_times and not waits and self._options.drop == "oldest"

    @property
    def waited_seconds(self) -> float:
        """How long the last packet was waited for."""
        return self._moments.now() - self._asked

    def skip(self) -> None:
        """Leave packets out until one from which decoding can begin is not late any more."""
        if self._num_skipped is None:
            self._num_skipped, self._skips_since = 0, self._moments.now()

    def items(self) -> Iterator[Item]:
        """What comes, until the source ends or is not to be read any more."""
        for packet in self._packets():
            if isinstance(packet, DecodeFailure):
                yield packet
                self._require_pictures()
                continue
            now = self._moments.now()
            if self._moments.should_stop():
                return
            if packet.stream.index == self.stream.index:
                self._record(packet, now)
                if not (yield from self._takes(packet, now)):
                    continue
                yield from self._decode(packet, now)
            self._require_pictures()

    def _packets(self) -> Iterator[Packet[Stream] | DecodeFailure]:
        # All streams: those that are not asked for would pass unseen for as long as they come.
        unread = self.container.demux()
        while True:
            self._asked = self._moments.now()
            try:
                packet = next(unread, None)
            except IndexError:
                # PyAV at the end of a stream in which others appeared.
                return
            except InvalidDataError as error:
                # The failed iterator has ended; the container goes on behind the failure.
                yield self._failure(error)
                unread = self.container.demux()
                continue
            if packet is None:
                return
            if packet.size == 0:
                # What is drained at the end; of a stream that has broken off it may be damaged.
                yield packet
                continue
            if self._pace is not None and packet.dts is not None and packet.time_base:
                self._pace.wait(float(packet.dts * packet.time_base))
            yield packet

    def _record(self, packet: Packet[Stream], arrival: float) -> None:
        """Keep a packet as it came, at the time that its picture will have."""
        if self._ring is None or packet.size == 0:
            return
        self._num_packets += 1
        ticks = packet.pts if packet.pts is not None else packet.dts
        if self._options.input_rate is not None:
            self._ring.add(packet, self._num_packets / self._options.input_rate, arrival)
        elif self.by_arrival:
            self._ring.add(packet, arrival, arrival)
        elif ticks is not None:
            self._ring.add(packet, ticks * self._seconds_per_tick, arrival)

    def _takes(
        self, packet: Packet[Stream], arrival: float
    ) -> Generator[SkippedPackets, None, bool]:
        """Whether a packet goes to the decoder."""
        if self._num_skipped is None:
            return True
        if packet.size == 0:
            # What the decoder still holds at the end is as late.
            return False
        ticks = packet.dts if packet.dts is not None else packet.pts
        lag = None if ticks is None else self._lag(ticks * self._seconds_per_tick, arrival)
        if packet.is_keyframe and lag is not None and lag <= _CAUGHT_UP_SECONDS:
            self.stream.codec_context.flush_buffers()
            skipped, self._num_skipped = SkippedPackets(self._num_skipped), None
            yield skipped
            return True
        self._num_skipped += 1
        skips_for = arrival - self._skips_since
        patience = self._timeout_seconds * (1 if packet.is_keyframe else _KEYFRAME_PATIENCE)
        # It stays late whatever is left out, or has no keyframes: a new connection begins at its
        # end. A file would begin anew.
        if skips_for > patience and not self.is_finite:
            raise LiveFaultError(Fault(cause="late", seconds=skips_for))
        self._last_picture = arrival
        return False

    def _decode(self, packet: Packet[Stream], arrival: float) -> Iterator[Item]:
        try:
            frames = packet.decode()
        except EndOfStream:
            return
        except FFmpegError as error:
            yield self._failure(error)
            return
        for frame in frames:
            if isinstance(frame, VideoFrame):
                yield from self._picture(frame, arrival)

    def _picture(self, frame: VideoFrame, arrival: float) -> Iterator[Item]:
        self._failures_in_a_row = 0
        duration = (frame.duration or 0) * self._seconds_per_tick
        if not 0 < duration <= JUMP_SECONDS:
            duration = self.frame_seconds
        raw = self._raw_seconds(frame, arrival, duration)
        if raw is None:
            self._num_untimed += 1
            if self._num_untimed < _UNTIMED_PICTURES:
                return
            self.by_arrival = True
            yield TimesByArrival()
            raw = arrival
        self._last_picture, self._last_raw = arrival, raw
        self._num_pictures += 1
        self._patience_seconds = self._timeout_seconds
        yield Picture(frame=frame, raw_seconds=raw, duration_seconds=duration, arrival=arrival)
        # Who takes the pictures may have waited: that is no silence of the source.
        self._last_picture = self._moments.now()

    def _raw_seconds(self, frame: VideoFrame, arrival: float, duration: float) -> float | None:
        """The picture's own time; None for one of the first, which may have none."""
        if self._options.input_rate is not None:
            return self._num_pictures / self._options.input_rate
        if self.by_arrival:
            return arrival
        if frame.pts is not None:
            return frame.pts * self._seconds_per_tick
        return None if self._last_raw is None else self._last_raw + duration

    def _failure(self, error: FFmpegError) -> DecodeFailure:
        self._failures_in_a_row += 1
        return DecodeFailure(error.strerror or type(error).__name__)

    def _require_pictures(self) -> None:
        """Packets of any kind come: so must pictures.

        Not at once where decoding fails: what does not begin with a keyframe fails up to the next.
        """
        silence = self._moments.now() - self._last_picture
        if silence > self._patience_seconds and not self.is_finite:
            fails = self._failures_in_a_row >= MAXIMUM_FAILURES_IN_A_ROW
            raise LiveFaultError(
                Fault(cause="undecodable" if fails else "timeout", seconds=silence)
            )


def _take_only(stream: VideoStream) -> None:
    """Leave out the other streams: the qualities of a playlist are downloaded for nothing."""
    try:
        from av.stream import Discard
    except ImportError:
        # PyAV before it could.
        return
    for other in stream.container.streams:
        if other.index != stream.index:
            other.discard = Discard.all
