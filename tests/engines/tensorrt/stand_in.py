"""A small TensorRT and a GPU in host memory, for what no machine without a GPU can run.

The library computes with ONNX Runtime; its names and signatures are held against the same Protocols
as the real ones. The GPU is in stand_in_device.
"""

from __future__ import annotations

import enum
import json
import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import onnxruntime
import pytest
from stand_in_device import HostDevice, HostMemory

from wsgn.engines.cuda.driver import Driver, Gpu
from wsgn.engines.tensorrt import session
from wsgn.engines.tensorrt.library import Library, LogLine

MAGIC = b"stand-in plan\n"
_KINDS = {"tensor(float)": "FLOAT", "tensor(uint8)": "UINT8", "tensor(double)": "FP8"}
_TYPES = {"FLOAT": np.float32, "UINT8": np.uint8}


class TensorIOMode(enum.Enum):
    """As in the bindings."""

    NONE = 0
    INPUT = 1
    OUTPUT = 2


class DataType(enum.Enum):
    """As in the bindings, where FP8 has no counterpart in NumPy."""

    FLOAT = 0
    HALF = 1
    INT8 = 2
    INT32 = 3
    BOOL = 4
    UINT8 = 5
    FP8 = 6
    INT64 = 8


def plan_bytes(name: str, onnx_bytes: bytes, profiles: list[dict[str, Any]]) -> bytes:
    """A plan of the stand-in: a line of JSON, and the graph."""
    header = json.dumps({"name": name, "profiles": profiles}).encode()
    return MAGIC + header + b"\n" + onnx_bytes


class Machine(HostMemory):
    """A GPU with its library. `refuse` names functions that fail."""

    def __init__(self, *, name: str = "tensorrt", version: str = "11.4.0.106") -> None:
        super().__init__()
        self.refuse: set[str] = set()
        self.num_executed = 0
        self.profiles_used: list[int] = []
        self.listeners: list[Any] = []
        machine = self

        class Bound(Runtime):
            def __init__(self, logger: Any) -> None:
                super().__init__(logger, machine)

        self.module = SimpleNamespace(
            Runtime=Bound,
            ICudaEngine=ICudaEngine,
            IExecutionContext=IExecutionContext,
            TensorIOMode=TensorIOMode,
            DataType=DataType,
        )
        self.library = Library(
            name=name,
            version=version,
            module=self.module,
            logger=object(),
            _listeners=self.listeners,
        )

    def says(self, text: str) -> None:
        """A line of the library's log."""
        for listener in self.listeners:
            listener.lines.append(LogLine(severity="ERROR", text=text))

    def refuses(self, function: str) -> bool:
        """Whether a function fails, which the library then says in its log."""
        if function in self.refuse:
            self.says(f"{function} was told to fail")
        return function in self.refuse


class Runtime:
    """Loads plans."""

    engine_host_code_allowed = False

    def __init__(self, logger: Any, machine: Machine) -> None:
        self._machine = machine
        if machine.refuses("Runtime"):
            raise TypeError("pybind11::init(): factory function returned nullptr")

    def __del__(self) -> None:
        self._machine.diary.append("runtime")

    def deserialize_cuda_engine(self, serialized_engine: bytes) -> ICudaEngine | None:
        assert self._machine.streams is not None
        if self._machine.refuses("deserialize_cuda_engine"):
            return None
        if not serialized_engine.startswith(MAGIC):
            self._machine.says("the plan has another magic number")
            return None
        header, _, graph = serialized_engine[len(MAGIC) :].partition(b"\n")
        return ICudaEngine(self._machine, self, json.loads(header), graph)


class ICudaEngine:
    """A loaded plan."""

    def __init__(self, machine: Machine, runtime: Runtime, header: Any, graph: bytes) -> None:
        self._machine = machine
        self._header = header
        options = onnxruntime.SessionOptions()
        options.intra_op_num_threads = 1
        self.session = onnxruntime.InferenceSession(graph, options)
        self._inputs = {node.name: node for node in self.session.get_inputs()}
        self._all = self._inputs | {node.name: node for node in self.session.get_outputs()}

    def __del__(self) -> None:
        self._machine.diary.append("engine")

    @property
    def name(self) -> str:
        return self._header["name"]

    @property
    def num_io_tensors(self) -> int:
        return len(self._all)

    @property
    def num_optimization_profiles(self) -> int:
        return len(self._header["profiles"])

    def get_tensor_name(self, index: int) -> str:
        return list(self._all)[index]

    def get_tensor_mode(self, name: str) -> TensorIOMode:
        return TensorIOMode.INPUT if name in self._inputs else TensorIOMode.OUTPUT

    def get_tensor_dtype(self, name: str) -> DataType:
        return DataType[_KINDS[self._all[name].type]]

    def get_tensor_shape(self, name: str) -> list[int]:
        return [size if isinstance(size, int) else -1 for size in self._all[name].shape]

    def get_tensor_profile_shape(self, name: str, profile_index: int) -> list[list[int]]:
        return self._header["profiles"][profile_index][name]

    def create_execution_context(self) -> IExecutionContext | None:
        if self._machine.refuses("create_execution_context"):
            return None
        return IExecutionContext(self._machine, self)


class IExecutionContext:
    """Shapes and addresses of one batch."""

    def __init__(self, machine: Machine, engine: ICudaEngine) -> None:
        self._machine = machine
        self._engine = engine
        self._profile: int | None = None
        self._shapes: dict[str, tuple[int, ...]] = {}
        self._addresses: dict[str, int] = {}
        # What was queued before a change must have been done before it.
        self._num_changes = 0

    def __del__(self) -> None:
        self._machine.diary.append("context")

    def set_optimization_profile_async(self, profile_index: int, stream_handle: int) -> bool:
        if self._machine.refuses("set_optimization_profile_async"):
            return False
        assert stream_handle in self._machine.streams
        self._num_changes += 1
        self._profile = profile_index
        self._shapes.clear()
        return 0 <= profile_index < self._engine.num_optimization_profiles

    def set_input_shape(self, name: str, shape: tuple[int, ...]) -> bool:
        if self._machine.refuses("set_input_shape") or self._profile is None:
            return False
        low, _, high = self._engine.get_tensor_profile_shape(name, self._profile)
        sizes = list(zip(low, shape, high, strict=True))
        self._num_changes += 1
        self._shapes[name] = shape
        return all(least <= size <= most for least, size, most in sizes)

    def get_tensor_shape(self, name: str) -> list[int]:
        """Every dynamic size of the stand-in's graphs is N."""
        if name in self._shapes:
            return list(self._shapes[name])
        size = next(iter(self._shapes.values()))[0] if self._shapes else -1
        return [size if fixed < 0 else fixed for fixed in self._engine.get_tensor_shape(name)]

    def set_tensor_address(self, name: str, memory: int) -> bool:
        self._addresses[name] = memory
        return memory in self._machine.memory and not self._machine.refuses("set_tensor_address")

    def execute_async_v3(self, stream_handle: int) -> bool:
        if self._machine.refuses("execute_async_v3"):
            return False
        stream = self._machine.streams[stream_handle]
        assert self._profile is not None
        self._machine.profiles_used.append(self._profile)
        at, shapes, addresses = self._num_changes, dict(self._shapes), dict(self._addresses)
        stream.queue.append(lambda: self._compute(at, shapes, addresses))
        return True

    def _compute(self, at: int, shapes: dict[str, Any], addresses: dict[str, int]) -> None:
        assert at == self._num_changes, "the context was changed before its work was done"
        self._machine.num_executed += 1
        feed = {}
        for name, shape in shapes.items():
            dtype = np.dtype(_TYPES[self._engine.get_tensor_dtype(name).name])
            content = self._machine.memory[addresses[name]]
            feed[name] = content[: math.prod(shape) * dtype.itemsize].view(dtype).reshape(shape)
        names = [node.name for node in self._engine.session.get_outputs()]
        for name, output in zip(names, self._engine.session.run(names, feed), strict=True):
            flat = np.ascontiguousarray(output).reshape(-1).view(np.uint8)
            self._machine.memory[addresses[name]][: flat.size] = flat


def install(machine: Machine, monkeypatch: pytest.MonkeyPatch) -> None:
    """Let sessions find this machine instead of the one that the tests run on."""
    gpu = Gpu(ordinal=0, name="Stand-in", compute_capability=(9, 0), num_bytes=2**30)
    driver = Driver(version=(13, 0), gpus=(gpu,))
    monkeypatch.setattr(session, "probe_driver", lambda: driver)
    monkeypatch.setattr(session, "load_library", lambda name: machine.library)

    def open_device(ordinal: int, *, binding: str | None = None) -> HostDevice:
        return HostDevice(machine, ordinal)

    monkeypatch.setattr(session, "open_device", open_device)
