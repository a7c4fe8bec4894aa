"""What every `Device` must do where something fails, and what only the stand-in can count."""

from __future__ import annotations

import ctypes
import importlib
from collections.abc import Callable
from typing import Any

import numpy as np
from contract_machine import PTX, Machine, refused

from wsgn.engines.cuda.pycuda_device import surviving_release

# CUDA_ERROR_SYSTEM_DRIVER_MISMATCH: a code that none of these calls gives by itself.
PLANTED_CODE = 803
PLANTED_WORDS = "unsupported display driver"


def nothing_runs_before_it_is_waited_for(machine: Machine) -> None:
    """No method synchronises in secret."""
    with machine.device() as device:
        work = machine.axpy(device)
        work.copy_in()
        work.launch()
        work.copy_out()
        assert work.y.tolist() == [1] * len(work.y)
        work.stream.synchronize()
        np.testing.assert_array_equal(work.y, work.expected(launches=1))


def a_cubin_is_loaded(machine: Machine) -> None:
    with machine.device() as device:
        assert device.load_kernel(b"\x7fELFsm_90" + PTX, "axpy").name == "axpy"
        with refused("the kernel axpy does not load on Stand-in A", "no kernel image"):
            device.load_kernel(b"\x7fELFsm_80" + PTX, "axpy")


def the_compiler_of_the_driver_is_heard(machine: Machine) -> None:
    newer = PTX.replace(b".version 7.0", b".version 99.0")
    with machine.device() as device, refused("unsupported toolchain", "Unsupported .version 99.0"):
        device.load_kernel(newer, "axpy")


def everything_is_freed_before_the_context(machine: Machine) -> None:
    device = machine.open()
    with device.active():
        work = machine.axpy(device)
        work.copy_in()
    made = {"buffers": 2, "pinned": 2, "streams": 1, "modules": 1, "contexts": 1}
    assert machine.planted.alive() == made
    device.close()
    assert machine.planted.alive() == {}
    # Held beyond the close, as a user may.
    del work


def another_context_stays_current(machine: Machine) -> None:
    """torch leaves the primary context current in its thread; so it must be afterwards."""
    library, context = machine.planted.library, ctypes.c_void_p()
    library.cuDevicePrimaryCtxRetain(ctypes.byref(context), 1)
    library.cuCtxPushCurrent_v2(context)
    device = machine.open()
    with device.active():
        assert machine.planted.depth == 2
        machine.axpy(device).copy_in()
    assert machine.planted.depth == 1
    device.close()
    assert machine.planted.depth == 1
    assert library.cuCtxSynchronize() == 0
    library.cuCtxPopCurrent_v2(ctypes.byref(context))
    library.cuDevicePrimaryCtxRelease_v2(1)


def another_context_of_pycuda_stays_current(machine: Machine) -> None:
    """pycuda keeps a stack of its own; its user may have another GPU on it."""
    if machine.binding != "pycuda":
        return
    cuda: Any = importlib.import_module("pycuda.driver")
    cuda.init()
    other = cuda.Device(1).retain_primary_context()
    other.push()
    device = machine.open()
    with device.active():
        machine.axpy(device).copy_in()
    device.close()
    assert machine.planted.depth == 1
    current = ctypes.c_void_p()
    machine.planted.library.cuCtxPopCurrent_v2(ctypes.byref(current))
    machine.planted.library.cuCtxPushCurrent_v2(current)
    assert current.value == other.handle
    with surviving_release(1, other.handle):
        other.detach()


def a_context_is_left_where_work_raises(machine: Machine) -> None:
    device = machine.open()
    try:
        with device.active():
            raise KeyError("a planted error")
    except KeyError:
        assert machine.planted.depth == 0
    device.close()


def what_failed_first_is_what_is_raised(machine: Machine) -> None:
    """Also where the context cannot be left any more, as after a failure on the device."""
    device = machine.open()
    try:
        with device.active():
            machine.planted.fail("cuCtxPopCurrent", PLANTED_CODE)
            raise KeyError("a planted error")
    except KeyError:
        machine.planted.heal()
    if machine.binding != "pycuda":
        # pycuda remembers what it pushed, and its close takes that off.
        machine.planted.library.cuCtxPopCurrent_v2(ctypes.byref(ctypes.c_void_p()))
    device.close()


def the_second_gpu_is_another(machine: Machine) -> None:
    device = machine.open(1)
    with device.active():
        assert device.allocate(8).num_bytes == 8
    assert (device.name, device.ordinal) == ("Stand-in B", 1)
    assert device.compute_capability == (9, 1)
    device.close()


def every_code_is_looked_at(machine: Machine) -> None:
    """Each call of the driver is made to fail in turn, and must be named in an `EngineError`."""
    with machine.device() as device:
        work = machine.axpy(device)
        work.copy_in()
        spare = device.allocate(8)
        calls: dict[str, Callable[[], object]] = {
            "cuMemAlloc": lambda: device.allocate(8),
            "cuMemHostRegister": lambda: device.pinned((8,), np.uint8),
            "cuStreamCreate": device.stream,
            "cuStreamSynchronize": work.stream.synchronize,
            "cuMemcpyHtoDAsync": work.copy_in,
            "cuMemcpyDtoHAsync": work.copy_out,
            "cuModuleLoadDataEx": lambda: device.load_kernel(PTX, "axpy"),
            "cuModuleGetFunction": lambda: device.load_kernel(PTX, "axpy"),
            "cuFuncSetAttribute": lambda: device.load_kernel(
                PTX, "axpy", dynamic_shared_bytes=60_000
            ),
            "cuLaunchKernel": work.launch,
        }
        if machine.binding != "pycuda":
            # pycuda writes a warning instead.
            calls["cuMemFree"] = spare.free
        _refused_when_planted(machine, calls)


def every_code_of_the_context_is_looked_at(machine: Machine) -> None:
    device = machine.open()
    retain = "cuDevicePrimaryCtxRetain"
    _refused_when_planted(
        machine, {"cuCtxPushCurrent": device.active().__enter__, retain: machine.open}
    )
    with device.active():
        assert device.allocate(8).num_bytes == 8
    device.close()


def _refused_when_planted(machine: Machine, calls: dict[str, Callable[[], object]]) -> None:
    for name, call in calls.items():
        machine.planted.fail(name, PLANTED_CODE)
        with refused(name, PLANTED_WORDS):
            call()
        machine.planted.heal()


def a_kernel_that_fails_is_reported_and_the_context_released(machine: Machine) -> None:
    device = machine.open()
    with device.active():
        work = machine.axpy(device)
        arguments = [np.uint64(8), np.uint64(8), np.float32(2), np.uint32(1000)]
        device.launch(work.kernel, (4, 1, 1), (256, 1, 1), arguments, work.stream)
        with refused("cuStreamSynchronize", "illegal memory access"):
            work.stream.synchronize()
        with refused("cuMemAlloc", "illegal memory access"):
            device.allocate(8)
    device.close()
    alive = machine.planted.alive()
    # After such a failure nothing can be freed one by one; the context took it along.
    assert alive.pop("leaked") > 0
    assert alive == {}
    machine.planted.heal()


def planted_forgotten_close(machine: Machine) -> None:
    """Must be found."""
    device = machine.open()
    with device.active():
        device.allocate(8)
    # Kept, so that nobody closes it.
    machine.forgotten = device  # type: ignore[attr-defined]


def planted_context_left_on_the_stack(machine: Machine) -> None:
    """Must be found."""
    with machine.device():
        library, context = machine.planted.library, ctypes.c_void_p()
        library.cuDevicePrimaryCtxRetain(ctypes.byref(context), 1)
        library.cuCtxPushCurrent_v2(context)


def planted_missing_wait(machine: Machine) -> None:
    """Must be found: the second stream reads before the first has written."""
    with machine.device() as device:
        work = machine.axpy(device)
        work.copy_in()
        work.launch()
        second = device.stream()
        device.copy_out(work.y, work.device_y, second)
        second.synchronize()
        np.testing.assert_array_equal(work.y, work.expected(launches=1))


def planted_address_read_on_the_host(machine: Machine) -> None:
    """Must be found: the process dies."""
    with machine.device() as device:
        ctypes.string_at(device.allocate(8).address, 8)


def planted_refusal_that_does_not_come(machine: Machine) -> None:
    """Must be found."""
    with refused("anything"):
        pass
