"""An engine belongs to the process that opened it.

A fork copies a session's memory and none of its threads: what is asked of the copy waits for them
for ever, and its destructor joins threads that are not there.
"""

from __future__ import annotations

import ctypes
import os
import weakref
from typing import NoReturn

from wsgn.errors import EngineError


class OpeningProcess:
    """The process in which a session was opened, and the one in which it may be used and freed."""

    def __init__(self, engine_name: str, session: object) -> None:
        self._engine_name = engine_name
        self._session = session
        self._pid = os.getpid()
        _ALIVE.add(self)

    @property
    def is_this_one(self) -> bool:
        """Whether this is that process, and not a forked child of it."""
        return os.getpid() == self._pid

    def require(self) -> None:
        """Raise an `EngineError` in a forked child."""
        if not self.is_this_one:
            raise EngineError(
                f"the engine '{self._engine_name}' was opened in the process {self._pid}, and does "
                f"not work in its forked child {os.getpid()}: open it in the child, after the fork."
            )

    def refuse_to_travel(self) -> NoReturn:
        """Raise an `EngineError`: a session cannot be sent to another process."""
        raise EngineError(
            f"the engine '{self._engine_name}' cannot be sent to another process: open it there."
        )

    def release(self) -> None:
        """Let the session go; in a forked child it stays, for its destructor would never end."""
        if self.is_this_one:
            self._session = None
            _ALIVE.discard(self)

    def keep_for_ever(self) -> None:
        """Take a reference that nothing gives back: not `del`, nor the end of the interpreter."""
        ctypes.pythonapi.Py_IncRef(ctypes.py_object(self._session))


_ALIVE: weakref.WeakSet[OpeningProcess] = weakref.WeakSet()


def _after_fork() -> None:
    for process in _ALIVE:
        process.keep_for_ever()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)
