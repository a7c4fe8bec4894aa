"""Our types of TensorRT's API against its real bindings."""

from __future__ import annotations

from types import SimpleNamespace
from typing import Any, Protocol

import pytest
from bindings import differences, full_differences, rtx_bindings

from wsgn.engines.tensorrt.bindings import Bindings, RuntimeBindings


class PlantedPool(Protocol):
    """One member that exists, one that does not."""

    WORKSPACE: Any
    PADDLING: Any


class PlantedConfig(Protocol):
    """Everything that a version of a library may change."""

    # It was removed.
    max_workspace_size: int
    # It is a function.
    reset: int

    # It was removed.
    def build_engine(self) -> None: ...

    # The parameter is called `flag`.
    def set_flag(self, which: Any) -> None: ...

    # It takes two.
    def set_memory_pool_limit(self, pool: Any) -> None: ...

    # The second one is not optional.
    def set_timing_cache(self, cache: Any, ignore_mismatch: bool = False) -> bool: ...

    # It is a property.
    def num_optimization_profiles(self) -> int: ...

    # As it is.
    def clear_flag(self, flag: Any) -> None: ...


class Planted(Protocol):
    """A module with a class that does not exist."""

    IBuilderConfig: type[PlantedConfig]
    MemoryPoolType: type[PlantedPool]
    INoSuchThing: type[PlantedPool]

    def no_such_function(self) -> None: ...


EXPECTED = [
    "IBuilderConfig.max_workspace_size is missing.",
    "IBuilderConfig.reset is a function.",
    "IBuilderConfig.build_engine is missing.",
    "IBuilderConfig.set_flag takes (flag), not (which).",
    "IBuilderConfig.set_memory_pool_limit takes (pool, pool_size), not (pool).",
    "IBuilderConfig.set_timing_cache takes (cache, ignore_mismatch), "
    "not (cache, ignore_mismatch=...).",
    "IBuilderConfig.num_optimization_profiles is no function.",
    "MemoryPoolType.PADDLING is no member.",
    "INoSuchThing is missing.",
    "no_such_function is missing.",
]


@pytest.mark.parametrize("part", [Bindings, RuntimeBindings])
def test_the_types_fit_tensorrt_rtx(part: type) -> None:
    assert differences(part, rtx_bindings()) == []


@pytest.mark.parametrize("part", [Bindings, RuntimeBindings])
def test_the_types_fit_full_tensorrt(part: type) -> None:
    assert full_differences(part) == []


def test_planted_differences_from_tensorrt_rtx_are_found() -> None:
    assert differences(Planted, rtx_bindings()) == EXPECTED


def test_planted_differences_from_full_tensorrt_are_found() -> None:
    assert full_differences(Planted) == EXPECTED


class Overloaded:
    """As pybind11 documents two functions of one name."""

    def find(self, *args: Any) -> None:
        """find(*args, **kwargs)
        Overloaded function.

        1. find(self: Overloaded, index: typing.SupportsInt) -> int

        2. find(self: Overloaded, name: dict[str, int], deep: bool = False) -> int
        """


class OneOverload(Protocol):
    def find(self, index: int) -> int: ...


class OtherOverload(Protocol):
    def find(self, name: dict[str, int]) -> int: ...


class NoOverload(Protocol):
    def find(self, key: int) -> int: ...


class Module(Protocol):
    First: type[OneOverload]
    Second: type[OtherOverload]
    Third: type[NoOverload]


def test_one_overload_must_fit() -> None:
    module = SimpleNamespace(First=Overloaded, Second=Overloaded, Third=Overloaded)
    assert differences(Module, module) == [
        "Third.find takes (index) or (name, deep=...), not (key)."
    ]
