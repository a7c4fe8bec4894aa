"""What is sent: an event as receivers get it."""

from __future__ import annotations

from dataclasses import dataclass

from wsgn.support.terminal import json_text, without_surrogates

from ..events import (
    EndEvent,
    ErrorEvent,
    Event,
    SegmentEvent,
    SourceEvent,
    StartEvent,
    StatusEvent,
    new_run_name,
)
from ..writers.jsonl import LineNumbers


@dataclass(frozen=True, kw_only=True)
class Message:
    """One event on its way."""

    # The run's name and the event's number in it: nothing else has both.
    run: str
    seq: int
    type: str
    source: str
    # The event's line with the run's name in it.
    body: bytes

    @property
    def key(self) -> str:
        """By which a receiver knows that it has the event already."""
        return f"{self.run}/{self.seq}"


class Messages:
    """Makes the messages of a run out of all its events.

    Args:
        minimum_score: final segments below it are left out, and with it every `start`, whose score
            nobody knows yet.
        sends_starts: False where a `start` may be taken back.
        run: its name, where it has one already.
    """

    def __init__(
        self,
        *,
        minimum_score: float | None = None,
        sends_starts: bool = True,
        run: str | None = None,
    ) -> None:
        self.run = run or new_run_name()
        self._minimum_score = minimum_score
        self._sends_starts = sends_starts and minimum_score is None
        self._numbers = LineNumbers()
        # Files' events do not name it.
        self._source = ""

    def take(self, event: Event) -> Message | None:
        """The event's message, if it is to be sent. Give it every event, in order."""
        document = self._numbers.document(event)
        if isinstance(event, SourceEvent):
            self._source = event.source
        if document is None or not self._is_sent(event):
            return None
        source = without_surrogates(event.source or self._source)
        whole = {"run": self.run} | document | {"source": source}
        return Message(
            run=self.run,
            seq=document["seq"],
            type=event.type,
            source=source,
            body=json_text(whole).encode(),
        )

    def _is_sent(self, event: Event) -> bool:
        if isinstance(event, StartEvent):
            return self._sends_starts
        if isinstance(event, SegmentEvent):
            return event.final and event.score >= (self._minimum_score or 0.0)
        return isinstance(event, StatusEvent)


def state_after(event: Event) -> str | None:
    """What a source does after an event: playing, waiting, lost, late, failed or ended."""
    if isinstance(event, SourceEvent):
        return "playing"
    if isinstance(event, StatusEvent):
        return "playing" if event.state == "restored" else event.state
    if isinstance(event, ErrorEvent):
        return "failed"
    return "ended" if isinstance(event, EndEvent) else None
