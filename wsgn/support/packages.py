"""What a run finds on its machine: packages, loaded late and told apart where damaged; cores.

Every import of ONNX Runtime goes through `load_package`, which switches its telemetry off first.
"""

from __future__ import annotations

import errno
import importlib
import os
from typing import Any

from wsgn.errors import EngineError

# What every run loads, what others are made of first.
REQUIRED = ("numpy", "dacite", "tqdm", "av")
_TITLES = {"onnxruntime": "ONNX Runtime", "av": "PyAV (av)"}
# Read by ONNX Runtime while it is imported: from 1.32 on it else writes an identity of the machine
# below the home folder at once, and sends what was run to its makers some seconds later.
TELEMETRY_SWITCH = "ORT_DISABLE_TELEMETRY"
# What the C library's loader and others say when memory is short.
_NO_MEMORY = ("cannot allocate memory", "failed to map segment", "bad_alloc", "out of memory")
# Two packages write the folder of ONNX Runtime, and removing one breaks the other.
_MENDED_BY = {
    "onnxruntime": "pip uninstall -y onnxruntime onnxruntime-gpu, then install the one you need "
    "again"
}


def switch_off_telemetry() -> None:
    """Keep ONNX Runtime, imported from now on by whomever, from writing and sending anything."""
    os.environ[TELEMETRY_SWITCH] = "1"


def load_package(name: str) -> Any:
    """Import a package. Raises `EngineError` where it is missing or damaged."""
    # `import wsgn` has done so; a host may have changed its environment since.
    switch_off_telemetry()
    try:
        module = importlib.import_module(name)
    # A damaged installation fails in any way: ImportError, OSError, AttributeError, SystemError.
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise EngineError(f"{_title(name)} is not installed: pip install {name}.") from error
        if isinstance(first_cause(error), KeyboardInterrupt):
            raise KeyboardInterrupt from error
        shortage = shortage_of(error)
        if shortage:
            raise EngineError(
                f"{_title(name)} cannot be loaded ({_words(error)}): {shortage}."
            ) from error
        raise _damaged(name, _words(error)) from error
    # What is left of a package whose files were removed is a folder, which Python imports empty.
    if getattr(module, "__file__", None) is None:
        folder = next(iter(getattr(module, "__path__", [])), name)
        raise _damaged(name, f"'{folder}' has no __init__.py")
    if name == "onnxruntime" and hasattr(module, "disable_telemetry_events"):
        # For a host that imported it before wsgn, as far as that still helps.
        module.disable_telemetry_events()
    return module


def find_damage(error: Exception) -> EngineError | None:
    """What is wrong with the packages that may have caused an error nobody has foreseen."""
    for name in REQUIRED:
        try:
            load_package(name)
        except EngineError as damage:
            return damage
    culprit = (getattr(error, "name", None) or "").partition(".")[0]
    if isinstance(error, ImportError) and culprit in REQUIRED:
        return _damaged(culprit, _words(error))
    return None


def shortage_of(error: BaseException) -> str:
    """That the process lacks memory or files, and what to do; empty where it is another error.

    The loader of shared libraries, and other people's C++, say so in words only.
    """
    cause = first_cause(error)
    words, number = str(cause).lower(), getattr(cause, "errno", None)
    if number in (errno.EMFILE, errno.ENFILE) or "too many open files" in words:
        return "the process may open no more files, raise its limit (ulimit -n)"
    no_memory = isinstance(cause, MemoryError) or number == errno.ENOMEM
    if no_memory or any(sign in words for sign in _NO_MEMORY):
        return "there is not enough memory, raise the limit (ulimit -v) or end other programs"
    return ""


def _damaged(name: str, reason: str) -> EngineError:
    remedy = _MENDED_BY.get(name, f"pip install --force-reinstall {name}")
    return EngineError(f"{_title(name)} is damaged ({reason}): {remedy}.")


def _title(name: str) -> str:
    return _TITLES.get(name, name)


def first_cause(error: BaseException) -> BaseException:
    """What began it: NumPy wraps that in a page of advice, and C code wraps Ctrl-C."""
    while error.__cause__ is not None:
        error = error.__cause__
    return error


def _words(error: BaseException) -> str:
    """The first line of what began it."""
    cause = first_cause(error)
    lines = str(cause).strip().splitlines()
    return lines[0].strip().rstrip(".") if lines else type(cause).__name__


def default_num_threads() -> int:
    """Threads for an engine beside one decoding thread: every core but one."""
    affinity = getattr(os, "sched_getaffinity", None)
    num_cores = len(affinity(0)) if affinity else os.cpu_count() or 1
    return max(1, num_cores - 1)
