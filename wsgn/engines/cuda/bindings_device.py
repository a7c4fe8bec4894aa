"""A GPU by cuda-bindings (`pip install cuda-bindings`)."""

from __future__ import annotations

import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager, suppress
from typing import Any

import numpy as np
import numpy.typing as npt

from wsgn.engines.cuda.device import Argument, Buffer, Kernel, Stream
from wsgn.engines.cuda.driver import Gpu
from wsgn.engines.cuda.memory import (
    SHARED_BYTES_UNASKED,
    DeviceBuffer,
    check_copy,
    check_size,
    kernel_image,
    no_memory,
    one_line,
    parameter_values,
    whole_pages,
)
from wsgn.errors import EngineError
from wsgn.support.arrays import AnyArray

_LOG_BYTES = 8192


# Calls a function of the driver by its name, inside the context: `BindingsDevice.use`.
_Use = Callable[..., Any]


class _Stream:
    """`Stream` by cuda-bindings."""

    def __init__(self, stream: Any, use: _Use) -> None:
        self.handle = int(stream)
        self._use = use

    def synchronize(self) -> None:
        """Wait on the host until all work is done; raises `EngineError` where it failed."""
        self._use("cuStreamSynchronize", self.handle)


class _Kernel:
    """`Kernel` by cuda-bindings."""

    def __init__(self, name: str, function: Any, parameter_sizes: tuple[int, ...]) -> None:
        self.name = name
        self.function = function
        # Bytes of each parameter; empty where they are not known.
        self.parameter_sizes = parameter_sizes

    def check_arguments(self, sizes: Sequence[int]) -> None:
        """Raise where the driver, which is told no sizes, would read past the arguments."""
        if self.parameter_sizes and tuple(sizes) != self.parameter_sizes:
            raise EngineError(
                f"the kernel {self.name} takes arguments of {list(self.parameter_sizes)} bytes, "
                f"got {list(sizes)}: give NumPy scalars of these sizes."
            )


class BindingsDevice:
    """`Device` by cuda-bindings."""

    def __init__(self, gpu: Gpu) -> None:
        package = importlib.import_module("cuda.bindings")
        self._driver: Any = importlib.import_module("cuda.bindings.driver")
        self.binding = f"cuda-bindings {package.__version__}"
        self.name = gpu.name
        self.ordinal = gpu.ordinal
        self.compute_capability = gpu.compute_capability
        self._depth = 0
        self._buffers: set[DeviceBuffer] = set()
        self._pinned: list[AnyArray] = []
        self._streams: list[_Stream] = []
        self._modules: list[Any] = []
        self.call("cuInit", 0)
        self._device = self.call("cuDeviceGet", gpu.ordinal)
        self._context: Any = self.call("cuDevicePrimaryCtxRetain", self._device)

    def call(self, name: str, *arguments: Any) -> Any:
        """Call a function that needs no context; raises `EngineError` where it fails."""
        return _call(self._driver, name, *arguments)

    def use(self, name: str, *arguments: Any) -> Any:
        """Call a function that needs the context; raises `EngineError` where it is not current."""
        self._check_current(name)
        return self.call(name, *arguments)

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make the context current in this thread for a while."""
        self._check_open()
        self.call("cuCtxPushCurrent", self._context)
        self._depth += 1
        try:
            yield
        except BaseException:
            # What failed first is what matters.
            with suppress(EngineError):
                self._leave()
            raise
        self._leave()

    def allocate(self, num_bytes: int) -> Buffer:
        """Memory on the device, aligned to 256 bytes; raises `EngineError` when there is none."""
        self._check_current("cuMemAlloc")
        try:
            pointer = self.use("cuMemAlloc", check_size(num_bytes))
        except EngineError as error:
            raise no_memory(self.name, num_bytes, error) from error

        def release() -> None:
            # A closed device has taken all its memory with it.
            if self._context is not None:
                self.use("cuMemFree", pointer)
            self._buffers.discard(buffer)

        buffer = DeviceBuffer(int(pointer), num_bytes, release)
        self._buffers.add(buffer)
        return buffer

    def pinned(self, shape: Sequence[int], dtype: npt.DTypeLike) -> AnyArray:
        """Page-locked host memory of zeros; locked until the device is closed."""
        array = whole_pages(shape, dtype)
        self.use("cuMemHostRegister", array.ctypes.data, check_size(array.nbytes), 0)
        self._pinned.append(array)
        return array

    def stream(self) -> Stream:
        """A new stream that does not wait for the default one."""
        flag = self._driver.CUstream_flags.CU_STREAM_NON_BLOCKING
        made = self.use("cuStreamCreate", int(flag))
        stream = _Stream(made, self.use)
        self._streams.append(stream)
        return stream

    def copy_in(self, to: Buffer, array: AnyArray, stream: Stream) -> None:
        """Queue a copy of a contiguous host array to the start of a buffer."""
        check_copy(array, to, into_array=False)
        if array.nbytes:
            address = array.ctypes.data
            self.use("cuMemcpyHtoDAsync", to.address, address, array.nbytes, stream.handle)

    def copy_out(self, array: AnyArray, source: Buffer, stream: Stream) -> None:
        """Queue a copy from the start of a buffer into a contiguous host array."""
        check_copy(array, source, into_array=True)
        if array.nbytes:
            address = array.ctypes.data
            self.use("cuMemcpyDtoHAsync", address, source.address, array.nbytes, stream.handle)

    def load_kernel(self, image: bytes, name: str, *, dynamic_shared_bytes: int = 0) -> Kernel:
        """A kernel of a cubin or of PTX text; raises `EngineError` where it does not fit."""
        self._check_current("cuModuleLoadDataEx")
        try:
            function = self._function(image, name)
            if dynamic_shared_bytes > SHARED_BYTES_UNASKED:
                attributes = self._driver.CUfunction_attribute
                attribute = attributes.CU_FUNC_ATTRIBUTE_MAX_DYNAMIC_SHARED_SIZE_BYTES
                self.use("cuFuncSetAttribute", function, attribute, dynamic_shared_bytes)
        except EngineError as error:
            raise EngineError(f"the kernel {name} does not load on {self.name}: {error}") from error
        return _Kernel(name, function, self._parameter_sizes(function))

    def _parameter_sizes(self, function: Any) -> tuple[int, ...]:
        """Bytes of each parameter; none where the driver is older than CUDA 12.4."""
        sizes: list[int] = []
        with suppress(EngineError):
            while True:
                _, size = self.use("cuFuncGetParamInfo", function, len(sizes))
                sizes.append(size)
        return tuple(sizes)

    def _function(self, image: bytes, name: str) -> Any:
        # The driver writes into it; a bytes object is what cuda-bindings asks for.
        log = bytes(_LOG_BYTES)
        option = self._driver.CUjit_option
        options = [option.CU_JIT_ERROR_LOG_BUFFER, option.CU_JIT_ERROR_LOG_BUFFER_SIZE_BYTES]
        values = [log, len(log)]
        try:
            module = self.use("cuModuleLoadDataEx", kernel_image(image), 2, options, values)
        except EngineError as error:
            words = one_line(log.partition(b"\0")[0].decode(errors="replace"))
            raise EngineError(f"{error} {words}." if words else str(error)) from error
        self._modules.append(module)
        return self.use("cuModuleGetFunction", module, name.encode())

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
        assert isinstance(kernel, _Kernel)
        values = parameter_values(arguments)
        kernel.check_arguments([value.itemsize for value in values])
        # The driver reads the values at the call, through one pointer for each.
        pointers = np.array([value.ctypes.data for value in values], np.uint64)
        shape = (*grid, *block, dynamic_shared_bytes)
        parameters = (pointers.ctypes.data if values else 0, 0)
        self.use("cuLaunchKernel", kernel.function, *shape, stream.handle, *parameters)

    def close(self) -> None:
        """Free everything that was made here and release the context; once more does nothing.

        After a failure on the device the single frees fail too, so they are not reported: the
        context takes everything with it.
        """
        if self._context is None:
            return
        if self._depth:
            raise EngineError("the GPU is in use: leave `with device.active()` before close().")
        try:
            with self.active():
                self._free_everything()
        finally:
            self._context = None
            self.call("cuDevicePrimaryCtxRelease", self._device)

    def _leave(self) -> None:
        self._depth -= 1
        self.call("cuCtxPopCurrent")

    def _free_everything(self) -> None:
        freeing: list[tuple[str, Any]] = [
            *(("cuStreamSynchronize", stream.handle) for stream in self._streams),
            *(("cuModuleUnload", module) for module in self._modules),
            *(("cuMemHostUnregister", array.ctypes.data) for array in self._pinned),
            *(("cuStreamDestroy", stream.handle) for stream in self._streams),
        ]
        for name, handle in freeing:
            with suppress(EngineError):
                self.use(name, handle)
        for buffer in list(self._buffers):
            with suppress(EngineError):
                buffer.free()
        self._buffers.clear()
        self._pinned.clear()

    def _check_current(self, name: str) -> None:
        self._check_open()
        if self._depth == 0:
            raise EngineError(f"{name} needs the GPU: call it inside `with device.active()`.")

    def _check_open(self) -> None:
        if self._context is None:
            raise EngineError(f"the GPU {self.ordinal} ({self.name}) was closed: open it again.")


def _call(driver: Any, name: str, *arguments: Any) -> Any:
    """What a function of the driver returns behind its code; any failure is an `EngineError`."""
    try:
        code, *values = getattr(driver, name)(*arguments)
    except (RuntimeError, AttributeError) as error:
        raise EngineError(
            f"the NVIDIA driver or cuda-bindings lacks {name} ({error}): install newer ones."
        ) from error
    if int(code) != 0:
        _, known_as = driver.cuGetErrorName(code)
        _, words = driver.cuGetErrorString(code)
        text = one_line(", ".join(part.decode() for part in (known_as, words) if part))
        raise EngineError(f"{name} failed: {text or f'error {int(code)}'}.")
    return values[0] if len(values) == 1 else tuple(values)
