"""Open a GPU by whichever binding is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Callable

from wsgn.engines.cuda.bindings_device import BindingsDevice
from wsgn.engines.cuda.device import Device
from wsgn.engines.cuda.driver import Gpu, probe_driver
from wsgn.engines.cuda.pycuda_device import PycudaDevice
from wsgn.errors import EngineError, UsageError

# By the name of its package on the index: the module to look for, and what it makes.
_BINDINGS: dict[str, tuple[str, Callable[[Gpu], Device]]] = {
    "pycuda": ("pycuda", PycudaDevice),
    "cuda-bindings": ("cuda.bindings", BindingsDevice),
}
BINDINGS = tuple(_BINDINGS)


def open_device(ordinal: int = 0, *, binding: str | None = None) -> Device:
    """A GPU in its primary context, by `binding` or else by the first of BINDINGS that is there.

    The driver is asked first. An `EngineError` says what is missing and what to install.
    """
    if binding is not None and binding not in _BINDINGS:
        raise UsageError(f"the binding must be {' or '.join(BINDINGS)}, got '{binding}'.")
    gpu = probe_driver().gpu(ordinal)
    wanted = BINDINGS if binding is None else (binding,)
    for name in wanted:
        module, make = _BINDINGS[name]
        if _installed(module):
            return _made(name, make, gpu)
    raise EngineError(
        f"{gpu} cannot be used without {' or '.join(wanted)}, which is not installed: "
        "pip install 'wsgn[tensorrt]', or use --device cpu with the .onnx file."
    )


def _installed(module: str) -> bool:
    try:
        return importlib.util.find_spec(module) is not None
    except ModuleNotFoundError:
        # The package around it is missing.
        return False


def _made(name: str, make: Callable[[Gpu], Device], gpu: Gpu) -> Device:
    try:
        return make(gpu)
    except ImportError as error:
        raise EngineError(
            f"{name} is installed and cannot be loaded ({error}): install it again for this driver "
            "and Python, or remove it."
        ) from error
