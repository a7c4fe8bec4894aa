"""Numbers of threads, processes and seconds that a user may ask for."""

from __future__ import annotations

from wsgn.errors import UsageError

# More than any machine has cores; a million threads would take minutes to start, if at all.
MOST_THREADS = 1024
# 31 years: no video is longer, no number of a damaged file stays under it by chance, and what a
# user asks for beyond it is a slip of the keyboard.
MOST_SECONDS = 1_000_000_000


def checked_count(option: str, value: int) -> int:
    """The value; a `UsageError` where it is no number of threads or processes."""
    if not 1 <= value <= MOST_THREADS:
        raise UsageError(f"{option} must be 1 to {MOST_THREADS}, got {value}.")
    return value
