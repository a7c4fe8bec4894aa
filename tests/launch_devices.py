"""Stand-ins for a GPU under the launcher: one that records, in plain host memory."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field

import numpy as np

from wsgn.support.arrays import AnyArray, UInt8Array


@dataclass
class HostBuffer:
    """Memory of the stand-in, at a true address."""

    address: int
    num_bytes: int
    memory: UInt8Array
    freed: bool = False

    def free(self) -> None:
        self.freed = True


@dataclass(frozen=True)
class LoadedKernel:
    name: str
    image: bytes
    dynamic_shared_bytes: int


@dataclass(frozen=True)
class RecordedLaunch:
    kernel: LoadedKernel
    grid: tuple[int, int, int]
    block: tuple[int, int, int]
    arguments: tuple[np.generic, ...]
    dynamic_shared_bytes: int


class HostStream:
    handle = 0

    def __init__(self) -> None:
        self.waits = 0

    def synchronize(self) -> None:
        self.waits += 1


@dataclass
class RecordingDevice:
    """Keeps what is launched, in order; memory is poisoned with NaN until it is written."""

    compute_capability: tuple[int, int] = (9, 0)
    binding: str = "none"
    name: str = "a stand-in"
    ordinal: int = 0
    buffers: list[HostBuffer] = field(default_factory=list)
    launches: list[RecordedLaunch] = field(default_factory=list)
    is_active: bool = False

    @contextlib.contextmanager
    def active(self) -> Iterator[None]:
        self.is_active = True
        yield
        self.is_active = False

    def allocate(self, num_bytes: int) -> HostBuffer:
        assert self.is_active
        # 256 bytes more than asked for, so that the start can be aligned as on a GPU.
        room = np.full(num_bytes + 256, 0xFF, np.uint8)
        start = -room.ctypes.data % 256
        memory = room[start : start + num_bytes]
        buffer = HostBuffer(address=memory.ctypes.data, num_bytes=num_bytes, memory=memory)
        self.buffers.append(buffer)
        return buffer

    def stream(self) -> HostStream:
        assert self.is_active
        return HostStream()

    def copy_in(self, to: HostBuffer, array: AnyArray, stream: HostStream) -> None:
        assert self.is_active
        assert not to.freed
        assert array.flags.c_contiguous
        to.memory[: array.nbytes] = array.reshape(-1).view(np.uint8)

    def copy_out(self, array: AnyArray, source: HostBuffer, stream: HostStream) -> None:
        assert self.is_active
        assert not source.freed
        array.reshape(-1).view(np.uint8)[:] = source.memory[: array.nbytes]

    def load_kernel(
        self, image: bytes, name: str, *, dynamic_shared_bytes: int = 0
    ) -> LoadedKernel:
        assert self.is_active
        return LoadedKernel(name, image, dynamic_shared_bytes)

    def launch(
        self,
        kernel: LoadedKernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[np.generic],
        stream: HostStream,
        *,
        dynamic_shared_bytes: int = 0,
    ) -> None:
        assert self.is_active
        launch = RecordedLaunch(kernel, grid, block, tuple(arguments), dynamic_shared_bytes)
        self.launches.append(launch)

    def buffer_at(self, address: int) -> HostBuffer:
        """The buffer in use that holds an address."""
        (found,) = (
            buffer
            for buffer in self.buffers
            if not buffer.freed and 0 <= address - buffer.address < buffer.num_bytes
        )
        return found
