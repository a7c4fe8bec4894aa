"""What files of clips are called, whatever labels and videos are."""

from __future__ import annotations

import re

from .part import Part

# Bytes of one part of a name: all of them, an ending and a temporary name have room in 255.
_LONGEST_PART_BYTES = 80
# What systems and shells take for something else; letters of any script stay.
_UNWANTED = re.compile(r"[^\w.+-]+")


def safe_part(text: str) -> str:
    """A part of a file's name: no separators or spaces, never hidden, an option or empty."""
    plain = _UNWANTED.sub("-", text).strip(".-_")
    short = plain.encode()[:_LONGEST_PART_BYTES].decode("utf-8", "ignore")
    return short or "x"


def clip_stem(video: str, part: Part) -> str:
    """The name of a clip without its ending: `match_00012.34_long-jump`, which sorts by time."""
    if part.segment is None:
        return f"{safe_part(video)}_labels"
    return f"{safe_part(video)}_{part.start_seconds:08.2f}_{safe_part(part.segment.label)}"
