"""TensorRT or TensorRT-RTX, whichever is installed: loaded late, with its words collected.

Both are one Python API under two names, so that everything else is written once. Loading needs no
driver; full TensorRT's Builder and both libraries' Runtime do, and end the process with a
segmentation fault where there is none: look for the driver before one of them is made.
"""

from __future__ import annotations

import functools
import importlib
import importlib.util
import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from wsgn.engines.tensorrt.sidecar import LIBRARIES
from wsgn.errors import EngineError
from wsgn.support.signals import hold_signals

# What people call them, and the modules that hold them: the package proper, and the bindings that
# it only passes on, which can be installed alone.
TITLES = {"tensorrt": "TensorRT", "tensorrt_rtx": "TensorRT-RTX"}
_MODULES = {
    "tensorrt": ("tensorrt", "tensorrt_bindings"),
    "tensorrt_rtx": ("tensorrt_rtx", "tensorrt_rtx_bindings"),
}
_REMEDIES = {
    "tensorrt": "pip install 'wsgn[tensorrt]'",
    "tensorrt_rtx": "pip install tensorrt_rtx",
}
# Characters of the library's own words in a sentence of ours.
_MOST_WORDS = 200
# Where in its source a line comes from: "[tactic.cpp:264: run] ", " In run at /_src/a.cpp:20)".
_SOURCE_BEFORE = re.compile(r"\[[\w./]+\.(?:cpp|cc|cu|h):\S+[^\]]*\] ?")
_SOURCE_AFTER = re.compile(r" In \S+ at \S+$")
_SHARED_OBJECT = re.compile(r"[\w+-]+\.(?:so[.\d]*|dll)")


@dataclass(frozen=True, kw_only=True)
class LogLine:
    """One line of the library."""

    # INTERNAL_ERROR, ERROR, WARNING, INFO or VERBOSE.
    severity: str
    text: str


# Without equality: two logs of the same lines are two listeners.
@dataclass(kw_only=True, eq=False)
class LibraryLog:
    """Lines that the library wrote while this was open, in their order."""

    lines: list[LogLine] = field(default_factory=list)

    def texts(self, *severities: str) -> tuple[str, ...]:
        """The lines of these severities."""
        return tuple(line.text for line in self.lines if line.severity in severities)

    def errors(self) -> str:
        """What went wrong first, in the library's words; also where it said nothing."""
        found = filter(None, map(_without_source, self.texts("INTERNAL_ERROR", "ERROR")))
        return next(found, "the library gave no reason")


@dataclass(frozen=True, kw_only=True, eq=False)
class Library:
    """A loaded library. `module` is the bindings; Protocols of it lie in `bindings`."""

    # One of LIBRARIES.
    name: str
    # "11.4.0.106".
    version: str
    module: Any
    # The one logger of the process, an ILogger of the module: the library keeps the first one that
    # it is given and ignores others.
    logger: Any
    _listeners: list[LibraryLog]

    @property
    def title(self) -> str:
        """ "TensorRT 11.4.0.106"."""
        return f"{TITLES[self.name]} {self.version}"

    @contextmanager
    def collected(self) -> Iterator[LibraryLog]:
        """Collect what the library says inside the block, in whichever of its threads.

        Signals wait for the block's end: the library swallows what its logger raises.
        """
        log = LibraryLog()
        self._listeners.append(log)
        try:
            with hold_signals():
                yield log
        finally:
            self._listeners.remove(log)


def installed_libraries() -> tuple[str, ...]:
    """Which of LIBRARIES are installed, found without loading any."""
    return tuple(name for name in LIBRARIES if _module_of(name) is not None)


def load_library(name: str | None = None) -> Library:
    """Load `tensorrt` or `tensorrt_rtx`; without a name the first of them that is installed.

    Raises `EngineError` where it is not installed or cannot be loaded: one that is there and broken
    is not passed over.
    """
    if name is None:
        installed = installed_libraries()
        if not installed:
            raise EngineError(
                "neither TensorRT nor TensorRT-RTX is installed, and one is needed for plans: "
                f"{_REMEDIES['tensorrt']} or {_REMEDIES['tensorrt_rtx']}."
            )
        name = installed[0]
    if name not in LIBRARIES:
        raise EngineError(f"the library must be {' or '.join(LIBRARIES)}, got '{name}'.")
    return _load(name)


@functools.cache
def _load(name: str) -> Library:
    """Once in a process, as the library itself keeps one logger in a process."""
    title, remedy = TITLES[name], _REMEDIES[name]
    module_name = _module_of(name)
    if module_name is None:
        raise EngineError(f"{title} is not installed: {remedy}.")
    try:
        # A library that is interrupted while it is imported calls that an error of its own.
        with hold_signals():
            module: Any = importlib.import_module(module_name)
    # A damaged installation fails in any way: ImportError, OSError, AttributeError, SystemError.
    except Exception as error:
        raise EngineError(_reason(title, remedy, error)) from error
    version = getattr(module, "__version__", None)
    if version is None or not hasattr(module, "ILogger"):
        raise EngineError(
            f"the module '{module_name}' is not {title} (it lies at "
            f"{getattr(module, '__file__', None)}): remove what hides it, or {remedy}."
        )
    listeners: list[LibraryLog] = []
    logger = _make_logger(module, functools.partial(_hand_out, listeners))
    return Library(
        name=name, version=str(version), module=module, logger=logger, _listeners=listeners
    )


def _module_of(name: str) -> str | None:
    """The module that is installed for a library; a mere folder of that name does not count."""
    for module in _MODULES[name]:
        try:
            spec = importlib.util.find_spec(module)
        except (ImportError, ValueError):
            continue
        if spec is not None and spec.origin is not None:
            return module
    return None


def _reason(title: str, remedy: str, error: Exception) -> str:
    words = " ".join(str(error).split()) or type(error).__name__
    missing = _SHARED_OBJECT.search(words)
    if missing is not None and "cannot open shared object" in words:
        return (
            f"{title} is installed without its library {missing.group()}: put the folder that "
            f"holds it on the loader's path (LD_LIBRARY_PATH), or install it whole ({remedy})."
        )
    return f"{title} cannot be loaded ({words}): install it again ({remedy})."


def _hand_out(listeners: list[LibraryLog], severity: str, text: str) -> None:
    line = LogLine(severity=severity, text=" ".join(text.split()))
    for listener in tuple(listeners):
        listener.lines.append(line)


def _without_source(text: str) -> str:
    """The first useful sentence of a line that may hold a stack of them."""
    _, *sentences = _SOURCE_BEFORE.split(text)
    words = next((one for one in sentences if one.strip("; ")), text).strip("; ")
    words = _SOURCE_AFTER.sub("", words).rstrip(".")
    return words if len(words) <= _MOST_WORDS else words[: _MOST_WORDS - 3] + "..."


def _make_logger(module: Any, take: Callable[[str, str], None]) -> Any:
    """An ILogger of the module that gives severity and text of each line away."""

    class Logger(module.ILogger):  # type: ignore[misc]
        def __init__(self) -> None:
            # pybind11 wants the base's own constructor, not super().
            module.ILogger.__init__(self)

        def log(self, severity: Any, text: str) -> None:
            """Called from C++, also from other threads: nothing may be raised here."""
            take(str(severity.name), text)

    return Logger()
