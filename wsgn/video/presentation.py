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
    decoding, and a decoder that reorders frames reorders these with them. Frame n in the order of
    presentation then lies where packet n does in the order of decoding. Which to take is decided as
    libavcodec does (`guess_correct_pts`): the one that falls less often.
    """

    def __init__(
        self, *, has_pts: bool, sparse: bool = False, wrap_ticks: int | None = None
    ) -> None:
        self._has_pts = has_pts
        self._sparse = sparse
        self._wrap_ticks = wrap_ticks
        self._packets: deque[_PacketTimes] = deque()
        # Place among them of the packet that brought the last frame out.
        self._bringer = -1
        # Packets that the decoder takes in before their frame comes out.
        self._num_held_back: int | None = None
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
        self._packets.clear()
        self._bringer = -1
        self._last.clear()
        self._last_given = None

    def feed(self, pts: int | None, dts: int | None) -> None:
        """A packet goes into the decoder."""
        if len(self._packets) == _PACKETS_KEPT:
            self._packets.popleft()
            self._bringer -= 1
        self._packets.append(_PacketTimes(pts, dts))

    def candidates(self, pts: int | None, dts: int | None) -> Candidates:
        """Times of the next frame, whose `dts` is that of the packet that brought it out."""
        self._count_fall("pts", pts, dts)
        self._count_fall("dts", dts, pts)
        return Candidates(pts, self._by_decoding(pts, dts))

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

    def _by_decoding(self, pts: int | None, dts: int | None) -> int | None:
        self._bringer = self._place_of_bringer(dts)
        if self._num_held_back is None:
            own = [n for n, packet in enumerate(self._packets) if packet.pts == pts]
            first = own[0] if own and pts is not None else 0
            self._num_held_back = max(0, self._bringer - first)
        place = self._bringer - self._num_held_back
        return self._packets[max(0, place)].dts if place < len(self._packets) else None

    def _place_of_bringer(self, dts: int | None) -> int:
        """Place of the packet that brought a frame out; while draining, as if more had come."""
        if dts is not None:
            for place in range(len(self._packets) - 1, -1, -1):
                if self._packets[place].dts == dts:
                    return place
        return self._bringer + 1

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
