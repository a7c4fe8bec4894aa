"""An engine in the Python backend of NVIDIA Triton Inference Server, by ONNX Runtime.

`export/to_triton_server.py` copies this file, as it stands, to `model.py` beside `model.onnx`. A
server's container holds no wsgn: nothing is imported here but Python's own library, NumPy, ONNX
Runtime and what the server itself brings.
"""

from __future__ import annotations

import ctypes
import importlib
import json
import os
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

AnyArray = npt.NDArray[Any]
# Outputs by name, or what is wrong with the request.
Answer = dict[str, AnyArray] | ValueError

_TYPES: dict[str, npt.DTypeLike] = {"tensor(float)": np.float32, "tensor(uint8)": np.uint8}
# TRITONSERVER_REQUEST_FLAG_SEQUENCE_START and _END of the server's C interface.
_FLAG_START, _FLAG_END = 1, 2
# The server ends a sequence that has been idle for too long without a word to the model, and
# refuses what comes later. It looks at the clock earlier than the model does, which therefore keeps
# a state for longer.
_KEPT_IDLE_TIMES = 2


@dataclass(frozen=True, kw_only=True)
class Call:
    """One request."""

    # By the name of the input.
    arrays: Mapping[str, AnyArray]
    # Of its sequence; the server gives 0 outside sequences.
    correlation_id: int | str = 0
    starts: bool = False
    ends: bool = False


class Graph:
    """The ONNX file: a pure function of arrays."""

    def __init__(self, path: Path, *, gpu: int | None = None) -> None:
        """On the CPU, or on the GPU of this number, without falling back to the CPU."""
        # It reads this while it is imported, and else sends what is run here to its makers.
        os.environ["ORT_DISABLE_TELEMETRY"] = "1"
        import onnxruntime

        options = onnxruntime.SessionOptions()
        # Spinning threads would take the cores of other models.
        options.add_session_config_entry("session.intra_op.allow_spinning", "0")
        providers: list[Any] = ["CPUExecutionProvider"]
        if gpu is not None:
            available = onnxruntime.get_available_providers()
            if "CUDAExecutionProvider" not in available:
                raise RuntimeError(
                    f"the ONNX Runtime of this server's Python has {', '.join(available)}: install "
                    "onnxruntime-gpu there, or write the model with --cpu."
                )
            providers = [("CUDAExecutionProvider", {"device_id": str(gpu)})]
            options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
        self._session = onnxruntime.InferenceSession(str(path), options, providers=providers)
        self.inputs = {value.name: value for value in self._session.get_inputs()}
        self.outputs = [value.name for value in self._session.get_outputs()]

    def check(self, arrays: Mapping[str, AnyArray]) -> None:
        """Raise a `ValueError` unless the arrays have the type and shape that the graph wants."""
        for name, array in arrays.items():
            wanted = self.inputs[name]
            sizes = [size if isinstance(size, int) else -1 for size in wanted.shape]
            fits = len(sizes) == array.ndim and all(
                given >= 1 if size == -1 else given == size
                for size, given in zip(sizes, array.shape, strict=True)
            )
            if not fits or array.dtype != _TYPES[wanted.type]:
                raise ValueError(
                    f"'{name}' has shape {list(array.shape)} of {array.dtype}, it must be {sizes} "
                    f"of {np.dtype(_TYPES[wanted.type])}, with at least 1 for -1."
                )

    def run(self, arrays: Mapping[str, AnyArray]) -> dict[str, AnyArray]:
        """All outputs, by name."""
        return dict(zip(self.outputs, self._session.run(None, dict(arrays)), strict=True))


class JoinedCalls:
    """A graph whose rows do not influence each other: requests share runs."""

    def __init__(self, graph: Graph) -> None:
        self._graph = graph

    def answer(self, calls: Sequence[Call]) -> list[Answer]:
        """One answer for each call, in their order."""
        answers: list[Answer] = [ValueError("not run")] * len(calls)
        # By the shape of a row: videos may differ in length.
        groups: dict[tuple[int, ...], list[int]] = {}
        for index, call in enumerate(calls):
            try:
                self._graph.check(call.arrays)
            except ValueError as error:
                answers[index] = error
                continue
            groups.setdefault(_first(call).shape[1:], []).append(index)
        for indices in groups.values():
            outputs = self._graph.run(_joined([calls[index] for index in indices]))
            start = 0
            for index in indices:
                stop = start + len(_first(calls[index]))
                answers[index] = {name: array[start:stop] for name, array in outputs.items()}
                start = stop
        return answers


class Sequences:
    """A graph with a state that goes in and out: one state for each sequence, kept here.

    The server sends at most one request of a sequence at a time.
    """

    def __init__(
        self,
        graph: Graph,
        *,
        idle_seconds: float,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._graph = graph
        self._kept_seconds = _KEPT_IDLE_TIMES * idle_seconds
        self._clock = clock
        self._empty = np.zeros((1, *graph.inputs["state"].shape[1:]), np.float32)  # (1, R, C)
        # Last use, the longest ago first, and state.
        self._states: dict[int | str, tuple[float, AnyArray]] = {}

    def __len__(self) -> int:
        """Number of sequences that have a state."""
        return len(self._states)

    def answer(self, calls: Sequence[Call]) -> list[Answer]:
        """One answer for each call, in their order."""
        self._drop_idle()
        answers: list[Answer] = [ValueError("not run")] * len(calls)
        # Only sequences that send the same number of snippets can share a run.
        groups: dict[tuple[int, ...], list[int]] = {}
        states: dict[int, AnyArray] = {}
        for index, call in enumerate(calls):
            try:
                states[index] = self._state_before(call)
                self._graph.check(call.arrays)
            except ValueError as error:
                answers[index] = error
                continue
            groups.setdefault(_first(call).shape, []).append(index)
        for indices in groups.values():
            arrays = _joined([calls[index] for index in indices])
            arrays["state"] = np.concatenate([states[index] for index in indices])  # (B, R, C)
            outputs = self._graph.run(arrays)
            after = outputs.pop("next_state")
            for row, index in enumerate(indices):
                # A copy, because a view would keep the states of the whole batch.
                self._keep(calls[index].correlation_id, after[row : row + 1].copy())
                answers[index] = {name: out[row : row + 1] for name, out in outputs.items()}
        for call in calls:
            if call.ends:
                self._states.pop(call.correlation_id, None)
        return answers

    def _state_before(self, call: Call) -> AnyArray:
        if call.starts:
            self._states.pop(call.correlation_id, None)
            return self._empty
        if call.correlation_id not in self._states:
            raise ValueError(
                f"sequence {call.correlation_id} has no state, because its first request failed or "
                "it was idle for too long: begin it again with sequence_start."
            )
        return self._states[call.correlation_id][1]

    def _keep(self, correlation_id: int | str, state: AnyArray) -> None:
        # Away and in again, so that the mapping stays in the order of last use.
        self._states.pop(correlation_id, None)
        self._states[correlation_id] = (self._clock(), state)

    def _drop_idle(self) -> None:
        oldest = self._clock() - self._kept_seconds
        idle = []
        for correlation_id, (last_use, _) in self._states.items():
            if last_use >= oldest:
                break
            idle.append(correlation_id)
        for correlation_id in idle:
            del self._states[correlation_id]


def _first(call: Call) -> AnyArray:
    """Frames or features."""
    return next(iter(call.arrays.values()))


def _joined(calls: Sequence[Call]) -> dict[str, AnyArray]:
    """The arrays of several calls behind each other."""
    return {name: np.concatenate([call.arrays[name] for call in calls]) for name in calls[0].arrays}


class _Handed:
    """An array on its way into the server through DLPack."""

    def __init__(self, array: AnyArray) -> None:
        self._array = array

    def __dlpack_device__(self) -> tuple[int, int]:
        return self._array.__dlpack_device__()

    def __dlpack__(self, stream: object = None) -> Any:
        # The server names a stream also where there is no GPU.
        capsule = self._array.__dlpack__()
        # The server owns the tensor from now on and renames the capsule in a way that NumPy's
        # destructor does not know: it would complain into the log, for each output.
        ctypes.pythonapi.PyCapsule_SetDestructor(ctypes.py_object(capsule), None)
        return capsule


class Tensors:
    """Arrays to and from the server's own tensors.

    A server whose Python backend was built for NumPy 1 (2.51 is one) gives and takes arrays of
    NumPy 2 with wrong contents and without a word: there they go through DLPack.
    """

    def __init__(self, server: Any) -> None:
        """`server` is the module triton_python_backend_utils."""
        self._make = server.Tensor
        probe = np.arange(2, dtype=np.float32)
        read = self._make.from_dlpack("probe", _Handed(probe)).as_numpy()
        self.through_dlpack = not np.array_equal(read, probe)

    def read(self, tensor: Any) -> AnyArray:
        """The array that a tensor holds."""
        array: AnyArray = np.from_dlpack(tensor) if self.through_dlpack else tensor.as_numpy()
        return array

    def made(self, name: str, array: AnyArray) -> Any:
        """A tensor that holds an array."""
        if self.through_dlpack:
            return self._make.from_dlpack(name, _Handed(array))
        return self._make(name, array)


class TritonPythonModel:
    """What the server calls; the name is its own."""

    def initialize(self, args: Mapping[str, str]) -> None:
        """Load the graph beside this file, as the model's config says."""
        # Only there inside the server.
        self._server: Any = importlib.import_module("triton_python_backend_utils")
        self._tensors = Tensors(self._server)
        config = json.loads(args["model_config"])
        on_gpu = args["model_instance_kind"] == "GPU"
        self._graph = Graph(
            Path(__file__).with_name("model.onnx"),
            gpu=int(args["model_instance_device_id"]) if on_gpu else None,
        )
        self._inputs = [value["name"] for value in config["input"]]
        self._model: JoinedCalls | Sequences = JoinedCalls(self._graph)
        if "sequence_batching" in config:
            idle = int(config["sequence_batching"]["max_sequence_idle_microseconds"])
            self._model = Sequences(self._graph, idle_seconds=idle / 1e6)

    def execute(self, requests: Sequence[Any]) -> list[Any]:
        """One response for each request."""
        return [self._response(a) for a in self._model.answer([self._call(r) for r in requests])]

    def _call(self, request: Any) -> Call:
        find = self._server.get_input_tensor_by_name
        flags = request.flags()
        return Call(
            arrays={name: self._tensors.read(find(request, name)) for name in self._inputs},
            correlation_id=request.correlation_id(),
            starts=bool(flags & _FLAG_START),
            ends=bool(flags & _FLAG_END),
        )

    def _response(self, answer: Answer) -> Any:
        if isinstance(answer, ValueError):
            # Without the code, which old servers lack, it would be the server's fault: 500.
            code = getattr(self._server.TritonError, "INVALID_ARG", None)
            parts = (str(answer),) if code is None else (str(answer), code)
            error = self._server.TritonError(*parts)
            return self._server.InferenceResponse(output_tensors=[], error=error)
        return self._server.InferenceResponse(
            [self._tensors.made(name, array) for name, array in answer.items()]
        )
