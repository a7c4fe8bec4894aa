"""How long what every `Device` makes may be used; see contract_worker.py."""

from __future__ import annotations

import threading

import numpy as np
from contract_machine import PTX, Machine, filled, refused


def a_buffer_is_freed_once(machine: Machine) -> None:
    with machine.device() as device:
        buffer, other = device.allocate(40), device.allocate(40)
        buffer.free()
        buffer.free()
        assert (buffer.address, buffer.num_bytes) == (0, 0)
        with refused("was freed"):
            device.copy_in(buffer, np.zeros(1), device.stream())
        assert machine.stand_in is None or machine.stand_in.alive()["buffers"] == 1
        assert other.num_bytes == 40


def everything_is_refused_outside_the_context(machine: Machine) -> None:
    device = machine.open()
    with device.active():
        work = machine.axpy(device)
        work.copy_in()
        spare = device.allocate(8)
    for use in (
        *(device.stream, work.launch, work.copy_in, work.copy_out),
        *(work.stream.synchronize, spare.free),
        lambda: device.allocate(8),
        lambda: device.pinned((8,), np.uint8),
        lambda: device.load_kernel(PTX, "axpy"),
    ):
        with refused("inside `with device.active()`"):
            use()
    device.close()


def everything_is_refused_after_close(machine: Machine) -> None:
    device = machine.open()
    with device.active():
        work = machine.axpy(device)
        work.copy_in()
    device.close()
    for use in (
        *(device.stream, work.launch, work.stream.synchronize, device.active().__enter__),
        lambda: device.allocate(8),
        lambda: device.pinned((8,), np.uint8),
        lambda: device.load_kernel(PTX, "axpy"),
    ):
        with refused("was closed"):
            use()
    with refused("was freed"):
        work.copy_in()
    work.device_x.free()


def a_device_is_closed_once_and_not_while_it_is_used(machine: Machine) -> None:
    device = machine.open()
    with device.active():
        with refused("in use", "before close()"):
            device.close()
        assert device.allocate(8).num_bytes == 8
    device.close()
    device.close()


def a_pinned_array_outlives_the_device(machine: Machine) -> None:
    with machine.device() as device:
        array = filled(device, np.arange(5000))
    array += 1
    assert array.sum() == 5000 * 5001 // 2


def the_context_may_be_entered_again_within(machine: Machine) -> None:
    with machine.device() as device:
        work = machine.axpy(device)
        with device.active():
            work.copy_in()
            work.launch()
        work.copy_out()
        work.stream.synchronize()
        np.testing.assert_array_equal(work.y, work.expected(launches=1))


def two_devices_share_the_context(machine: Machine) -> None:
    """Closing one leaves the other at work."""
    first, second = machine.open(), machine.open()
    with second.active():
        work = machine.axpy(second)
        work.copy_in()
    with first.active():
        first.allocate(100)
    first.close()
    with second.active():
        work.launch()
        work.copy_out()
        work.stream.synchronize()
        np.testing.assert_array_equal(work.y, work.expected(launches=1))
    second.close()


def another_thread_may_use_and_close_the_device(machine: Machine) -> None:
    device, errors = machine.open(), []

    def use() -> None:
        try:
            with device.active():
                work = machine.axpy(device)
                work.copy_in()
                work.stream.synchronize()
            device.close()
            assert machine.stand_in is None or machine.stand_in.depth == 0
        except BaseException as error:
            errors.append(error)

    thread = threading.Thread(target=use)
    thread.start()
    thread.join()
    assert errors == []
