"""What both bindings share: memory of the device and the host, and the checks around their use."""

from __future__ import annotations

import math
import mmap
from collections.abc import Callable, Sequence

import numpy as np
import numpy.typing as npt

from wsgn.engines.cuda.device import Argument, Buffer
from wsgn.errors import EngineError
from wsgn.support.arrays import AnyArray

# More dynamic shared memory than this must be asked for (CUDA C++ Programming Guide, "Shared
# Memory"): it is what every GPU gives without asking.
SHARED_BYTES_UNASKED = 48 * 1024


class DeviceBuffer:
    """Memory on the device that is given back once."""

    def __init__(self, address: int, num_bytes: int, release: Callable[[], None]) -> None:
        self.address = address
        self.num_bytes = num_bytes
        self._release: Callable[[], None] | None = release

    def free(self) -> None:
        """Give it back; a second call does nothing. Its address is 0 from then on."""
        if self._release is not None:
            # Where it fails, the memory is still there, and is freed with the device.
            self._release()
            self._release = None
            self.address = 0
            self.num_bytes = 0


def whole_pages(shape: Sequence[int], dtype: npt.DTypeLike) -> AnyArray:
    """A contiguous array of zeros in pages of its own, to be locked by the driver.

    Registered instead of allocated by the driver, so that an array which outlives its device is
    ordinary memory and not a dangling pointer. No two arrays share a page, which could not be
    locked twice.
    """
    num_bytes = math.prod(shape) * np.dtype(dtype).itemsize
    num_pages = max(1, -(-num_bytes // mmap.PAGESIZE))
    return np.ndarray(tuple(shape), dtype, buffer=mmap.mmap(-1, num_pages * mmap.PAGESIZE))


def check_size(num_bytes: int) -> int:
    """The bytes to allocate; the driver allocates no empty memory, so empty takes one byte."""
    if num_bytes < 0:
        raise EngineError(f"memory cannot have {num_bytes} bytes: give a size of 0 or more.")
    return max(1, num_bytes)


def check_copy(array: AnyArray, buffer: Buffer, *, into_array: bool) -> None:
    """Raise `EngineError` where a copy would read or write what is not there."""
    if not isinstance(array, np.ndarray) or not array.flags.c_contiguous:
        raise EngineError("only contiguous arrays are copied: use numpy.ascontiguousarray first.")
    if into_array and not array.flags.writeable:
        raise EngineError("the array to copy into is read-only: give one that can be written.")
    if buffer.address == 0:
        raise EngineError("the buffer to copy was freed: allocate a new one.")
    if array.nbytes > buffer.num_bytes:
        raise EngineError(
            f"a copy of {array.nbytes} bytes does not fit into a buffer of {buffer.num_bytes} "
            "bytes: allocate a larger one."
        )


def parameter_values(arguments: Sequence[Argument]) -> list[AnyArray]:
    """The bits of a kernel's arguments as unsigned integers () of the same width.

    A plain Python number has no width, and a wrong width would shift every later parameter.
    """
    for index, argument in enumerate(arguments):
        if not isinstance(argument, (np.number, np.bool_)) or argument.itemsize > 8:
            raise EngineError(
                f"argument {index} of a kernel is {type(argument).__name__}: give a NumPy scalar "
                "of at most 8 bytes, as wide as the parameter."
            )
    return [np.asarray(argument).view(f"u{argument.itemsize}") for argument in arguments]


def no_memory(device: str, num_bytes: int, error: EngineError) -> EngineError:
    """What is said where an allocation failed."""
    return EngineError(
        f"{device} gave no {num_bytes} bytes of memory: {error} End other programs on it, or give "
        "it less at once."
    )


def kernel_image(image: bytes) -> bytes:
    """A cubin as it is; PTX text with the final zero that the driver reads up to."""
    return image if image.startswith(b"\x7fELF") or image.endswith(b"\0") else image + b"\0"


def one_line(text: str) -> str:
    """Words of a driver, to stand inside a sentence."""
    return " ".join(text.split()).rstrip(".;")
