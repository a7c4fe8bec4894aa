"""What both bindings share: pages, buffers and the values of a kernel's arguments."""

from __future__ import annotations

import mmap

import numpy as np
import pytest

from wsgn.engines.cuda.memory import (
    DeviceBuffer,
    check_copy,
    kernel_image,
    one_line,
    parameter_values,
    whole_pages,
)
from wsgn.errors import EngineError


@pytest.mark.parametrize(
    ("shape", "dtype"), [((3, 5), "f4"), ((0, 7), "i8"), ((), "f8"), ((100_000,), "u1")]
)
def test_an_array_has_pages_of_its_own(shape: tuple[int, ...], dtype: str) -> None:
    array, neighbour = whole_pages(shape, dtype), whole_pages(shape, dtype)
    assert (array.shape, array.dtype, array.flags.c_contiguous) == (shape, np.dtype(dtype), True)
    assert array.ctypes.data % mmap.PAGESIZE == 0
    last = (array.ctypes.data + max(0, array.nbytes - 1)) // mmap.PAGESIZE
    assert not array.ctypes.data <= neighbour.ctypes.data <= last * mmap.PAGESIZE
    array[...] = 1
    assert (array.sum(), neighbour.sum()) == (array.size, 0)


def test_a_buffer_is_released_once() -> None:
    calls: list[int] = []
    buffer = DeviceBuffer(4096, 16, lambda: calls.append(1))
    buffer.free()
    buffer.free()
    assert (calls, buffer.address, buffer.num_bytes) == ([1], 0, 0)


def test_a_buffer_whose_release_fails_is_still_there() -> None:
    def fail() -> None:
        raise EngineError("planted.")

    buffer = DeviceBuffer(4096, 16, fail)
    for _ in range(2):
        with pytest.raises(EngineError, match="planted"):
            buffer.free()
    assert (buffer.address, buffer.num_bytes) == (4096, 16)


def test_a_copy_may_fill_a_buffer_and_not_more() -> None:
    buffer = DeviceBuffer(4096, 16, lambda: None)
    check_copy(np.zeros(16, np.uint8), buffer, into_array=True)
    with pytest.raises(EngineError, match="17 bytes does not fit into a buffer of 16"):
        check_copy(np.zeros(17, np.uint8), buffer, into_array=True)


def test_arguments_keep_their_bits() -> None:
    given = [np.float32(-0.0), np.int8(-1), np.float16(1), np.bool_(True), np.uint64(2**63)]
    values = parameter_values(given)
    assert [value.dtype.str[1:] for value in values] == ["u4", "u1", "u2", "u1", "u8"]
    assert [int(value) for value in values] == [0x80000000, 0xFF, 0x3C00, 1, 2**63]


def test_text_ends_with_a_zero_and_a_cubin_is_left_alone() -> None:
    assert kernel_image(b".version 8.0") == b".version 8.0\0"
    assert kernel_image(b".version 8.0\0") == b".version 8.0\0"
    assert kernel_image(b"\x7fELF...") == b"\x7fELF..."


def test_words_of_the_driver_become_one_line() -> None:
    assert one_line("ptxas fatal  : a;\nb.\n") == "ptxas fatal : a; b"
