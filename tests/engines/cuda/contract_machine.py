"""What a check of the contract works with: a device, the stand-in, kernels and planted numbers."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from stand_in_library import StandIn

from wsgn.engines.cuda.device import Buffer, Device, Kernel, Stream
from wsgn.engines.cuda.open import open_device
from wsgn.errors import EngineError
from wsgn.support.arrays import AnyArray

# Text that ptxas takes; the stand-in reads the parameters and knows what the two kernels compute.
PTX = b"""
.version 7.0
.target sm_75
.address_size 64

.visible .entry axpy(.param .u64 y, .param .u64 x, .param .f32 a, .param .u32 n)
{
    .reg .pred %past;
    .reg .b32 %index, %count, %block, %width, %thread;
    .reg .f32 %scale, %from, %to;
    .reg .b64 %to_base, %from_base, %offset;
    mov.u32 %block, %ctaid.x;
    mov.u32 %width, %ntid.x;
    mov.u32 %thread, %tid.x;
    mad.lo.u32 %index, %block, %width, %thread;
    ld.param.u32 %count, [n];
    setp.ge.u32 %past, %index, %count;
    @%past bra DONE;
    ld.param.f32 %scale, [a];
    ld.param.u64 %to_base, [y];
    ld.param.u64 %from_base, [x];
    mul.wide.u32 %offset, %index, 4;
    add.u64 %to_base, %to_base, %offset;
    add.u64 %from_base, %from_base, %offset;
    ld.global.f32 %from, [%from_base];
    ld.global.f32 %to, [%to_base];
    fma.rn.f32 %to, %scale, %from, %to;
    st.global.f32 [%to_base], %to;
DONE:
    ret;
}

.visible .entry report(.param .u64 out, .param .u8 small, .param .f64 large, .param .u16 half)
{
    .reg .b16 %short;
    .reg .b32 %word;
    .reg .b64 %base;
    .reg .f64 %value;
    ld.param.u64 %base, [out];
    mov.u32 %word, %nctaid.x; cvt.rn.f64.u32 %value, %word; st.global.f64 [%base], %value;
    mov.u32 %word, %nctaid.y; cvt.rn.f64.u32 %value, %word; st.global.f64 [%base+8], %value;
    mov.u32 %word, %nctaid.z; cvt.rn.f64.u32 %value, %word; st.global.f64 [%base+16], %value;
    mov.u32 %word, %ntid.x; cvt.rn.f64.u32 %value, %word; st.global.f64 [%base+24], %value;
    mov.u32 %word, %ntid.y; cvt.rn.f64.u32 %value, %word; st.global.f64 [%base+32], %value;
    mov.u32 %word, %ntid.z; cvt.rn.f64.u32 %value, %word; st.global.f64 [%base+40], %value;
    mov.u32 %word, %dynamic_smem_size;
    cvt.rn.f64.u32 %value, %word; st.global.f64 [%base+48], %value;
    ld.param.u8 %short, [small]; cvt.rn.f64.u16 %value, %short; st.global.f64 [%base+56], %value;
    ld.param.f64 %value, [large]; st.global.f64 [%base+64], %value;
    ld.param.u16 %short, [half]; cvt.rn.f64.u16 %value, %short; st.global.f64 [%base+72], %value;
    ret;
}
"""


@dataclass
class Axpy:
    """y += 2 x of n numbers on a stream: x and y in pinned memory and on the device."""

    device: Device
    stream: Stream
    kernel: Kernel
    x: AnyArray
    y: AnyArray
    device_x: Buffer
    device_y: Buffer

    def copy_in(self) -> None:
        self.device.copy_in(self.device_x, self.x, self.stream)
        self.device.copy_in(self.device_y, self.y, self.stream)

    def launch(self) -> None:
        y, x = np.uint64(self.device_y.address), np.uint64(self.device_x.address)
        arguments = (y, x, np.float32(2), np.uint32(len(self.x)))
        grid = (-(-len(self.x) // 256), 1, 1)
        self.device.launch(self.kernel, grid, (256, 1, 1), arguments, self.stream)

    def copy_out(self) -> None:
        self.device.copy_out(self.y, self.device_y, self.stream)

    def expected(self, launches: int) -> AnyArray:
        """From y = 1 and x = 0, 1, 2, ..., which float32 holds exactly."""
        return 1 + 2 * launches * np.arange(len(self.x), dtype=np.float64)


class Machine:
    """One binding on one driver."""

    def __init__(self, binding: str, *, has_stand_in: bool) -> None:
        self.binding = binding
        self.stand_in = StandIn() if has_stand_in else None

    @property
    def planted(self) -> StandIn:
        """The stand-in, for checks that are run on nothing else."""
        assert self.stand_in is not None
        return self.stand_in

    def open(self, ordinal: int = 0) -> Device:
        return open_device(ordinal, binding=self.binding)

    @contextmanager
    def device(self) -> Iterator[Device]:
        """An open device, active, and closed after it."""
        device = self.open()
        try:
            with device.active():
                yield device
        finally:
            device.close()

    def axpy(self, device: Device, n: int = 1000) -> Axpy:
        x, y = device.pinned((n,), np.float32), device.pinned((n,), np.float32)
        x[:] = np.arange(n)
        y[:] = 1
        return Axpy(
            device=device,
            stream=device.stream(),
            kernel=device.load_kernel(PTX, "axpy"),
            x=x,
            y=y,
            device_x=device.allocate(x.nbytes),
            device_y=device.allocate(y.nbytes),
        )

    def check_nothing_is_left(self) -> None:
        """Every context released and off the stack, and everything freed before that."""
        if self.stand_in is not None:
            left = (self.stand_in.depth, self.stand_in.alive())
            assert left == (0, {}), f"left over: {left}"


@contextmanager
def refused(*words: str) -> Iterator[None]:
    """An `EngineError` of one sentence or two, with these words."""
    try:
        yield
    except EngineError as error:
        text = str(error)
        assert text.endswith("."), text
        assert "\n" not in text, text
        for word in words:
            assert word in text, f"{word!r} is not in {text!r}"
    else:
        raise AssertionError(f"not refused, though it should be: {words}")


def filled(device: Device, numbers: Any) -> AnyArray:
    """A pinned array of the numbers."""
    numbers = np.asarray(numbers)
    array = device.pinned(numbers.shape, numbers.dtype)
    array[...] = numbers
    return array
