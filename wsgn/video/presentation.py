"""When each decoded frame is to be shown, in ticks: stored times, guessed ones told from them."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

# More packets than any decoder holds back.
_PACKETS_KEPT = 64
# A sparse clock that fell by no more frames, for no more frames, was guessed wrongly.
_SPARSE_FRAMES = 8
_SPARSE_PATIENCE_FRAMES = 90


@dataclass(frozen=True)
class Candidates:
    """The two times that a frame may have; each may be missing."""

    pts: int | None
    by_decoding: int | None


@dataclass(frozen=True)
class _PacketTimes:
    pts: int | None
    dts: int | None


class PresentationTimes:
    """Chooses between the presentation times of packets and the order of their decoding times.

    Where a container stores no presentation times libavformat invents them in the order of
    decoding, and a decoder that reorders frames reorders these with them. A frame then lies where
    the packet does that brings it out, less what the decoder holds back. Which to take is decided
    as libavcodec does (`guess_correct_pts`): the one that falls less often.
    """

    def __init__(
        self, *, has_pts: bool, sparse: bool = False, wrap_ticks: int | None = None
    ) -> None:
        self._has_pts = has_pts
        self._sparse = sparse
        self._wrap_ticks = wrap_ticks
        # Those before the first frame.
        self._packets: deque[_PacketTimes] = deque(maxlen=_PACKETS_KEPT)
        # Ticks that a packet goes in before its place in the order of presentation comes out.
        self._lag: int | None = None
        self._last_by_decoding: int | None = None
        self._last: dict[str, int] = {}
        self._falls = {"pts": 0, "dts": 0}
        self._last_given: int | None = None
        self._num_guessed = 0

    @property
    def by_decoding(self) -> bool:
        """Whether the order of decoding is what counts."""
        return not self._has_pts or self._falls["pts"] > self._falls["dts"]

    @property
    def numbers_packets(self) -> bool:
        """Whether the only times stored are numbers of packets."""
        return not self._has_pts

    @property
    def counts_frames(self) -> bool:
        """Whether times are numbers of frames, each as long as the others."""
        return False

    def restart(self) -> None:
        """Forget the packets, after a seek; what was learnt of the clocks stays."""
        self._last_by_decoding = None
        self._last.clear()
        self._last_given = None

    def feed(self, pts: int | None, dts: int | None) -> None:
        """A packet goes into the decoder."""
        if self._lag is None:
            self._packets.append(_PacketTimes(pts, dts))

    def candidates(self, pts: int | None, dts: int | None, duration: int) -> Candidates:
        """Times of the next frame, whose `dts` is that of the packet that brought it out."""
        self._count_fall("pts", pts, dts)
        self._count_fall("dts", dts, pts)
        self._last_by_decoding = self._by_decoding(pts, dts, duration)
        return Candidates(pts, self._last_by_decoding)

    def choose(self, candidates: Candidates, duration: int) -> int | None:
        """The time of a frame, after all that was learnt so far; `duration` in ticks."""
        first, second = candidates.pts, candidates.by_decoding
        if self.by_decoding:
            first, second = second, first
        chosen = second if first is None else first
        if self._sparse:
            chosen = self._bridged(chosen, duration)
        self._last_given = chosen
        return chosen

    def _count_fall(self, name: str, time: int | None, other: int | None) -> None:
        if time is not None:
            self._falls[name] += name in self._last and self._is_fall(time - self._last[name])
            self._last[name] = time
        elif other is not None:
            self._last[name] = other

    def _is_fall(self, step: int) -> bool:
        """Whether a step goes back, and not on over the end of a clock that wraps."""
        if self._wrap_ticks is not None and step + self._wrap_ticks < self._wrap_ticks // 1000:
            return False
        return step <= 0

    def _by_decoding(self, pts: int | None, dts: int | None, duration: int) -> int | None:
        if dts is None:
            # Frames that come out when nothing goes in any more follow one another.
            last = self._last_by_decoding
            return None if last is None or duration <= 0 else last + duration
        if self._lag is None:
            own = [packet.dts for packet in self._packets if packet.dts is not None]
            found = [packet.dts for packet in self._packets if packet.pts == pts]
            if self._sparse and (pts is None or not found):
                # Which packet this frame was cannot be known.
                return None
            begin = found[0] if found and pts is not None else next(iter(own), dts)
            self._lag = max(0, dts - (dts if begin is None else begin))
            self._packets.clear()
        return dts - self._lag

    def _bridged(self, time: int | None, duration: int) -> int | None:
        """A time of a sparse clock; while it lags behind a fall, frames follow one another."""
        last = self._last_given
        if time is None or last is None or duration <= 0:
            return time
        expected = last + duration
        lags = expected - _SPARSE_FRAMES * duration <= time <= expected - (duration + 1) // 2
        begun = time <= last or self._num_guessed > 0
        if not (lags and begun) or self._num_guessed >= _SPARSE_PATIENCE_FRAMES:
            self._num_guessed = 0
            return time
        self._num_guessed += 1
        return expected


class CountedTimes(PresentationTimes):
    """Frame n lies at tick n: the times in the file are not asked."""

    def __init__(self) -> None:
        super().__init__(has_pts=True)
        self._num_frames = 0

    @property
    def counts_frames(self) -> bool:
        """Always."""
        return True

    def choose(self, candidates: Candidates, duration: int) -> int | None:
        """The number of the frame."""
        self._num_frames += 1
        return self._num_frames - 1
