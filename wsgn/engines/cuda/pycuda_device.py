"""A GPU by pycuda (`pip install pycuda`)."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, suppress
from typing import Any

import numpy.typing as npt

from wsgn.engines.cuda.device import Argument, Buffer, Kernel, Stream
from wsgn.engines.cuda.driver import Gpu, call_driver, load_driver
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

# CU_STREAM_NON_BLOCKING, for which pycuda has no name.
_NON_BLOCKING = 1


# Checks that the context is current and turns errors of pycuda: `PycudaDevice.use`.
_Use = Callable[[str], AbstractContextManager[Any]]


class _Stream:
    """`Stream` by pycuda."""

    def __init__(self, stream: Any, use: _Use) -> None:
        self._use = use
        self.handle = int(stream.handle)
        # Of pycuda; None once the device is closed.
        self.made = stream

    def synchronize(self) -> None:
        """Wait on the host until all work is done; raises `EngineError` where it failed."""
        with self._use("cuStreamSynchronize"):
            self.made.synchronize()


class _Kernel:
    """`Kernel` by pycuda."""

    def __init__(self, name: str, function: Any) -> None:
        self.name = name
        # Of pycuda; None once the device is closed.
        self.made = function


class PycudaDevice:
    """`Device` by pycuda.

    pycuda frees what it made when the last reference to it dies, in the context where it was made:
    every object of pycuda is held here, or by a wrapper that `close` empties.
    """

    def __init__(self, gpu: Gpu) -> None:
        package = importlib.import_module("pycuda")
        self._cuda: Any = importlib.import_module("pycuda.driver")
        self.binding = f"pycuda {package.VERSION_TEXT}"
        self.name = gpu.name
        self.ordinal = gpu.ordinal
        self.compute_capability = gpu.compute_capability
        self._library = load_driver()
        self._depth = 0
        self._buffers: set[DeviceBuffer] = set()
        self._pinned: list[AnyArray] = []
        self._streams: list[_Stream] = []
        self._modules: list[Any] = []
        self._kernels: list[_Kernel] = []
        with self._words():
            self._cuda.init()
            self._context: Any = self._cuda.Device(gpu.ordinal).retain_primary_context()

    @contextmanager
    def use(self, what: str) -> Iterator[Any]:
        """pycuda's driver, inside the context; its failures become `EngineError`."""
        self._check_current(what)
        with self._words():
            yield self._cuda

    @contextmanager
    def active(self) -> Iterator[None]:
        """Make the context current in this thread for a while."""
        self._check_open()
        with self._words():
            self._context.push()
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
            with self.use("cuMemAlloc") as cuda:
                memory = cuda.mem_alloc(check_size(num_bytes))
        except EngineError as error:
            raise no_memory(self.name, num_bytes, error) from error

        def release() -> None:
            # A closed device has taken all its memory with it.
            if self._context is not None:
                with self.use("cuMemFree"):
                    memory.free()
            self._buffers.discard(buffer)

        buffer = DeviceBuffer(int(memory), num_bytes, release)
        self._buffers.add(buffer)
        return buffer

    def pinned(self, shape: Sequence[int], dtype: npt.DTypeLike) -> AnyArray:
        """Page-locked host memory of zeros; locked until the device is closed.

        By the driver itself: pycuda's `register_host_memory` crashes on NumPy 2 (pycuda 459).
        """
        array = whole_pages(shape, dtype)
        size = ctypes.c_size_t(check_size(array.nbytes))
        with self.use("cuMemHostRegister"):
            address = ctypes.c_void_p(array.ctypes.data)
            call_driver(self._library, "cuMemHostRegister_v2", address, size, ctypes.c_uint(0))
        self._pinned.append(array)
        return array

    def stream(self) -> Stream:
        """A new stream that does not wait for the default one."""
        with self.use("cuStreamCreate") as cuda:
            stream = _Stream(cuda.Stream(_NON_BLOCKING), self.use)
        self._streams.append(stream)
        return stream

    def copy_in(self, to: Buffer, array: AnyArray, stream: Stream) -> None:
        """Queue a copy of a contiguous host array to the start of a buffer."""
        assert isinstance(stream, _Stream)
        check_copy(array, to, into_array=False)
        if array.nbytes:
            with self.use("cuMemcpyHtoDAsync") as cuda:
                cuda.memcpy_htod_async(to.address, array, stream.made)

    def copy_out(self, array: AnyArray, source: Buffer, stream: Stream) -> None:
        """Queue a copy from the start of a buffer into a contiguous host array."""
        assert isinstance(stream, _Stream)
        check_copy(array, source, into_array=True)
        if array.nbytes:
            with self.use("cuMemcpyDtoHAsync") as cuda:
                cuda.memcpy_dtoh_async(array, source.address, stream.made)

    def load_kernel(self, image: bytes, name: str, *, dynamic_shared_bytes: int = 0) -> Kernel:
        """A kernel of a cubin or of PTX text; raises `EngineError` where it does not fit."""
        self._check_current("cuModuleLoadDataEx")
        try:
            with self.use("cuModuleLoadDataEx") as cuda:
                module = cuda.module_from_buffer(kernel_image(image))
                self._modules.append(module)
                function = module.get_function(name)
                if dynamic_shared_bytes > SHARED_BYTES_UNASKED:
                    attribute = cuda.function_attribute.MAX_DYNAMIC_SHARED_SIZE_BYTES
                    function.set_attribute(attribute, dynamic_shared_bytes)
        except EngineError as error:
            raise EngineError(f"the kernel {name} does not load on {self.name}: {error}") from error
        kernel = _Kernel(name, function)
        self._kernels.append(kernel)
        return kernel

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
        assert isinstance(stream, _Stream)
        values = parameter_values(arguments)
        with self.use("cuLaunchKernel"):
            # pycuda packs the values as a C compiler would.
            kernel.made(
                *(value[()] for value in values),
                grid=grid,
                block=block,
                stream=stream.made,
                shared=dynamic_shared_bytes,
            )

    def close(self) -> None:
        """Free everything that was made here and release the context; once more does nothing.

        After a failure on the device the single frees fail too, so they are not reported: the
        context takes everything with it.
        """
        if self._context is None:
            return
        if self._depth:
            raise EngineError("the GPU is in use: leave `with device.active()` before close().")
        context = self._context
        with surviving_release(self.ordinal, context.handle), self._words():
            context.push()
            self._depth = 1
            try:
                self._free_everything()
            finally:
                self._depth = 0
                self._context = None
                context.detach()

    def _leave(self) -> None:
        self._depth -= 1
        with self._words():
            self._cuda.Context.pop()

    def _free_everything(self) -> None:
        for stream in self._streams:
            with suppress(EngineError), self._words():
                stream.made.synchronize()
        wrappers: list[Any] = [*self._kernels, *self._streams]
        for wrapper in wrappers:
            wrapper.made = None
        self._modules.clear()
        for array in self._pinned:
            with suppress(EngineError):
                address = ctypes.c_void_p(array.ctypes.data)
                call_driver(self._library, "cuMemHostUnregister", address)
        for buffer in list(self._buffers):
            with suppress(EngineError):
                buffer.free()
        self._buffers.clear()
        self._pinned.clear()

    @contextmanager
    def _words(self) -> Iterator[None]:
        """Turn an error of pycuda, `cuMemAlloc failed: out of memory`, into an `EngineError`."""
        try:
            yield
        except self._cuda.Error as error:
            raise EngineError(f"{one_line(str(error))}.") from error

    def _check_current(self, what: str) -> None:
        self._check_open()
        if self._depth == 0:
            raise EngineError(f"{what} needs the GPU: call it inside `with device.active()`.")

    def _check_open(self) -> None:
        if self._context is None:
            raise EngineError(f"the GPU {self.ordinal} ({self.name}) was closed: open it again.")


@contextmanager
def surviving_release(ordinal: int, context: int) -> Iterator[None]:
    """Keep the primary context while pycuda releases it, then take it off the thread's stack.

    pycuda's `detach` believes that the release also pops the context, as cuCtxDetach did. It does
    not, so the context would stay current in this thread, and dead where nobody else holds it.
    """
    driver = load_driver()
    device = ctypes.c_int()
    call_driver(driver, "cuDeviceGet", ctypes.byref(device), ctypes.c_int(ordinal))
    retained = ctypes.c_void_p()
    call_driver(driver, "cuDevicePrimaryCtxRetain", ctypes.byref(retained), device)
    try:
        yield
    finally:
        try:
            _take_off_stack(driver, context)
        finally:
            call_driver(driver, "cuDevicePrimaryCtxRelease_v2", device)


def _take_off_stack(driver: ctypes.CDLL, context: int) -> None:
    # pycuda puts another context of its user, where there is one, back on top.
    above: list[ctypes.c_void_p] = []
    while True:
        popped = ctypes.c_void_p()
        call_driver(driver, "cuCtxPopCurrent_v2", ctypes.byref(popped))
        if popped.value == context:
            break
        above.append(popped)
    for other in reversed(above):
        call_driver(driver, "cuCtxPushCurrent_v2", other)
