"""Hand-written Protocols of TensorRT held against real bindings, which carry no types.

pybind11 writes the signature of every function into the first line of its docstring. A Protocol of
the module names, attribute by attribute, the Protocols of its classes as in
`Builder: type[PlanBuilder]`.
"""

from __future__ import annotations

import inspect
import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import dataclass
from types import FunctionType
from typing import Any, get_args, get_origin, get_type_hints

import pytest
from empty_libraries import full_bindings

RTX = "tensorrt_rtx_bindings"
FULL = "tensorrt_bindings"


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A parameter of a function, without self."""

    name: str
    optional: bool

    def __str__(self) -> str:
        return f"{self.name}=..." if self.optional else self.name


def differences(protocol: type, module: Any) -> list[str]:
    """What the Protocol of a module claims and the module does not hold, one sentence each."""
    found: list[str] = []
    for name, hint in get_type_hints(protocol).items():
        if not hasattr(module, name):
            found.append(f"{name} is missing.")
        elif get_origin(hint) is type:
            found += _class_differences(get_args(hint)[0], getattr(module, name), name)
    for name in _functions(protocol):
        if not hasattr(module, name):
            found.append(f"{name} is missing.")
        else:
            found += _function_differences(vars(protocol)[name], getattr(module, name), name)
    return found


def _class_differences(protocol: type, real: type, path: str) -> list[str]:
    found: list[str] = []
    members = getattr(real, "__members__", None)
    for name in _attributes(protocol):
        if members is not None and not name.startswith("__"):
            if name not in members:
                found.append(f"{path}.{name} is no member.")
        elif not hasattr(real, name):
            found.append(f"{path}.{name} is missing.")
        elif members is None and callable(getattr(real, name)):
            found.append(f"{path}.{name} is a function.")
    for name in _functions(protocol):
        if not hasattr(real, name):
            found.append(f"{path}.{name} is missing.")
        elif isinstance(getattr(real, name), property):
            found.append(f"{path}.{name} is no function.")
        else:
            own = vars(protocol)[name]
            found += _function_differences(own, getattr(real, name), f"{path}.{name}")
    return found


def _attributes(protocol: type) -> Iterator[str]:
    """Annotated names, and properties."""
    yield from vars(protocol).get("__annotations__", {})
    yield from (name for name, value in vars(protocol).items() if isinstance(value, property))


def _functions(protocol: type) -> Iterator[str]:
    for name, value in vars(protocol).items():
        own_init = name == "__init__" and getattr(value, "__module__", "") == protocol.__module__
        if isinstance(value, FunctionType) and (not name.startswith("_") or own_init):
            yield name


def _function_differences(own: FunctionType, real: Any, path: str) -> list[str]:
    signatures = _signatures(real)
    if not signatures:
        # What is written in Python has no such docstring, but a signature.
        try:
            signatures = [_parameters_of(real)]
        except (TypeError, ValueError):
            return [] if callable(real) else [f"{path} is no function."]
    wanted = _parameters_of(own)
    if any(_serves(signature, wanted) for signature in signatures):
        return []
    words = " or ".join(f"({', '.join(map(str, one))})" for one in signatures)
    return [f"{path} takes {words}, not ({', '.join(map(str, wanted))})."]


def _parameters_of(function: Any) -> list[Parameter]:
    return [
        Parameter(name=name, optional=parameter.default is not inspect.Parameter.empty)
        for name, parameter in inspect.signature(function).parameters.items()
        if name != "self"
    ]


def _serves(real: list[Parameter], wanted: list[Parameter]) -> bool:
    """Whether every call that the Protocol allows is one that the bindings take."""
    names = [parameter.name for parameter in real[: len(wanted)]]
    together = zip(real, wanted, strict=False)
    return (
        names == [parameter.name for parameter in wanted]
        and all(have.optional or not want.optional for have, want in together)
        and all(parameter.optional for parameter in real[len(wanted) :])
    )


def _signatures(real: Any) -> list[list[Parameter]]:
    """Of every overload; empty where the docstring tells none."""
    lines = [line.strip() for line in (getattr(real, "__doc__", None) or "").strip().splitlines()]
    pattern = re.compile(r"(?:\d+\. )?\w+\((.*)\) -> ")
    overloaded = lines[1:2] == ["Overloaded function."]
    lines = [line for line in lines if re.match(r"\d+\. ", line)] if overloaded else lines[:1]
    matches = [pattern.match(line) for line in lines]
    return [_parameters_in(match.group(1)) for match in matches if match is not None]


def _parameters_in(text: str) -> list[Parameter]:
    """`self: A, flags: typing.SupportsInt = 0` -> flags."""
    parts, depth, start = [], 0, 0
    for place, character in enumerate(text + ","):
        depth += (character in "([{<") - (character in ")]}>")
        if character == "," and depth == 0:
            parts.append(text[start:place].strip())
            start = place + 1
    named = [part for part in parts if part and part.partition(":")[0] != "self"]
    return [
        Parameter(name=part.partition(":")[0].strip(), optional=" = " in part) for part in named
    ]


def rtx_bindings() -> Any:
    """The bindings of TensorRT-RTX, or a skip."""
    return pytest.importorskip(RTX, reason=f"{RTX} is not installed: pip install tensorrt_rtx")


def full_differences(protocol: type) -> list[str]:
    """`differences` from full TensorRT's bindings, whose libraries are not needed; or a skip.

    They are loaded before empty libraries, in a process of their own: what they would do is not
    asked, only what they are called.
    """
    folder, libraries = full_bindings(FULL)
    program = (
        "import importlib, json, sys; import bindings; "
        f"protocol = getattr(importlib.import_module({protocol.__module__!r}), "
        f"{protocol.__qualname__!r}); "
        f"module = importlib.import_module({FULL!r}); "
        "print(json.dumps(bindings.differences(protocol, module)))"
    )
    # Last: ours come first, whatever else lies there.
    places = [*sys.path, str(folder)]
    environment = os.environ | {
        "LD_LIBRARY_PATH": str(libraries),
        "PYTHONPATH": os.pathsep.join(place for place in places if place),
    }
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    found: list[str] = json.loads(done.stdout)
    return found
