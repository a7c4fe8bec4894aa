"""What people see of a live run: a line per segment, and one of all sources."""

from __future__ import annotations

import time
from collections.abc import Sequence

from wsgn.support.terminal import printable

from ..events import (
    DroppedEvent,
    EndEvent,
    ErrorEvent,
    Event,
    RunEvent,
    SegmentEvent,
    SourceEvent,
    StatusEvent,
)
from ..writers import SourceResult
from .console import Console, print_result

# Names that the line of all sources shows of those that give no picture.
_MOST_SHOWN = 3


class SegmentLines:
    """A line per final segment, with the time of day at which it began."""

    def __init__(self, console: Console) -> None:
        self._console = console

    def begin_run(self, event: RunEvent) -> None:
        """Nothing: people know what they started."""

    def write(self, event: Event) -> None:
        """Print a segment."""
        if not isinstance(event, SegmentEvent) or not event.final:
            return
        name, began = printable(event.source or ""), getattr(event, "start_unix_seconds", None)
        seconds = event.end_seconds - event.start_seconds
        clock = _clock(began) if began is not None else f"{event.start_seconds:.1f} s"
        with self._console.without_bar():
            print_result(
                f"{clock}  {name}  {printable(event.label)}  {seconds:.1f} s  {event.score:.2f}\n"
            )

    def end_source(self, source: str, result: SourceResult) -> None:
        """Nothing: its segments were shown."""


class SourceStates:
    """What has become of each source, as far as the events of a run tell."""

    def __init__(self) -> None:
        # By source: waiting | lost | late | playing | failed | ended.
        self._states: dict[str, str] = {}
        self._num_segments = 0
        # Sources that gave a picture once.
        self.opened: set[str] = set()
        # Those that were given up.
        self.failed: list[str] = []
        # Why those that never gave a picture do not, as said last.
        self.waiting: dict[str, str] = {}
        # Whether a picture that was filmed may be missing.
        self.is_degraded = False

    def begin(self, source: str) -> None:
        """A source is waited for."""
        self._states[source] = "waiting"

    def has_failed(self, source: str) -> bool:
        """Whether it was given up, and did not begin again since."""
        return self._states.get(source) == "failed"

    def forget(self, source: str) -> None:
        """A source is not wanted any more."""
        self._states.pop(source, None)

    def take(self, event: Event) -> None:
        """Follow an event."""
        source = event.source or ""
        if isinstance(event, SourceEvent):
            self.opened.add(source)
            self._set(source, "playing")
        elif isinstance(event, StatusEvent):
            self._set(source, "playing" if event.state == "restored" else event.state)
            self.is_degraded |= event.state in ("lost", "late")
            if event.state == "waiting":
                self.waiting[source] = event.cause or "no picture"
        elif isinstance(event, DroppedEvent):
            self.is_degraded = True
        elif isinstance(event, SegmentEvent):
            self._num_segments += event.final
        elif isinstance(event, ErrorEvent):
            if source not in self.failed:
                self.failed.append(source)
            self._set(source, "failed")
        elif isinstance(event, EndEvent) and not self.has_failed(source):
            self._set(source, "ended")

    def line(self) -> str:
        """Such as `3 of 4 sources play, lost: door; 31 segments`."""
        states = list(self._states.values())
        words = [f"{states.count('playing')} of {len(states)} sources play"]
        for state in ("waiting", "lost", "late", "failed", "ended"):
            names = [name for name, found in self._states.items() if found == state]
            if names:
                words.append(f"{state}: {first_of(names, _MOST_SHOWN)}")
        segments = "segment" if self._num_segments == 1 else "segments"
        return f"{', '.join(words)}; {self._num_segments} {segments}"

    def _set(self, source: str, state: str) -> None:
        # What was taken out may still say its last words.
        if source in self._states:
            self._states[source] = state


def first_of(names: Sequence[str], most: int) -> str:
    """So many of the names, and whether there are more."""
    return ", ".join(names[:most]) + (", ..." if len(names) > most else "")


def _clock(unix_seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_seconds))
