"""Numbers of threads, processes, seconds and bytes that a user may ask for."""

from __future__ import annotations

import re

from wsgn.errors import UsageError

# More than any machine has cores; a million threads would take minutes to start, if at all.
MOST_THREADS = 1024
# 31 years: no video is longer, no number of a damaged file stays under it by chance, and what a
# user asks for beyond it is a slip of the keyboard.
MOST_SECONDS = 1_000_000_000
_SIZE = re.compile(r"(\d{1,15}(?:\.\d{1,9})?) ?(ki|mi|gi|ti|k|m|g|t|)b?", re.ASCII | re.IGNORECASE)
_UNITS = {
    "": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12,
    "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40,
}  # fmt: skip
# No disk is larger.
_MOST_BYTES = 10**18


def checked_count(option: str, value: int) -> int:
    """The value; a `UsageError` where it is no number of threads or processes."""
    if not 1 <= value <= MOST_THREADS:
        raise UsageError(f"{option} must be 1 to {MOST_THREADS}, got {value}.")
    return value


def bytes_of(text: str) -> int | None:
    """Of `500MB`, `1.5 GB` (of 1000 MB) or `1GiB` (of 1024 MiB); None of what is no such size."""
    found = _SIZE.fullmatch(text.strip())
    size = 0.0 if found is None else float(found[1]) * _UNITS[found[2].lower()]
    return int(size) if 1 <= size <= _MOST_BYTES else None
