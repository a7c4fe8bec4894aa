"""Which part of a video becomes a file, and what became of it."""

from __future__ import annotations

from dataclasses import dataclass

from wsgn.localization.segments import Segment


@dataclass(frozen=True, kw_only=True)
class Part:
    """A part of a video, in seconds from its first frame."""

    # None where it is the whole video.
    segment: Segment | None
    start_seconds: float
    end_seconds: float


@dataclass(frozen=True, kw_only=True)
class CutPart:
    """What a file holds of a part."""

    # Of the video; with a copy they lie outside of the part.
    begins_seconds: float
    ends_seconds: float
    num_frames: int
    has_sound: bool
    # What is to be said about it, as a sentence; empty where all is as it should be.
    remark: str = ""


WHOLE = Part(segment=None, start_seconds=0.0, end_seconds=float("inf"))


def padded(segment: Segment, padding_seconds: float) -> Part:
    """The part of a segment with so much before and behind it, as far as the video reaches."""
    return Part(
        segment=segment,
        start_seconds=max(0.0, segment.start_seconds - padding_seconds),
        end_seconds=segment.end_seconds + padding_seconds,
    )
