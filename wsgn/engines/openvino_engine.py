"""The engine for ONNX files, by OpenVINO: processors, GPUs and NPUs of Intel, without fallback."""

from __future__ import annotations

import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, NoReturn, Self

import numpy as np

from wsgn.engines.devices import DeviceName
from wsgn.engines.engine import (
    EngineDescription,
    EngineInputs,
    EngineOutputs,
    ReadyOutputs,
    named_inputs,
    require_one_file,
    require_snippets,
)
from wsgn.engines.graph_check import LoadedTensor, check_graph, check_outputs
from wsgn.engines.process import OpeningProcess
from wsgn.engines.tensors import graph_tensors
from wsgn.errors import EngineError
from wsgn.manifest import Manifest
from wsgn.support.packages import default_num_threads, load_package, shortage_of

# What OpenVINO tells its makers by, as soon as it is imported.
_TELEMETRY = "openvino_telemetry"
# NumPy's names of element types, by OpenVINO's.
_DTYPES = {"f32": "float32", "u8": "uint8"}


class OpenVinoEngine:
    """An ONNX file compiled by OpenVINO."""

    def __init__(
        self,
        description: EngineDescription,
        *,
        device: DeviceName,
        num_threads: int | None = None,
    ) -> None:
        """`device.part` is OpenVINO's name of it in small letters; all of the graph runs there."""
        path = description.path
        require_one_file(description)
        require_snippets(description)
        self.manifest: Manifest = description.manifest
        self.name = path.name
        self.sha256 = description.sha256
        self.device = str(device)
        self._model: Any = _compiled(path, device, num_threads)
        self._process = OpeningProcess(self.name, self._model)
        tensors = graph_tensors(self.manifest)
        check_graph(tensors, _loaded(self._model.inputs), _loaded(self._model.outputs), path)
        self._input_names = tuple(one.name for one in tensors.inputs)
        self._inputs = {
            one.name: LoadedTensor(dtype=one.dtype.name, shape=one.sizes) for one in tensors.inputs
        }
        self._output_names = tensors.output_names
        # A request holds the arrays of one call: each thread has its own.
        self._requests = threading.local()

    def infer(self, inputs: EngineInputs) -> EngineOutputs:
        """Logits of frames (N, L, H, W, 3) uint8, or of features (N, D) float32; with flow both."""
        if self._model is None:
            raise EngineError(f"the engine '{self.name}' has been closed.")
        self._process.require()
        given = named_inputs(self.name, self._input_names, inputs)
        first = given[self._input_names[0]]
        for name, values in given.items():
            # It would turn numbers into others in silence, and take other shapes.
            wanted = self._inputs[name]
            if not wanted.fits(LoadedTensor(dtype=values.dtype.name, shape=values.shape)):
                raise EngineError(
                    f"the engine '{self.name}' takes {name} {wanted}, got {values.dtype} "
                    f"{values.shape}."
                )
        try:
            if not hasattr(self._requests, "own"):
                self._requests.own = self._model.create_infer_request()
            found = self._requests.own.infer(given, share_outputs=False)
            logits, probabilities = (np.array(found[name]) for name in self._output_names)
        except Exception as error:
            shortage = shortage_of(error)
            raise EngineError(
                f"the engine '{self.name}' failed on an input of shape {first.shape}: "
                f"{shortage + '.' if shortage else _last_line(error)}"
            ) from error
        check_outputs(self.name, (len(first), len(self.manifest.classes)), logits, probabilities)
        return EngineOutputs(selection_logits=logits, class_probabilities=probabilities)

    def submit(self, inputs: EngineInputs) -> ReadyOutputs:
        """As `infer`: it returns when OpenVINO has computed."""
        return ReadyOutputs(outputs=self.infer(inputs))

    def close(self) -> None:
        """Release the graph; in a forked child nothing, see `OpeningProcess`."""
        self._model = None
        self._requests = threading.local()
        self._process.release()

    def __reduce__(self) -> NoReturn:
        self._process.refuse_to_travel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def load_openvino() -> Any:
    """The package, kept from telling its makers that it was loaded. Raises `EngineError`."""
    with _without(_TELEMETRY):
        return load_package("openvino")


@contextmanager
def _without(module: str) -> Iterator[None]:
    """Let a module look as if it were not installed."""
    before = sys.modules.get(module)
    sys.modules[module] = None  # type: ignore[assignment]
    try:
        yield
    finally:
        del sys.modules[module]
        if before is not None:
            sys.modules[module] = before


def _compiled(path: Path, device: DeviceName, num_threads: int | None) -> Any:
    openvino = load_openvino()
    core, name = openvino.Core(), device.part.upper()
    # Of two GPUs each has a number, and GPU means the first.
    known = {part for one in core.available_devices for part in (one, one.partition(".")[0])}
    if name not in known:
        raise EngineError(
            f"--device {device} wants OpenVINO's device {name}, OpenVINO {openvino.__version__} "
            f"has {', '.join(core.available_devices) or 'none'} here: install its driver, or "
            "use --device openvino."
        )
    # Half precision would move scores by a thousandth.
    options = {"INFERENCE_PRECISION_HINT": "f32", "EXECUTION_MODE_HINT": "ACCURACY"}
    if name == "CPU":
        threads = default_num_threads() if num_threads is None else num_threads
        options |= {"INFERENCE_NUM_THREADS": str(threads), "NUM_STREAMS": "1"}
    try:
        return core.compile_model(core.read_model(path), name, options)
    except Exception as error:
        shortage = shortage_of(error)
        advice = f"{_last_line(error)}: install a later openvino, or use --device cpu"
        raise EngineError(
            f"OpenVINO {openvino.__version__} cannot load the engine '{path}' on {device}: "
            f"{shortage or advice}."
        ) from error


def _loaded(nodes: list[Any]) -> dict[str, LoadedTensor]:
    found = {}
    for node in nodes:
        dtype = node.get_element_type().get_type_name()
        shape = tuple(
            size.get_length() if size.is_static else None for size in node.get_partial_shape()
        )
        found[node.get_any_name()] = LoadedTensor(dtype=_DTYPES.get(dtype, dtype), shape=shape)
    return found


def _last_line(error: BaseException) -> str:
    """Its first lines say where in its own source it was."""
    lines = [line.strip() for line in str(error).strip().splitlines() if line.strip()]
    return lines[-1].rstrip(".") if lines else type(error).__name__
