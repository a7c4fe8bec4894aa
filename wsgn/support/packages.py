"""What a run finds on its machine: packages, loaded late and told apart where damaged; cores."""

from __future__ import annotations

import importlib
import os
from typing import Any

from wsgn.errors import EngineError

# What every run loads, what others are made of first.
REQUIRED = ("numpy", "dacite", "tqdm", "av")
_TITLES = {"onnxruntime": "ONNX Runtime", "av": "PyAV (av)"}
# Two packages write the folder of ONNX Runtime, and removing one breaks the other.
_MENDED_BY = {
    "onnxruntime": "pip uninstall -y onnxruntime onnxruntime-gpu, then install the one you need "
    "again"
}


def load_package(name: str) -> Any:
    """Import a package. Raises `EngineError` where it is missing or damaged."""
    try:
        module = importlib.import_module(name)
    # A damaged installation fails in any way: ImportError, OSError, AttributeError, SystemError.
    except Exception as error:
        if isinstance(error, ModuleNotFoundError) and error.name == name:
            raise EngineError(f"{_title(name)} is not installed: pip install {name}.") from error
        if isinstance(first_cause(error), KeyboardInterrupt):
            raise KeyboardInterrupt from error
        raise _damaged(name, _words(error)) from error
    # What is left of a package whose files were removed is a folder, which Python imports empty.
    if getattr(module, "__file__", None) is None:
        folder = next(iter(getattr(module, "__path__", [])), name)
        raise _damaged(name, f"'{folder}' has no __init__.py")
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
