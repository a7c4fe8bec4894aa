"""The part of TensorRT's Python API that runs plans, as types: the wheels carry none.

As in `api`, which holds the part that builds plans, names and parameters are the bindings' own, and
tests hold them against the bindings of TensorRT and TensorRT-RTX.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Protocol


class Member(Protocol):
    """A member of one of the library's enumerations."""

    # "INPUT", "FLOAT".
    name: str


class ExecutionContext(Protocol):
    """One batch's shapes, addresses and scratch memory."""

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        """Every input's shape must be set again behind it."""
        ...

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool: ...

    def get_tensor_shape(self, name: str) -> Sequence[int]:
        """With -1 where it is not known."""
        ...

    def set_tensor_address(self, name: str, memory: int) -> bool: ...

    def execute_async_v3(self, stream_handle: int) -> bool: ...


class CudaEngine(Protocol):
    """A loaded plan."""

    name: str
    num_io_tensors: int
    num_optimization_profiles: int

    def get_tensor_name(self, index: int) -> str: ...

    def get_tensor_mode(self, name: str) -> Member:
        """One of `TensorModes`."""
        ...

    def get_tensor_dtype(self, name: str) -> Member:
        """One of `DataTypes`, and others that no host takes."""
        ...

    def get_tensor_shape(self, name: str) -> Sequence[int]:
        """With -1 where it is dynamic."""
        ...

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> Sequence[Sequence[int]]:
        """Minimum, optimum and maximum."""
        ...

    def create_execution_context(self) -> ExecutionContext | None:
        """None where it failed."""
        ...


class PlanRuntime(Protocol):
    """Loads plans. Its methods end the process where there is no driver."""

    # What version-compatible plans need: they bring code of their own.
    engine_host_code_allowed: bool

    def __init__(self, logger: Any) -> None: ...

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> CudaEngine | None:
        """None where it failed."""
        ...


class TensorModes(Protocol):
    """Which way a tensor goes."""

    INPUT: Any
    OUTPUT: Any


class DataTypes(Protocol):
    """Element types that a host can give or take as NumPy arrays."""

    FLOAT: Any
    HALF: Any
    INT8: Any
    UINT8: Any
    INT32: Any
    INT64: Any
    BOOL: Any


class RuntimeBindings(Protocol):
    """The module, `tensorrt` or `tensorrt_rtx`."""

    Runtime: type[PlanRuntime]
    ICudaEngine: type[CudaEngine]
    IExecutionContext: type[ExecutionContext]
    TensorIOMode: type[TensorModes]
    DataType: type[DataTypes]
