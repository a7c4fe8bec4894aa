"""A request to stop, which a signal handler may make at any moment."""

from __future__ import annotations


class StopFlag:
    """Asked of a running detection: finish what has been read, and end.

    A plain attribute and no lock: a signal handler runs inside the main thread, which may hold it.
    """

    def __init__(self) -> None:
        self.requested = False

    def request(self) -> None:
        """Ask to stop."""
        self.requested = True
