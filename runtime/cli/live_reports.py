"""What people see of a live run: a line per segment, and one of all sources."""

from __future__ import annotations

import time
from collections import Counter

from wsgn.support.terminal import printable

from ..events import Event, RunEvent, SegmentEvent
from ..writers import SourceResult
from .console import Console, print_result

# Names that the line of all sources shows of those that give no picture.
_MOST_NAMES = 3


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
        source, began = getattr(event, "source", None), getattr(event, "start_unix_seconds", None)
        seconds = event.end_seconds - event.start_seconds
        clock = _clock(began) if began is not None else f"{event.start_seconds:.1f} s"
        with self._console.without_bar():
            print_result(
                f"{clock}  {source}  {printable(event.label)}  {seconds:.1f} s  {event.score:.2f}\n"
            )

    def end_source(self, source: str, result: SourceResult) -> None:
        """Nothing: its segments were shown."""


class SourceStates:
    """Which sources play, and what all of them found."""

    def __init__(self) -> None:
        # By source: waiting | lost | late | playing | ended.
        self._states: dict[str, str] = {}
        self._num_segments = 0

    def set(self, source: str, state: str) -> None:
        """A source is in another state."""
        self._states[source] = state

    def forget(self, source: str) -> None:
        """A source was taken out."""
        self._states.pop(source, None)

    def add_segment(self) -> None:
        """One more was found."""
        self._num_segments += 1

    def line(self) -> str:
        """Such as `3 of 4 sources play, lost: door; 31 segments`."""
        counts = Counter(self._states.values())
        words = [f"{counts['playing']} of {len(self._states)} sources play"]
        for state in ("waiting", "lost", "late", "ended"):
            names = [name for name, found in self._states.items() if found == state]
            if names:
                more = f" and {len(names) - _MOST_NAMES} more" if len(names) > _MOST_NAMES else ""
                words.append(f"{state}: {', '.join(names[:_MOST_NAMES])}{more}")
        return f"{', '.join(words)}; {self._num_segments} segments"


def _clock(unix_seconds: float) -> str:
    return time.strftime("%Y-%m-%d %H:%M:%S", time.localtime(unix_seconds))
