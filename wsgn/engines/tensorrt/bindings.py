"""The part of TensorRT's Python API that builds and runs plans, as types: the wheels carry none.

Names, parameters and members are the bindings' own, and tests hold them against the bindings of
TensorRT and TensorRT-RTX. `Bindings` and `RuntimeBindings` are the module for who builds and for
who runs; they say which Protocol describes which of its classes. Sources: the docstrings of
tensorrt_rtx_bindings 1.7 and tensorrt_bindings 11.4.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Protocol


class HostMemory(Protocol):
    """Bytes of the library; it lets the buffer be read in place."""

    nbytes: int

    def __buffer__(self, flags: int, /) -> memoryview: ...


class Network(Protocol):
    """A network definition, which the parser fills."""

    name: str


class ParserComplaint(Protocol):
    """What the parser says about one node."""

    def desc(self) -> str: ...

    def node_name(self) -> str: ...

    def node_operator(self) -> str: ...

    def func(self) -> str: ...


class Parser(Protocol):
    """Reads a serialised ONNX document into a network."""

    num_errors: int

    def __init__(self, network: Network, logger: Any) -> None: ...

    def parse(self, model: bytes) -> bool: ...

    def get_error(self, index: int) -> ParserComplaint: ...


class OptimizationProfile(Protocol):
    """Ranges of shapes; `set_shape` accepts anything, also names that no input has."""

    def set_shape(
        self, input: str, min: Sequence[int], opt: Sequence[int], max: Sequence[int]
    ) -> None: ...


class TimingCache(Protocol):
    """How long the kernels took that were tried on this device."""

    def serialize(self) -> HostMemory: ...


class BuilderFlags(Protocol):
    """The flags that are used; all others stay at their defaults."""

    TF32: Any
    VERSION_COMPATIBLE: Any


class NetworkFlags(Protocol):
    """Looked up by name: `STRONGLY_TYPED` goes away where typing is always strong."""

    __members__: Mapping[str, Any]


class MemoryPools(Protocol):
    """Memory that can be limited."""

    WORKSPACE: Any


class HardwareLevels(Protocol):
    """Which other GPUs a plan runs on."""

    AMPERE_PLUS: Any


class ProgressMonitor(Protocol):
    """A base for what is told of the steps of a build, also from other threads."""

    def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None: ...

    def step_complete(self, phase_name: str, step: int) -> bool:
        """False ends the build."""
        ...

    def phase_finish(self, phase_name: str) -> None: ...


class BuilderConfig(Protocol):
    """How a plan is built."""

    hardware_compatibility_level: Any
    # It must live as long as the builder.
    progress_monitor: Any

    def set_flag(self, flag: Any) -> None: ...

    def clear_flag(self, flag: Any) -> None: ...

    def set_memory_pool_limit(self, pool: Any, pool_size: int) -> None: ...

    def add_optimization_profile(self, profile: OptimizationProfile) -> int: ...

    def create_timing_cache(self, serialized_timing_cache: bytes) -> TimingCache | None: ...

    def set_timing_cache(self, cache: TimingCache, ignore_mismatch: bool) -> bool: ...

    def get_timing_cache(self) -> TimingCache | None: ...


class PlanBuilder(Protocol):
    """Makes networks, profiles and plans; needs a driver in full TensorRT."""

    def __init__(self, logger: Any) -> None: ...

    def create_network(self, flags: int = 0) -> Network | None: ...

    def create_builder_config(self) -> BuilderConfig: ...

    def create_optimization_profile(self) -> OptimizationProfile: ...

    def build_serialized_network(
        self, network: Network, config: BuilderConfig
    ) -> HostMemory | None: ...


class Bindings(Protocol):
    """The module, `tensorrt` or `tensorrt_rtx`, as it builds plans."""

    __version__: str

    Builder: type[PlanBuilder]
    OnnxParser: type[Parser]
    ParserError: type[ParserComplaint]
    INetworkDefinition: type[Network]
    IHostMemory: type[HostMemory]
    IBuilderConfig: type[BuilderConfig]
    IProgressMonitor: type[ProgressMonitor]
    IOptimizationProfile: type[OptimizationProfile]
    ITimingCache: type[TimingCache]
    BuilderFlag: type[BuilderFlags]
    MemoryPoolType: type[MemoryPools]
    HardwareCompatibilityLevel: type[HardwareLevels]
    NetworkDefinitionCreationFlag: type[NetworkFlags]


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
    """The module, `tensorrt` or `tensorrt_rtx`, as it runs plans."""

    Runtime: type[PlanRuntime]
    ICudaEngine: type[CudaEngine]
    IExecutionContext: type[ExecutionContext]
    TensorIOMode: type[TensorModes]
    DataType: type[DataTypes]
