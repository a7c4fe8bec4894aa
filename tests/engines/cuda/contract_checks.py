"""What every `Device` must do, on a GPU as on the stand-in; see contract_worker.py."""

from __future__ import annotations

import ctypes

import numpy as np
from contract_machine import PTX, Machine, filled, refused


def a_copy_comes_back(machine: Machine) -> None:
    with machine.device() as device:
        array = filled(device, np.arange(1003, dtype=np.int64) * 7919)
        buffer, stream = device.allocate(array.nbytes), device.stream()
        device.copy_in(buffer, array, stream)
        back = device.pinned(array.shape, array.dtype)
        device.copy_out(back, buffer, stream)
        stream.synchronize()
        np.testing.assert_array_equal(back, array)


def an_array_that_is_not_pinned_is_copied_too(machine: Machine) -> None:
    with machine.device() as device:
        array = np.arange(12, dtype=np.float64).reshape(3, 4)
        buffer, stream = device.allocate(array.nbytes), device.stream()
        device.copy_in(buffer, array, stream)
        back = np.zeros_like(array)
        device.copy_out(back, buffer, stream)
        stream.synchronize()
        np.testing.assert_array_equal(back, array)


def a_part_of_a_buffer_is_copied(machine: Machine) -> None:
    with machine.device() as device:
        buffer, stream = device.allocate(100), device.stream()
        device.copy_in(buffer, filled(device, np.arange(10, dtype=np.uint8)), stream)
        device.copy_in(buffer, filled(device, np.full(4, 99, np.uint8)), stream)
        back = device.pinned((10,), np.uint8)
        device.copy_out(back, buffer, stream)
        stream.synchronize()
        assert back.tolist() == [99, 99, 99, 99, 4, 5, 6, 7, 8, 9]


def nothing_is_copied_of_an_empty_array(machine: Machine) -> None:
    with machine.device() as device:
        buffer, stream = device.allocate(0), device.stream()
        array = device.pinned((0, 3), np.float32)
        device.copy_in(buffer, array, stream)
        device.copy_out(array, buffer, stream)
        stream.synchronize()
        assert (array.shape, buffer.num_bytes) == ((0, 3), 0)
        assert buffer.address != 0


def memory_is_aligned(machine: Machine) -> None:
    with machine.device() as device:
        buffers = [device.allocate(size) for size in (1, 3, 1000)]
        assert [buffer.address % 256 for buffer in buffers] == [0, 0, 0]
        assert [buffer.num_bytes for buffer in buffers] == [1, 3, 1000]


def a_kernel_computes(machine: Machine) -> None:
    with machine.device() as device:
        work = machine.axpy(device)
        assert work.kernel.name == "axpy"
        work.copy_in()
        work.launch()
        work.copy_out()
        work.stream.synchronize()
        np.testing.assert_array_equal(work.y, work.expected(launches=1))


def a_kernel_gets_its_arguments_and_shape(machine: Machine) -> None:
    """Of mixed widths, so that a wrong alignment or width shows; bits, not values, are passed."""
    with machine.device() as device:
        stream, back = device.stream(), device.pinned((10,), np.float64)
        out = device.allocate(back.nbytes)
        kernel = device.load_kernel(PTX, "report", dynamic_shared_bytes=60_000)
        half = np.float16(1.5)
        for small in (np.uint8(200), np.bool_(True)):
            arguments = (np.uint64(out.address), small, np.float64(0.1), half)
            grid, block = (2, 3, 5), (7, 2, 1)
            device.launch(kernel, grid, block, arguments, stream, dynamic_shared_bytes=60_000)
            device.copy_out(back, out, stream)
            stream.synchronize()
            # float16 1.5 is 0x3E00.
            expected = [2, 3, 5, 7, 2, 1, 60_000, float(small), 0.1, float(0x3E00)]
            assert back.tolist() == expected


def shared_memory_must_be_asked_for(machine: Machine) -> None:
    with machine.device() as device:
        work = machine.axpy(device)
        with refused("cuLaunchKernel", "invalid argument"):
            arguments = [np.uint64(0), np.uint64(0), np.float32(0), np.uint32(0)]
            shape = ((1, 1, 1), (32, 1, 1))
            device.launch(work.kernel, *shape, arguments, work.stream, dynamic_shared_bytes=60_000)
        with refused("the kernel axpy does not load on"):
            device.load_kernel(PTX, "axpy", dynamic_shared_bytes=10**8)


def a_python_number_is_no_argument(machine: Machine) -> None:
    with machine.device() as device:
        work = machine.axpy(device)
        for wrong in (2.0, np.complex128(1), np.str_("2"), np.zeros(1)):
            with refused("argument 1 of a kernel is", "NumPy scalar"):
                arguments = [np.uint64(0), wrong]
                device.launch(work.kernel, (1, 1, 1), (1, 1, 1), arguments, work.stream)


def the_arguments_must_fit_the_kernel(machine: Machine) -> None:
    """One too few, or one too wide. Under pycuda only the driver can say so, and may not."""
    if machine.binding == "pycuda" and machine.stand_in is None:
        return
    pointer, scale, count = np.uint64(0), np.float32(0), np.uint32(0)
    with machine.device() as device:
        work = machine.axpy(device)
        words = ["cuLaunchKernel"] if machine.binding == "pycuda" else ["[8, 8, 4, 4] bytes, got"]
        for wrong in ((pointer, pointer, scale), (pointer, pointer, np.float64(0), count)):
            with refused(*words):
                device.launch(work.kernel, (1, 1, 1), (1, 1, 1), wrong, work.stream)


def a_stream_does_not_wait_for_the_default_one(machine: Machine) -> None:
    """CU_STREAM_NON_BLOCKING, as the driver itself sees the handle."""
    with machine.device() as device:
        flags, stream = ctypes.c_uint(), device.stream()
        library = ctypes.CDLL("libcuda.so.1")
        assert library.cuStreamGetFlags(ctypes.c_void_p(stream.handle), ctypes.byref(flags)) == 0
        assert flags.value == 1


def a_copy_needs_contiguous_memory_that_fits(machine: Machine) -> None:
    with machine.device() as device:
        buffer, stream = device.allocate(40), device.stream()
        square = np.zeros((3, 3), np.float32)
        for wrong in (square[:, :2], square.T[1:], np.zeros(20, np.uint8)[::2]):
            with refused("contiguous"):
                device.copy_in(buffer, wrong, stream)
            with refused("contiguous"):
                device.copy_out(wrong, buffer, stream)
        with refused("44 bytes does not fit into a buffer of 40"):
            device.copy_in(buffer, np.zeros(11, np.float32), stream)
        with refused("44 bytes does not fit into a buffer of 40"):
            device.copy_out(np.zeros(11, np.float32), buffer, stream)
        square.flags.writeable = False
        device.copy_in(buffer, square, stream)
        with refused("read-only"):
            device.copy_out(square, buffer, stream)


def memory_that_is_not_there_is_refused(machine: Machine) -> None:
    with machine.device() as device:
        with refused("cuMemAlloc", "out of memory", f"no {2**50} bytes", device.name):
            device.allocate(2**50)
        with refused("-1 bytes"):
            device.allocate(-1)
        assert device.allocate(40).num_bytes == 40


def a_kernel_that_does_not_load_is_refused(machine: Machine) -> None:
    with machine.device() as device:
        with refused("the kernel other does not load on", "cuModuleGetFunction", "not found"):
            device.load_kernel(PTX, "other")
        with refused("the kernel axpy does not load on", device.name, "cuModuleLoadDataEx"):
            device.load_kernel(b"no image of any kind", "axpy")


def the_device_says_what_it_is(machine: Machine) -> None:
    device = machine.open()
    assert device.binding.startswith(f"{machine.binding} ")
    assert device.ordinal == 0
    assert device.name
    assert device.compute_capability >= (5, 0)
    device.close()
