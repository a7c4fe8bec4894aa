"""Results that an earlier run wrote: of its JSON documents, and of its lines of events."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

from wsgn.errors import InputError
from wsgn.localization.segments import Segment
from wsgn.support.counts import MOST_SECONDS
from wsgn.support.files import input_errors, require_file
from wsgn.support.json_input import (
    as_label,
    as_list,
    as_number,
    as_object,
    as_segment,
    as_text,
    member,
    read_object,
)
from wsgn.support.terminal import printable, without_surrogates
from wsgn.video.files import without_video_suffix

from .writers import SourceResult

LINES_SUFFIX = ".jsonl"
# How far runs that go on with each other's times may differ in what they say of time 0.
_SAME_CLOCK_SECONDS = 10.0
_YEAR_9999_SECONDS = 253_370_764_800


@dataclass(frozen=True, kw_only=True)
class StoredResult:
    """What a file says of one source."""

    result: SourceResult
    # Path, address or name as the run was given it; None where the file does not say.
    source: str | None = None
    # Average pictures per second of the video; None where the file does not say.
    frame_rate: float | None = None


def read_results(path: Path) -> tuple[StoredResult, ...]:
    """The sources of a result file, in its order: `-f json` of any run, or lines of events.

    Raises:
        InputError: it cannot be read, or is no result; it says why.
    """
    if path.suffix.lower() == LINES_SUFFIX:
        return _read_lines(path)
    where = f"'{printable(str(path))}'"
    document = read_object(path)
    results = as_object(member(document, "results", where), f"{where}: 'results'")
    offsets = _offsets(document, where)
    return tuple(
        StoredResult(
            result=SourceResult(
                name=without_surrogates(as_text(name, f"{where}: the name of a video")),
                segments=_in_order(
                    _segment(item, f"{where}: detection {index} of {name!r}")
                    for index, item in enumerate(as_list(found, f"{where}: video {name!r}"))
                ),
                complete=True,
                start_offset_seconds=as_number(
                    offsets.get(name, 0.0), f"{where}: the start offset of {name!r}"
                ),
            )
        )
        for name, found in results.items()
    )


def _offsets(document: dict[str, Any], where: str) -> dict[str, Any]:
    """By video; files of other programs have none."""
    outside = document.get("external_data")
    found = outside.get("start_offset_seconds") if isinstance(outside, dict) else None
    return {} if found is None else as_object(found, f"{where}: 'start_offset_seconds'")


def _segment(item: Any, where: str) -> Segment:
    found = as_object(item, where)
    start, end = as_segment(member(found, "segment", where), f"{where}: 'segment'")
    for seconds in (start, end):
        _require_time(seconds, f"{where}: 'segment'")
    return Segment(
        label=as_label(member(found, "label", where), f"{where}: 'label'"),
        start_seconds=start,
        end_seconds=end,
        score=as_number(member(found, "score", where), f"{where}: 'score'"),
    )


def _in_order(segments: Iterable[Segment]) -> tuple[Segment, ...]:
    return tuple(sorted(segments, key=lambda one: (one.start_seconds, one.label)))


@dataclass(kw_only=True)
class _Source:
    """What the lines of one source have said so far."""

    source: str
    frame_rate: float | None = None
    duration_seconds: float | None = None
    start_offset_seconds: float = 0.0
    complete: bool = False
    # By the number of the run in the file, and its id.
    segments: dict[tuple[int, float], Segment] = field(default_factory=dict)
    # The number of the run, from and to.
    gaps: list[tuple[int, float, float]] = field(default_factory=list)
    # Of live sources: the wall clock at time 0 of each run.
    start_unix_seconds: dict[int, float] = field(default_factory=dict)

    def shift_seconds(self, run: int) -> float:
        """From time 0 of the first run to that of this one, where that began anew."""
        began = self.start_unix_seconds
        if run not in began:
            return 0.0
        shift = began[run] - began[min(began)]
        return shift if abs(shift) > _SAME_CLOCK_SECONDS else 0.0


def _read_lines(path: Path) -> tuple[StoredResult, ...]:
    where = f"'{printable(str(path))}'"
    sources: dict[str, _Source] = {}
    current: str | None = None
    run = 0
    for number, line in _lines(path, where):
        place = f"{where} line {number}"
        event = read_object(line, what=place)
        kind = event.get("type")
        if kind == "run":
            # What comes behind it counts its ids anew.
            current, run = None, run + 1
        named = event.get("source", current)
        if kind in ("source", "segment", "retract", "gap", "end"):
            name = as_text(named, f"{place}: 'source'")
            current = name if kind == "source" else current
            _follow(sources.setdefault(name, _Source(source=name)), event, run, place)
    if not sources:
        raise InputError(f"{where} holds no lines of events of a source: name one of -f jsonl.")
    names = _names(sources)
    return tuple(_stored(one, names[one.source]) for one in sources.values())


def _lines(path: Path, where: str) -> Iterator[tuple[int, str]]:
    """Numbers and texts of whole lines; of a run that was killed the last one may be cut."""
    with input_errors(where):
        require_file(path, where)
        with path.open("rb") as file:
            for number, line in enumerate(file, start=1):
                if line.endswith(b"\n") and line.strip():
                    yield number, _text(line, f"{where} line {number}")


def _text(line: bytes, where: str) -> str:
    try:
        return line.decode()
    except UnicodeDecodeError as error:
        raise InputError(f"{where} cannot be read as UTF-8 ({error.reason}).") from error


def _follow(source: _Source, event: dict[str, Any], run: int, where: str) -> None:
    kind = event["type"]
    if kind == "source":
        source.duration_seconds = _number_or_none(event, "duration_seconds", where)
        _require_time(source.duration_seconds or 0.0, f"{where}: 'duration_seconds'")
        source.frame_rate = _number_or_none(event, "frame_rate", where)
        source.start_offset_seconds = _number_or_none(event, "start_offset_seconds", where) or 0.0
        _follow_clock(source, event, run, 0.0, where)
    elif kind == "end":
        source.complete = event.get("complete") is True
    elif kind == "gap":
        start, end = _times(event, ("from_seconds", "to_seconds"), where)
        source.gaps.append((run, start, max(start, end)))
    elif kind == "retract":
        source.segments.pop((run, as_number(event.get("id"), f"{where}: 'id'")), None)
    elif event.get("final") is True:
        start, end = _times(event, ("start_seconds", "end_seconds"), where)
        # A file that was begun while a source played has no line that says when that began.
        _follow_clock(source, event, run, start, where)
        if end < start:
            raise InputError(f"{where}: a segment ends at {end} s, before it starts at {start} s.")
        key = (run, as_number(member(event, "id", where), f"{where}: 'id'"))
        source.segments[key] = Segment(
            label=as_label(member(event, "label", where), f"{where}: 'label'"),
            start_seconds=start,
            end_seconds=end,
            score=as_number(member(event, "score", where), f"{where}: 'score'"),
        )


def _times(event: dict[str, Any], keys: tuple[str, str], where: str) -> tuple[float, float]:
    first, last = (as_number(member(event, key, where), f"{where}: {key!r}") for key in keys)
    for key, seconds in zip(keys, (first, last), strict=True):
        _require_time(seconds, f"{where}: {key!r}")
    return first, last


def _require_time(seconds: float, where: str) -> None:
    if abs(seconds) > MOST_SECONDS:
        raise InputError(f"{where} is {seconds:g} s, which is no time of a video.")


def _follow_clock(
    source: _Source, event: dict[str, Any], run: int, seconds: float, where: str
) -> None:
    """The event was at so many seconds, and says when that was on the wall clock."""
    at = _number_or_none(event, "start_unix_seconds", where)
    if at is not None and not 0 <= at - seconds < _YEAR_9999_SECONDS:
        raise InputError(f"{where}: 'start_unix_seconds' is {at}, which is no time of a clock.")
    if at is not None:
        source.start_unix_seconds.setdefault(run, at - seconds)


def _number_or_none(event: dict[str, Any], key: str, where: str) -> float | None:
    return None if event.get(key) is None else as_number(event[key], f"{where}: {key!r}")


def _names(sources: Iterable[str]) -> dict[str, str]:
    """What results call each: its file without the ending, or all of it where two share that."""
    plain = {
        one: without_video_suffix(one.replace("\\", "/").rpartition("/")[2]) for one in sources
    }
    counts = Counter(plain.values())
    return {one: name if name and counts[name] == 1 else one for one, name in plain.items()}


def _moved(segment: Segment, seconds: float) -> Segment:
    return replace(
        segment,
        start_seconds=segment.start_seconds + seconds,
        end_seconds=segment.end_seconds + seconds,
    )


def _stored(source: _Source, name: str) -> StoredResult:
    return StoredResult(
        result=SourceResult(
            name=name,
            segments=_in_order(
                _moved(segment, source.shift_seconds(run))
                for (run, _), segment in source.segments.items()
            ),
            duration_seconds=source.duration_seconds,
            complete=source.complete,
            start_offset_seconds=source.start_offset_seconds,
            gaps=tuple(
                sorted(
                    (start + source.shift_seconds(run), end + source.shift_seconds(run))
                    for run, start, end in source.gaps
                )
            ),
            start_unix_seconds=source.start_unix_seconds.get(
                min(source.start_unix_seconds, default=0)
            ),
        ),
        source=source.source,
        frame_rate=source.frame_rate,
    )
