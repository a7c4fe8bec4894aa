"""Snippets of many streams that wait for one engine. No threads, no clocks."""

from __future__ import annotations

from collections import deque
from collections.abc import Hashable
from dataclasses import dataclass
from typing import Generic, TypeVar

from ..streaming.snippets import Snippet

Stream = TypeVar("Stream", bound=Hashable)


@dataclass(frozen=True, eq=False, kw_only=True)
class Waited(Generic[Stream]):
    """A snippet that waits, or did."""

    stream: Stream
    # Counts the snippets of the stream, those that were dropped too.
    number: int
    snippet: Snippet
    # When its last picture came, on the clock of `time.monotonic`.
    arrival: float
    # What the wall clock is ahead of media time, in seconds.
    wall_offset: float


class Waiting(Generic[Stream]):
    """Snippets in the order of each stream, bounded by age.

    A count bounds no delay: eight snippets are three seconds of one engine and a minute of another.
    """

    def __init__(self) -> None:
        self._queues: dict[Stream, deque[Waited[Stream]]] = {}
        # Turns at the engine, and each stream's last one: who had none for longest comes first.
        self._turns = 0
        self._last_turn: dict[Stream, int] = {}

    def __len__(self) -> int:
        return sum(map(len, self._queues.values()))

    def length(self, stream: Stream) -> int:
        """How many snippets of a stream wait."""
        return len(self._queues.get(stream, ()))

    def offer(self, waited: Waited[Stream]) -> None:
        """Add a stream's newest snippet."""
        self._queues.setdefault(waited.stream, deque()).append(waited)

    def take(self, limit: int) -> list[Waited[Stream]]:
        """At most so many, each stream's oldest first.

        Streams have turns, one snippet each, and who has had none for longest begins. Among streams
        that all wait this is the oldest first; one that sends more than the others, or that comes
        back with all it filmed meanwhile, has no larger share while they wait.
        """
        taken: list[Waited[Stream]] = []
        while len(taken) < limit and self._queues:
            for stream in sorted(self._queues, key=self._due)[: limit - len(taken)]:
                taken.append(self._pop(stream))
                self._turns += 1
                self._last_turn[stream] = self._turns
        return taken

    def drop_before(self, arrival: float) -> list[Waited[Stream]]:
        """Leave out what came earlier, each stream's oldest first."""
        dropped = []
        for stream in list(self._queues):
            while stream in self._queues and self._queues[stream][0].arrival < arrival:
                dropped.append(self._pop(stream))
        return dropped

    def forget(self, stream: Stream) -> None:
        """Leave a stream out, with what waits of it."""
        self._queues.pop(stream, None)
        self._last_turn.pop(stream, None)

    def _due(self, stream: Stream) -> tuple[int, float]:
        return self._last_turn.get(stream, 0), self._queues[stream][0].arrival

    def _pop(self, stream: Stream) -> Waited[Stream]:
        queue = self._queues[stream]
        waited = queue.popleft()
        if not queue:
            del self._queues[stream]
        return waited
