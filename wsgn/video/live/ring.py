"""The last minute of a live source as it came, undecoded: what clips are cut out of."""

from __future__ import annotations

import io
import threading
from collections import deque
from dataclasses import dataclass, field
from typing import Any

import av
from av.packet import Packet
from av.video.stream import VideoStream

from wsgn.video.timeline import JUMP_SECONDS

# What is held of a source, whichever is reached first.
RING_SECONDS = 60.0
RING_BYTES = 64 * 2**20
# A packet that claims to be shown for longer does not know.
_LONGEST_SECONDS = 60.0
# What Python needs for a packet beside its bytes.
_PACKET_BYTES = 300


@dataclass(frozen=True, slots=True, kw_only=True)
class RingPacket:
    """An encoded frame; times in seconds of the source's own clock."""

    data: bytes
    # When it is shown, and its place in the order of decoding.
    seconds: float
    order_seconds: float
    duration_seconds: float
    is_keyframe: bool


@dataclass(eq=False, kw_only=True)
class _Stretch:
    """What came without a break: of one connection, whose clock went on."""

    # Its parameters, in a container that is never written: the source's own is closed at any time.
    parameters: VideoStream
    container: Any
    first: float
    last: float
    last_order: float
    last_duration: float = 0.0
    # The clock of the source less media time; None before a picture was placed.
    base: float | None = None


@dataclass(eq=False, kw_only=True)
class _Group:
    """A keyframe and the packets that need it."""

    stretch: _Stretch
    arrival: float
    num_bytes: int = 0
    packets: list[RingPacket] = field(default_factory=list)


@dataclass(frozen=True, eq=False, kw_only=True)
class RingCut:
    """Packets from a keyframe on, in the order of decoding."""

    # Template of the stream to write; `container` keeps it alive.
    parameters: VideoStream
    container: Any
    packets: tuple[RingPacket, ...]
    # Media time of the first frame that is shown, and of the end of the last.
    begins_seconds: float
    ends_seconds: float


class PacketRing:
    """Holds the encoded frames of one live source; one thread adds, another one cuts.

    What is oldest goes, a keyframe with all that needs it, so that memory has a bound: where such a
    group alone is larger, nothing is held until the next keyframe.
    """

    def __init__(self, *, seconds: float = RING_SECONDS, num_bytes: int = RING_BYTES) -> None:
        self._seconds = seconds
        self._most_bytes = num_bytes
        self._lock = threading.Lock()
        self._groups: deque[_Group] = deque()
        self._num_bytes = 0
        self._stretch: _Stretch | None = None
        self._is_broken = True
        # What is known of the clock before the next stretch begins.
        self._next_base: float | None = None
        self._parameters: tuple[VideoStream, Any] | None = None

    @property
    def num_bytes(self) -> int:
        """What is held."""
        return self._num_bytes

    def begin(self, stream: VideoStream) -> None:
        """A connection begins, with this stream of its container."""
        with self._lock:
            container = av.open(io.BytesIO(), "w", format="null")
            parameters = container.add_stream_from_template(stream, opaque=True)
            self._parameters = (parameters, container)
            self._break()

    def add(self, packet: Packet[Any], seconds: float, arrival: float) -> None:
        """The next packet of the stream, which is shown at `seconds` of the source's clock."""
        order = seconds
        if packet.dts is not None and packet.pts is not None and packet.time_base is not None:
            # By how much it is decoded earlier than shown, whatever clock `seconds` are of.
            order = seconds - float((packet.pts - packet.dts) * packet.time_base)
        length = float((packet.duration or 0) * (packet.time_base or 0))
        with self._lock:
            self._note_break(order)
            if packet.is_keyframe:
                self._begin_group(seconds, order, arrival)
            if self._is_broken or self._stretch is None:
                return
            kept = RingPacket(
                data=bytes(packet),
                seconds=seconds,
                order_seconds=order,
                duration_seconds=length if 0 < length <= _LONGEST_SECONDS else 0.0,
                is_keyframe=bool(packet.is_keyframe),
            )
            group, stretch = self._groups[-1], self._stretch
            group.packets.append(kept)
            size = len(kept.data) + _PACKET_BYTES
            group.num_bytes += size
            self._num_bytes += size
            stretch.last = max(stretch.last, seconds)
            stretch.last_order, stretch.last_duration = order, kept.duration_seconds
            self._forget(arrival)

    def place(self, source_seconds: float, media_seconds: float) -> None:
        """A picture of the source's clock lies at this media time."""
        base = source_seconds - media_seconds
        with self._lock:
            stretch = self._stretch
            if self._is_broken or stretch is None:
                # Some can be decoded before the first keyframe that is kept.
                self._next_base = base
            elif stretch.first - JUMP_SECONDS <= source_seconds <= stretch.last + JUMP_SECONDS:
                stretch.base = base

    @property
    def end_seconds(self) -> float:
        """Media time up to which it holds pictures; 0 where it holds none."""
        with self._lock:
            for group in reversed(self._groups):
                if group.stretch.base is not None:
                    return group.stretch.last - group.stretch.base
            return 0.0

    def cut(self, start_seconds: float, end_seconds: float) -> RingCut | None:
        """From the keyframe before the start to the last frame before the end, as far as held.

        Media times, of one stretch. None where nothing of it is held.
        """
        with self._lock:
            stretch = self._stretch_of(start_seconds, end_seconds)
            if stretch is None or stretch.base is None:
                return None
            start, end = start_seconds + stretch.base, end_seconds + stretch.base
            groups = [group for group in self._groups if group.stretch is stretch]
            while len(groups) > 1 and groups[1].packets[0].seconds <= start:
                del groups[0]
            packets = [packet for group in groups for packet in group.packets]
        begin = packets[0].seconds
        # Frames that are decoded behind a keyframe and shown before it need those before that.
        packets = [one for one in packets if one.seconds >= begin]
        while packets and packets[-1].seconds >= end:
            del packets[-1]
        if not packets:
            return None
        last = max(packets, key=lambda one: one.seconds)
        return RingCut(
            parameters=stretch.parameters,
            container=stretch.container,
            packets=tuple(packets),
            begins_seconds=begin - stretch.base,
            ends_seconds=last.seconds + last.duration_seconds - stretch.base,
        )

    def _note_break(self, order: float) -> None:
        """A clock that falls or jumps: what is behind it goes with nothing before."""
        stretch = self._stretch
        if stretch is not None and not self._is_broken:
            step = order - stretch.last_order
            longest = stretch.last_duration + JUMP_SECONDS
            if not -JUMP_SECONDS <= step <= longest:
                self._break()

    def _break(self) -> None:
        """What comes up to the next keyframe cannot be kept."""
        self._is_broken, self._next_base = True, None

    def _begin_group(self, seconds: float, order: float, arrival: float) -> None:
        if self._is_broken and self._parameters is not None:
            parameters, container = self._parameters
            self._stretch = _Stretch(
                parameters=parameters,
                container=container,
                first=seconds,
                last=seconds,
                last_order=order,
                base=self._next_base,
            )
            self._is_broken = False
        if self._stretch is not None:
            self._groups.append(_Group(stretch=self._stretch, arrival=arrival))

    def _forget(self, arrival: float) -> None:
        """Let go of the oldest."""
        while self._num_bytes > self._most_bytes or (
            len(self._groups) > 1 and self._groups[1].arrival <= arrival - self._seconds
        ):
            gone = self._groups.popleft()
            self._num_bytes -= gone.num_bytes
            if not self._groups:
                self._break()

    def _stretch_of(self, start_seconds: float, end_seconds: float) -> _Stretch | None:
        """The one that holds most of a part."""
        best, most = None, 0.0
        for stretch in {id(group.stretch): group.stretch for group in self._groups}.values():
            if stretch.base is None:
                continue
            first, last = stretch.first - stretch.base, stretch.last - stretch.base
            length = min(end_seconds, last) - max(start_seconds, first)
            # The newest of equal ones: a playlist gives its old pictures once more.
            if length >= most:
                best, most = stretch, length
        return best
