"""What GPUs there are, asked of the CUDA driver alone: the one look before any library touches it.

TensorRT and the bindings crash, or say nothing useful, on a machine without a driver. Nothing is
loaded at import, and no context is made.
"""

from __future__ import annotations

import ctypes
import sys
from dataclasses import dataclass
from typing import Any

from wsgn.errors import EngineError

_LIBRARY = "nvcuda.dll" if sys.platform == "win32" else "libcuda.so.1"
# CUdevice_attribute.
_COMPUTE_CAPABILITY_MAJOR = 75
_COMPUTE_CAPABILITY_MINOR = 76
_CPU_INSTEAD = "or use --device cpu with the .onnx file."
# What to do about a code (CUresult) that cuInit may return.
_REMEDIES = {
    3: "this process was forked after CUDA was used: start it by spawn,",
    34: "this is the toolkit's stub, not a driver: take its folder out of LD_LIBRARY_PATH,",
    100: "look at nvidia-smi and CUDA_VISIBLE_DEVICES, start a container with --gpus all,",
    101: "CUDA_VISIBLE_DEVICES names a GPU that is not there: mend it,",
    802: "the GPUs are not ready yet: start the service nvidia-fabricmanager,",
    803: "the driver's library and its kernel module differ: restart the machine, or take the "
    "driver of the host in a container,",
    804: "this GPU takes no forward-compatible driver: remove the package cuda-compat,",
    999: "the driver's kernel module does not answer: look at nvidia-smi and /dev/nvidia*,",
}


@dataclass(frozen=True, kw_only=True)
class Gpu:
    """One GPU, as the driver counts them under CUDA_VISIBLE_DEVICES."""

    ordinal: int
    # "NVIDIA H200".
    name: str
    # (9, 0).
    compute_capability: tuple[int, int]
    # All of its memory.
    num_bytes: int

    def __str__(self) -> str:
        major, minor = self.compute_capability
        return (
            f"GPU {self.ordinal}: {self.name} (compute capability {major}.{minor}, "
            f"{self.num_bytes / 2**30:.1f} GiB)"
        )


@dataclass(frozen=True, kw_only=True)
class Driver:
    """The driver and its GPUs, at least one."""

    # The newest CUDA that it runs, (13, 0).
    version: tuple[int, int]
    gpus: tuple[Gpu, ...]

    def gpu(self, ordinal: int) -> Gpu:
        """The GPU of a number; raises `EngineError` where there is none."""
        for gpu in self.gpus:
            if gpu.ordinal == ordinal:
                return gpu
        raise EngineError(
            f"there is no GPU {ordinal}: this machine has {_listed(self.gpus)}; name one of them, "
            + _CPU_INSTEAD
        )

    def __str__(self) -> str:
        major, minor = self.version
        return f"driver for CUDA {major}.{minor}, {_listed(self.gpus)}"


def probe_driver() -> Driver:
    """The driver and its GPUs; an `EngineError` of one sentence says why they cannot be used."""
    library = load_driver()
    _initialise(library)
    version = ctypes.c_int()
    call_driver(library, "cuDriverGetVersion", ctypes.byref(version))
    count = ctypes.c_int()
    call_driver(library, "cuDeviceGetCount", ctypes.byref(count))
    if count.value < 1:
        raise EngineError(f"the NVIDIA driver finds no GPU: {_REMEDIES[100]} {_CPU_INSTEAD}")
    return Driver(
        version=(version.value // 1000, version.value % 1000 // 10),
        gpus=tuple(_gpu(library, ordinal) for ordinal in range(count.value)),
    )


def describe_driver() -> str | None:
    """The driver and its GPUs, or what is wrong with them, in words; None without a driver."""
    try:
        ctypes.CDLL(_LIBRARY)
    except OSError:
        return None
    try:
        return str(probe_driver())
    except EngineError as error:
        return str(error)


def load_driver() -> ctypes.CDLL:
    """The driver's library, not initialised; raises `EngineError` where it cannot be loaded."""
    try:
        return ctypes.CDLL(_LIBRARY)
    except OSError as error:
        raise EngineError(
            f"no NVIDIA driver was found ({_LIBRARY} cannot be loaded): install one, "
            + _CPU_INSTEAD
        ) from error


def call_driver(library: ctypes.CDLL, name: str, *arguments: Any) -> None:
    """Call a function of the driver; any code but success is an `EngineError`."""
    code = _function(library, name)(*arguments)
    if code != 0:
        raise EngineError(f"the NVIDIA driver failed in {name}: {_error_words(library, code)}.")


def _initialise(library: ctypes.CDLL) -> None:
    code = _function(library, "cuInit")(ctypes.c_uint(0))
    if code != 0:
        remedy = _REMEDIES.get(code, "run nvidia-smi, mend or restart the driver,")
        raise EngineError(
            f"the NVIDIA driver cannot be used ({_error_words(library, code)}): {remedy} "
            + _CPU_INSTEAD
        )


def _gpu(library: ctypes.CDLL, ordinal: int) -> Gpu:
    device = ctypes.c_int()
    call_driver(library, "cuDeviceGet", ctypes.byref(device), ctypes.c_int(ordinal))
    name = ctypes.create_string_buffer(256)
    call_driver(library, "cuDeviceGetName", name, ctypes.c_int(len(name)), device)
    num_bytes = ctypes.c_size_t()
    call_driver(library, "cuDeviceTotalMem_v2", ctypes.byref(num_bytes), device)
    return Gpu(
        ordinal=ordinal,
        name=name.value.decode("utf-8", errors="replace"),
        compute_capability=(
            _attribute(library, device, _COMPUTE_CAPABILITY_MAJOR),
            _attribute(library, device, _COMPUTE_CAPABILITY_MINOR),
        ),
        num_bytes=num_bytes.value,
    )


def _attribute(library: ctypes.CDLL, device: ctypes.c_int, attribute: int) -> int:
    value = ctypes.c_int()
    arguments = (ctypes.byref(value), ctypes.c_int(attribute), device)
    call_driver(library, "cuDeviceGetAttribute", *arguments)
    return value.value


def _function(library: ctypes.CDLL, name: str) -> Any:
    try:
        return getattr(library, name)
    except AttributeError as error:
        raise EngineError(
            f"{_LIBRARY} is no usable NVIDIA driver (it lacks {name}): install a newer driver, "
            + _CPU_INSTEAD
        ) from error


def _error_words(library: ctypes.CDLL, code: int) -> str:
    """`CUDA_ERROR_NO_DEVICE, no CUDA-capable device is detected`, or `error 1234`."""
    found = []
    for name in ("cuGetErrorName", "cuGetErrorString"):
        text = ctypes.c_char_p()
        function = getattr(library, name, None)
        if function is not None:
            function(ctypes.c_int(code), ctypes.byref(text))
        if text.value:
            found.append(text.value.decode("utf-8", errors="replace"))
    return ", ".join(found) or f"error {code}"


def _listed(gpus: tuple[Gpu, ...]) -> str:
    return ", ".join(map(str, gpus))
