"""What the runtime says while a source plays. Every event becomes one JSON line.

Times are media seconds from the source's first frame. docs/events.md lists the fields.
"""

from __future__ import annotations

import dataclasses
import uuid
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, ClassVar

SCHEMA = "wsgn.events/1"
_NAME_DIGITS = 16
# A field that a line has only where it says something: most of them in live runs alone.
_WHERE_KNOWN = {"where_known": True}


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events; `type` is the name in the JSON line."""

    type: ClassVar[str]
    # In live runs, where the lines of several sources alternate, every event has both: the source
    # that it belongs to, and the wall clock, in seconds since 1970, when it became known.
    source: str | None = field(default=None, metadata=_WHERE_KNOWN)
    at_unix_seconds: float | None = field(default=None, metadata=_WHERE_KNOWN)

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: `type` first, then the fields in order of declaration."""
        document = {"type": self.type} | dataclasses.asdict(self)
        for one in dataclasses.fields(self):
            if "where_known" in one.metadata and document[one.name] is None:
                del document[one.name]
        return document


def new_run_name() -> str:
    """A name that no other run has, by which events outside of files are told from all others."""
    return uuid.uuid4().hex[:_NAME_DIGITS]


# Hears all events of a live run in their order, the run's own first, in the thread that makes them:
# it returns at once and raises nothing.
Listener = Callable[[Event], None]


@dataclass(frozen=True, kw_only=True)
class RunEvent(Event):
    """First line of a run: which tool and engine, with which parameters."""

    type: ClassVar[str] = "run"
    schema: str = SCHEMA
    version: str
    engine: str
    engine_sha256: str
    parameters: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, kw_only=True)
class SourceEvent(Event):
    """A source was opened."""

    type: ClassVar[str] = "source"
    source: str
    # None where the container does not say.
    duration_seconds: float | None
    frame_rate: float | None
    codec: str
    width: int
    height: int
    rotation_degrees: int
    # From the file's beginning, as players count, to the first frame, from which all times count.
    start_offset_seconds: float = 0.0
    live: bool = False
    # Of live sources: the epoch of the first frame, the wall clock of media time 0, and whether
    # times, ids and statistics go on from a saved state.
    epoch: int | None = field(default=None, metadata=_WHERE_KNOWN)
    start_unix_seconds: float | None = field(default=None, metadata=_WHERE_KNOWN)
    resumed: bool | None = field(default=None, metadata=_WHERE_KNOWN)


@dataclass(frozen=True, kw_only=True)
class StartEvent(Event):
    """A segment has opened and is long enough to be kept; its `SegmentEvent` follows."""

    type: ClassVar[str] = "start"
    id: int
    label: str
    start_seconds: float
    # Media time at which this was known.
    at_seconds: float
    # Wall clock of the start, of live sources.
    start_unix_seconds: float | None = field(default=None, metadata=_WHERE_KNOWN)


@dataclass(frozen=True, kw_only=True)
class SegmentEvent(Event):
    """A segment. `final` ones are never revised; `rev` counts the revisions of one `id`."""

    type: ClassVar[str] = "segment"
    id: int
    rev: int
    label: str
    start_seconds: float
    end_seconds: float
    score: float
    final: bool
    at_seconds: float
    # threshold | max_duration | gap | end | signal
    reason: str
    # Wall clock of both ends, of live sources.
    start_unix_seconds: float | None = field(default=None, metadata=_WHERE_KNOWN)
    end_unix_seconds: float | None = field(default=None, metadata=_WHERE_KNOWN)


@dataclass(frozen=True, kw_only=True)
class RetractEvent(Event):
    """What was announced under this id is not a segment after all."""

    type: ClassVar[str] = "retract"
    id: int
    label: str
    at_seconds: float


@dataclass(frozen=True, kw_only=True)
class GapEvent(Event):
    """Media time without frames; no segment spans it."""

    type: ClassVar[str] = "gap"
    from_seconds: float
    to_seconds: float
    cause: str


@dataclass(frozen=True, kw_only=True)
class StatusEvent(Event):
    """A live source went away, came back, or is late; one event per change, not per attempt."""

    type: ClassVar[str] = "status"
    source: str
    # waiting (never opened yet) | lost | restored | late
    state: str
    # refused | unreachable | name_unknown | no_answer | unauthorized | not_found | rejected |
    # timeout | ended | broken | storm | undecodable | no_video_stream | late
    cause: str | None
    # Media time of the last picture, of the first one where it is restored.
    at_seconds: float
    # Attempts to open it in a row.
    attempt: int
    # Until the next attempt.
    retry_seconds: float | None = field(default=None, metadata=_WHERE_KNOWN)
    # Without pictures, and the epoch that begins, where it is restored.
    lost_seconds: float | None = field(default=None, metadata=_WHERE_KNOWN)
    epoch: int | None = field(default=None, metadata=_WHERE_KNOWN)
    message: str = ""


@dataclass(frozen=True, kw_only=True)
class DroppedEvent(Event):
    """What of a live source was left out because it was late; at most one in 10 seconds."""

    type: ClassVar[str] = "dropped"
    source: str
    # Media time from the first to the last of what was left out.
    from_seconds: float
    to_seconds: float
    # Snippets that waited too long for the engine, and pictures that were not decoded.
    snippets: int
    pictures: int
    cause: str
    at_seconds: float


@dataclass(frozen=True, kw_only=True)
class ProgressEvent(Event):
    """How far a source has been read."""

    type: ClassVar[str] = "progress"
    source: str
    at_seconds: float
    duration_seconds: float | None


@dataclass(frozen=True, kw_only=True)
class WarningEvent(Event):
    """Something is not as it should be and the result is still valid."""

    type: ClassVar[str] = "warning"
    code: str
    message: str
    at_seconds: float | None = None


@dataclass(frozen=True, kw_only=True)
class ErrorEvent(Event):
    """A source failed; nothing more comes from it but its end."""

    type: ClassVar[str] = "error"
    source: str
    code: str
    message: str


@dataclass(frozen=True, kw_only=True)
class EndEvent(Event):
    """Last line of a source."""

    type: ClassVar[str] = "end"
    source: str
    # False where the source broke off or parts of it could not be read.
    complete: bool
    seconds: float
    frames: int
    snippets: int
    segments: int
    decode_failures: int
    # Snippets that waited too long for the engine, of live sources.
    dropped: int = 0
    # Of live sources: how often it was opened again, and media seconds that were lost so and that
    # were left out because they were late.
    restarts: int | None = field(default=None, metadata=_WHERE_KNOWN)
    lost_seconds: float | None = field(default=None, metadata=_WHERE_KNOWN)
    late_seconds: float | None = field(default=None, metadata=_WHERE_KNOWN)
