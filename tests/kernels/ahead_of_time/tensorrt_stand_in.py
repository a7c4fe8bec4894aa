"""As much of TensorRT's native part as its own Python plugins ask for, without the library.

`tensorrt.plugin` is plain Python inside NVIDIA's wheel `tensorrt_cu13_bindings`. It runs here as it
is, over stand-ins of the native classes, so that what it checks and calls is the true thing.
"""

from __future__ import annotations

import enum
import importlib.util
import operator
import sys
import warnings
from dataclasses import dataclass, field
from types import ModuleType
from typing import Any

import pytest
from peers import peers_with

DataType = enum.Enum("DataType", "FLOAT HALF INT32 INT64 INT8 BOOL UINT8 BF16 FP8")
TensorFormat = enum.Enum("TensorFormat", "LINEAR HWC")
DimensionOperation = enum.Enum(
    "DimensionOperation", "SUM PROD MAX MIN SUB EQUAL LESS FLOOR_DIV CEIL_DIV"
)
Request = enum.Enum("Request", "UNKNOWN PREFER_JIT PREFER_AOT STRICT_JIT STRICT_AOT")
OPERATIONS = {DimensionOperation.PROD: operator.mul, DimensionOperation.SUM: operator.add}


class Dims(list):
    MAX_DIMS = 8


class DimsExprs(list):
    def __init__(self, length: int) -> None:
        super().__init__([None] * length)


@dataclass(frozen=True)
class DimensionExpr:
    """A size, which at a build may be unknown yet."""

    value: int
    constant: bool

    def is_constant(self) -> bool:
        return self.constant

    def get_constant_value(self) -> int:
        assert self.constant
        return self.value


class ExprBuilder:
    def constant(self, value: int) -> DimensionExpr:
        return DimensionExpr(value, True)

    def operation(self, kind: Any, a: DimensionExpr, b: DimensionExpr) -> DimensionExpr:
        return DimensionExpr(OPERATIONS[kind](a.value, b.value), a.constant and b.constant)


@dataclass
class PluginField:
    name: str
    data: Any = None
    type: Any = None


@dataclass
class PluginTensorDesc:
    dims: Any = None
    type: Any = None
    format: Any = None
    scale: float = 1.0


@dataclass
class DynamicPluginTensorDesc:
    desc: PluginTensorDesc


@dataclass
class Registry:
    creators: dict[tuple[str, str], Any] = field(default_factory=dict)

    def register_creator(self, creator: Any, namespace: str) -> None:
        self.creators[namespace, creator.name] = creator

    def get_creator(self, name: str, version: str, namespace: str) -> Any:
        return self.creators[namespace, name]


class Logger:
    WARNING = "warning"

    def log(self, severity: str, text: str) -> None:
        pass


def native_module() -> tuple[ModuleType, Registry]:
    """A module `tensorrt`; names that nothing is asked of become empty classes."""
    registry = Registry()

    class Module(ModuleType):
        def __getattr__(self, name: str) -> Any:
            if name.startswith("__"):
                raise AttributeError(name)
            setattr(self, name, type(name, (), {}))
            return getattr(self, name)

    module = Module("tensorrt")
    module.__path__ = []
    for name in ("PluginFieldType", "PluginArgType", "PluginArgDataType", "TensorRTPhase"):
        members = "CHAR UNKNOWN INT INT8 INT16 INT32 INT64 FLOAT16 FLOAT32 FLOAT64 BUILD RUNTIME"
        setattr(module, name, enum.Enum(name, members))
    known = {
        "DataType": DataType, "TensorFormat": TensorFormat, "Dims": Dims, "DimsExprs": DimsExprs,
        "DimensionOperation": DimensionOperation, "QuickPluginCreationRequest": Request,
        "IDimensionExpr": DimensionExpr, "IExprBuilder": ExprBuilder, "PluginField": PluginField,
        "PluginFieldCollection": list, "PluginTensorDesc": PluginTensorDesc, "Logger": Logger,
        "DynamicPluginTensorDesc": DynamicPluginTensorDesc, "float32": DataType.FLOAT,
        "get_plugin_registry": lambda: registry,
    }  # fmt: skip
    for name, value in known.items():
        setattr(module, name, value)
    return module, registry


def load_plugins(monkeypatch: pytest.MonkeyPatch) -> Registry:
    """NVIDIA's `tensorrt.plugin` over the stand-in, for one test."""
    folder = peers_with("tensorrt_bindings") / "tensorrt_bindings" / "plugin"
    module, registry = native_module()
    for name in [name for name in sys.modules if name.partition(".")[0] == "tensorrt"]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "tensorrt", module)
    spec = importlib.util.spec_from_file_location(
        "tensorrt.plugin", folder / "__init__.py", submodule_search_locations=[str(folder)]
    )
    assert spec is not None
    assert spec.loader is not None
    plugin = importlib.util.module_from_spec(spec)
    for path in ("", *(f".{path.stem}" for path in folder.glob("_*.py") if path.stem[1] != "_")):
        # Registered with monkeypatch, so that the test's end removes them.
        monkeypatch.setitem(sys.modules, "tensorrt.plugin" + path, plugin)
        if path:
            del sys.modules["tensorrt.plugin" + path]
    with warnings.catch_warnings():
        # Its docstrings hold backslashes.
        warnings.simplefilter("ignore")
        spec.loader.exec_module(plugin)
    return registry
