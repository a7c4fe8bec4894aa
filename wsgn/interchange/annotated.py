"""What people drew in a tool as the annotation of a video."""

from __future__ import annotations

import logging
import math
from collections.abc import Iterable
from dataclasses import dataclass

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.names import is_background
from wsgn.errors import InputError
from wsgn.support.counts import MOST_SECONDS
from wsgn.support.terminal import holds_controls, printable, quoted

_LOGGER = logging.getLogger("wsgn.data")


@dataclass(frozen=True, kw_only=True)
class DrawnSegment:
    """One that was drawn, in a player's time."""

    label: str
    start_seconds: float
    end_seconds: float


def annotated_video(
    where: str,
    name: str,
    drawn: Iterable[DrawnSegment],
    *,
    subset: str,
    start_offset_seconds: float = 0.0,
    frame_rate: float | None = None,
) -> VideoAnnotation:
    """The annotation of a video from all that was drawn in it, which may be nothing.

    Raises:
        InputError: one lasts no time, runs backwards or lies nowhere, or its label is no name.
    """
    _require_offset(where, start_offset_seconds)
    segments = []
    for one in sorted(drawn, key=lambda one: (one.start_seconds, one.end_seconds, one.label)):
        label = one.label.strip()
        _require_times(where, one)
        if is_background(label):
            continue
        if holds_controls(label):
            raise InputError(
                f"{where}: the label {quoted([label])} holds a control character: name it "
                "otherwise."
            )
        start, end = (
            max(0.0, seconds - start_offset_seconds)
            for seconds in (one.start_seconds, one.end_seconds)
        )
        if end == 0.0:
            raise InputError(
                f"{where}: '{printable(label)}' ends at {one.end_seconds:g} s, before the first "
                f"frame of the video at {start_offset_seconds:g} s: delete it."
            )
        segments.append((label, start, end))
    _tell_overlaps(where, segments)
    return VideoAnnotation(
        name=name,
        subset=subset,
        duration_seconds=None,
        labels=tuple(sorted({label for label, _, _ in segments})),
        segments=tuple(segments),
        frame_rate=frame_rate,
    )


def tell(where: str, sentence: str) -> None:
    """Say what of a file was left out, or taken for what."""
    _LOGGER.warning("%s: %s.", where, sentence)


def _require_offset(where: str, seconds: float) -> None:
    if not 0 <= seconds <= MOST_SECONDS:
        raise InputError(
            f"{where}: the first frame is said to lie at {seconds:g} s, which cannot be."
        )


def _require_times(where: str, one: DrawnSegment) -> None:
    start, end = one.start_seconds, one.end_seconds
    what = f"{where}: '{printable(one.label)}' from {start:g} s to {end:g} s"
    if not (math.isfinite(start) and math.isfinite(end) and start >= 0 and end <= MOST_SECONDS):
        raise InputError(f"{what} lies outside of any video: mend or delete it.")
    if end < start:
        raise InputError(f"{what} ends before it starts: mend or delete it.")
    if end == start:
        raise InputError(f"{what} lasts no time: draw it longer, or delete it.")


def _tell_overlaps(where: str, segments: Iterable[tuple[str, float, float]]) -> None:
    """Two of a class at a time may be right, of two people, or one that was drawn twice."""
    last: dict[str, float] = {}
    overlapping: dict[str, int] = {}
    for label, start, end in segments:
        if start < last.get(label, 0.0):
            overlapping[label] = overlapping.get(label, 0) + 1
        last[label] = max(end, last.get(label, 0.0))
    for label, count in overlapping.items():
        times = "once" if count == 1 else f"{count} times"
        tell(
            where, f"'{printable(label)}' overlaps another one of its class {times}; both are kept"
        )
