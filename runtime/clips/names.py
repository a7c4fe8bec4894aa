"""What files of clips are called, whatever labels and videos are."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

from wsgn.support.terminal import printable, without_surrogates

# Bytes of one part of a name: all of them, an ending and a temporary name have room in 255.
_LONGEST_PART_BYTES = 80
# What systems and shells take for something else; letters of any script stay.
_UNWANTED = re.compile(r"[^\w.+-]+")


def safe_part(text: str) -> str:
    """A part of a file's name: no separators or spaces, never hidden, an option or empty."""
    plain = _UNWANTED.sub("-", printable(without_surrogates(text))).strip(".-_")
    short = plain.encode()[:_LONGEST_PART_BYTES].decode("utf-8", "ignore")
    return short or "x"


def clip_names(parts: Iterable[tuple[str, float, str]], ending: str) -> list[str]:
    """Names of clips by the name of the video, the time in it and the label, all different.

    They sort by video and time: `match_00012.34_long-jump.mp4`.
    """
    return different(
        [f"{safe_part(name)}_{start:08.2f}_{safe_part(label)}" for name, start, label in parts],
        ending,
    )


def different(stems: Sequence[str], ending: str) -> list[str]:
    """Names with numbers where some would be the same; some disks know no capital letters."""
    taken: set[str] = set()
    names = []
    for stem in stems:
        number, name = 1, stem
        while name.casefold() in taken:
            number += 1
            name = f"{stem}-{number}"
        taken.add(name.casefold())
        names.append(f"{name}{ending}")
    return names
