"""What the runtime says while a source plays. Every event becomes one JSON line.

Times are media seconds from the source's first frame. docs/events.md lists the fields.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass, field
from typing import Any, ClassVar

SCHEMA = "wsgn.events/1"


@dataclass(frozen=True, kw_only=True)
class Event:
    """Base of all events; `type` is the name in the JSON line."""

    type: ClassVar[str]

    def to_dict(self) -> dict[str, Any]:
        """The JSON object: `type` first, then the fields in order of declaration."""
        return {"type": self.type} | dataclasses.asdict(self)


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


@dataclass(frozen=True, kw_only=True)
class StartEvent(Event):
    """A segment has opened and is long enough to be kept; its `SegmentEvent` follows."""

    type: ClassVar[str] = "start"
    id: int
    label: str
    start_seconds: float
    # Media time at which this was known.
    at_seconds: float


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
    dropped: int = 0
