"""Release a primary context that pycuda retained, and leave the thread's stack as it was."""

from __future__ import annotations

import ctypes
from collections.abc import Iterator
from contextlib import contextmanager

from wsgn.engines.cuda.driver import call_driver, load_driver


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
