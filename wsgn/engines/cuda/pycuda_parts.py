"""Streams, events and kernels of `PycudaDevice`."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager
from typing import Any

from wsgn.engines.cuda.device import Event

# Checks that the context is current and turns errors of pycuda: `PycudaDevice.use`.
Use = Callable[[str], AbstractContextManager[Any]]


class PycudaStream:
    """`Stream` by pycuda."""

    def __init__(self, stream: Any, use: Use, new_event: Callable[[], PycudaEvent]) -> None:
        self._use = use
        self._new_event = new_event
        self.handle = int(stream.handle)
        # Of pycuda; None once the device is closed.
        self.made = stream

    def record(self) -> Event:
        """An event behind all work that was given to the stream so far."""
        event = self._new_event()
        with self._use("cuEventRecord"):
            event.made.record(self.made)
        return event

    def wait(self, event: Event) -> None:
        """Let later work wait, on the device, for an event of another stream."""
        assert isinstance(event, PycudaEvent)
        with self._use("cuStreamWaitEvent"):
            self.made.wait_for_event(event.made)

    def synchronize(self) -> None:
        """Wait on the host until all work is done; raises `EngineError` where it failed."""
        with self._use("cuStreamSynchronize"):
            self.made.synchronize()


class PycudaEvent:
    """`Event` by pycuda; what pycuda made goes to `spare` for another use."""

    def __init__(self, event: Any, use: Use, spare: list[Any]) -> None:
        self._use = use
        self._spare = spare
        # Of pycuda; None once the device is closed.
        self.made = event

    def __del__(self) -> None:
        if self.made is not None:
            self._spare.append(self.made)

    def synchronize(self) -> None:
        """Wait on the host until the work before the event is done."""
        with self._use("cuEventSynchronize"):
            self.made.synchronize()

    def milliseconds_since(self, earlier: Event) -> float:
        """Time on the device between two events that have both happened."""
        assert isinstance(earlier, PycudaEvent)
        with self._use("cuEventElapsedTime"):
            return float(self.made.time_since(earlier.made))


class PycudaKernel:
    """`Kernel` by pycuda."""

    def __init__(self, name: str, function: Any) -> None:
        self.name = name
        # Of pycuda; None once the device is closed.
        self.made = function
