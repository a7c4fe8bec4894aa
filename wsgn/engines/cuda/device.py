"""What the runtime and the kernel launcher need of a GPU, whichever binding provides it.

All addresses are integers of the driver. Nothing here synchronises unless its name says so. A
device is used by one thread at a time, inside `with device.active()`.
"""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import AbstractContextManager
from typing import Protocol

import numpy as np
import numpy.typing as npt

from wsgn.support.arrays import AnyArray

# NumPy scalars, as wide as the kernel's parameters: pointers are np.uint64.
Argument = np.generic


class Buffer(Protocol):
    """Memory on the device."""

    address: int
    num_bytes: int

    def free(self) -> None:
        """Give it back; a second call does nothing."""
        ...


class Stream(Protocol):
    """A queue of work on the device."""

    # The driver's handle (CUstream), as TensorRT takes it.
    handle: int

    def synchronize(self) -> None:
        """Wait on the host until all work is done; raises `EngineError` where it failed."""
        ...


class Kernel(Protocol):
    """A function of a loaded module."""

    name: str


class Device(Protocol):
    """One GPU in its primary context, which torch, TensorRT and ONNX Runtime share."""

    # "pycuda 2026.1", "cuda-bindings 13.5.0".
    binding: str
    # "NVIDIA H200".
    name: str
    ordinal: int
    # (9, 0).
    compute_capability: tuple[int, int]

    def active(self) -> AbstractContextManager[None]:
        """Make the context current in this thread for a while."""
        ...

    def allocate(self, num_bytes: int) -> Buffer:
        """Memory on the device, aligned to 256 bytes; raises `EngineError` when there is none."""
        ...

    def pinned(self, shape: Sequence[int], dtype: npt.DTypeLike) -> AnyArray:
        """Page-locked host memory, which alone is copied asynchronously."""
        ...

    def stream(self) -> Stream:
        """A new stream that does not wait for the default one."""
        ...

    def copy_in(self, to: Buffer, array: AnyArray, stream: Stream) -> None:
        """Queue a copy of a contiguous host array to the start of a buffer."""
        ...

    def copy_out(self, array: AnyArray, source: Buffer, stream: Stream) -> None:
        """Queue a copy from the start of a buffer into a contiguous host array."""
        ...

    def load_kernel(self, image: bytes, name: str, *, dynamic_shared_bytes: int = 0) -> Kernel:
        """A kernel of a cubin or of PTX text; raises `EngineError` where it does not fit."""
        ...

    def launch(
        self,
        kernel: Kernel,
        grid: tuple[int, int, int],
        block: tuple[int, int, int],
        arguments: Sequence[Argument],
        stream: Stream,
        *,
        dynamic_shared_bytes: int = 0,
    ) -> None:
        """Queue a kernel."""
        ...

    def close(self) -> None:
        """Free everything that was made here and release the context."""
        ...
