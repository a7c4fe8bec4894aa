"""Locks of files that are one process's at a time; they end with it, however it ends."""

from __future__ import annotations

import errno
import os
from pathlib import Path

try:
    import fcntl
# Windows has no such locks; there nobody is kept out.
except ImportError:  # pragma: no cover
    fcntl = None  # type: ignore[assignment]

_FLAGS = os.O_RDWR | os.O_CREAT
for _name in ("O_NOFOLLOW", "O_CLOEXEC"):
    _FLAGS |= getattr(os, _name, 0)


def lock_descriptor(descriptor: int) -> bool:
    """Keep others out of a file for as long as it is open; False where another has it.

    Some network disks know no locks: there everybody is let in.
    """
    if fcntl is None:
        return True
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as error:
        return error.errno not in (errno.EWOULDBLOCK, errno.EACCES)
    return True


class LockFile:
    """A file that stands for something that is replaced; it is there as long as it is locked.

    What `kill -9` leaves of it keeps nobody out.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        self._descriptor: int | None = None

    def take(self) -> bool:
        """Whether it is ours, from now on or already. Raises `OSError`."""
        while self._descriptor is None:
            descriptor = os.open(self._path, _FLAGS, 0o666)
            if not lock_descriptor(descriptor):
                os.close(descriptor)
                return False
            if self._is_there(descriptor):
                self._descriptor = descriptor
            else:
                # Its owner removed it between our opening and locking.
                os.close(descriptor)
        return True

    def release(self) -> None:
        """Let others in."""
        descriptor, self._descriptor = self._descriptor, None
        if descriptor is None:
            return
        # Removed while it is still ours: behind that, the name may be another one's.
        try:
            if self._is_there(descriptor):
                self._path.unlink()
        except OSError:
            pass
        os.close(descriptor)

    def _is_there(self, descriptor: int) -> bool:
        try:
            return os.path.samestat(self._path.lstat(), os.fstat(descriptor))
        except FileNotFoundError:
            return False
