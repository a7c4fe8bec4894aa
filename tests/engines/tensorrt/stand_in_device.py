"""A GPU in host memory.

Work on a stream is done when the stream is waited for and not before, so that memory which is given
away too early, or read too soon, gives wrong numbers.
"""

from __future__ import annotations

import itertools
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

import numpy as np


class HostMemory:
    """What there is on the GPU, and a diary of what was given back."""

    def __init__(self) -> None:
        self.diary: list[str] = []
        # Live memory by address, and streams by handle.
        self.memory: dict[int, np.ndarray] = {}
        self.streams: dict[int, HostStream] = {}


class HostBuffer:
    """Memory that is filled with NaN until something is written."""

    def __init__(self, machine: HostMemory, num_bytes: int) -> None:
        self._machine = machine
        content = np.full(num_bytes, 0xFF, np.uint8)
        self.address, self.num_bytes = content.ctypes.data, num_bytes
        machine.memory[self.address] = content

    def free(self) -> None:
        if self._machine.memory.pop(self.address, None) is not None:
            self._machine.diary.append("buffer")
        self.address = 0


class HostStream:
    """Work that waits until somebody waits for it."""

    def __init__(self, machine: HostMemory, handle: int) -> None:
        self.handle = handle
        self.queue: list[Callable[[], None]] = []
        machine.streams[handle] = self

    def synchronize(self) -> None:
        queue, self.queue = self.queue, []
        for work in queue:
            work()


class HostDevice:
    """`Device` in host memory."""

    binding = "stand-in"
    name = "Stand-in"
    _handles = itertools.count(1)

    def __init__(self, machine: HostMemory, ordinal: int = 0) -> None:
        self.ordinal = ordinal
        self.compute_capability = (9, 0)
        self._machine = machine
        self._depth = 0
        self.is_open = True

    @contextmanager
    def active(self) -> Iterator[None]:
        assert self.is_open
        self._depth += 1
        try:
            yield
        finally:
            self._depth -= 1

    def _use(self) -> None:
        assert self.is_open, "the device is closed"
        assert self._depth > 0, "the device is not active"

    def allocate(self, num_bytes: int) -> HostBuffer:
        self._use()
        return HostBuffer(self._machine, num_bytes)

    def pinned(self, shape: Sequence[int], dtype: Any) -> np.ndarray:
        self._use()
        return np.zeros(tuple(shape), dtype)

    def stream(self) -> HostStream:
        self._use()
        return HostStream(self._machine, next(self._handles))

    def copy_in(self, to: HostBuffer, array: np.ndarray, stream: HostStream) -> None:
        self._use()
        assert array.flags.c_contiguous
        target = self._machine.memory[to.address][: array.nbytes]
        stream.queue.append(lambda: np.copyto(target, array.reshape(-1).view(np.uint8)))

    def copy_out(self, array: np.ndarray, source: HostBuffer, stream: HostStream) -> None:
        self._use()
        assert array.flags.c_contiguous
        origin = self._machine.memory[source.address][: array.nbytes]
        stream.queue.append(lambda: np.copyto(array.reshape(-1).view(np.uint8), origin))

    def close(self) -> None:
        if self.is_open:
            assert self._depth == 0
            self.is_open = False
            self._machine.diary.append("device")
