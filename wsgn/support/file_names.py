"""Names of files for what others have named: videos, labels and sources."""

from __future__ import annotations

from collections.abc import Iterable

from wsgn.support.terminal import printable, without_surrogates

# Bytes of a part; an ending and the name of a temporary file have room behind it in 255.
_LONGEST_PART_BYTES = 150
# Drives, streams and patterns to some systems.
_UNWANTED = str.maketrans(dict.fromkeys(':*?"<>|', "_"))


def file_stems(names: Iterable[str], *, taken: Iterable[str] = ()) -> list[str]:
    """Relative paths without endings for names, all different, also from those that are taken.

    Folders in a name stay; none leads out of the folder, is hidden or empty.
    """
    return different(map(_stem, names), taken=taken)


def different(stems: Iterable[str], *, taken: Iterable[str] = ()) -> list[str]:
    """Names with numbers where some would be the same; some disks know no capital letters."""
    known = {name.casefold() for name in taken}
    found = []
    for stem in stems:
        number, name = 1, stem
        while name.casefold() in known:
            number += 1
            name = f"{stem}-{number}"
        known.add(name.casefold())
        found.append(name)
    return found


def _stem(name: str) -> str:
    parts = without_surrogates(name).replace("\\", "/").split("/")
    return "/".join(_part(part) for part in parts if part not in ("", ".", "..")) or "video"


def _part(part: str) -> str:
    plain = printable(part).replace("\\", "_").translate(_UNWANTED)
    # A name that begins with a point is hidden.
    plain = f"_{plain}" if plain.startswith(".") else plain
    return plain.encode()[:_LONGEST_PART_BYTES].decode("utf-8", "ignore")
