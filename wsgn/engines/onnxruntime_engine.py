"""The engine for ONNX files, by ONNX Runtime: one execution provider, and no silent fallback."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, NoReturn, Self

from wsgn.engines.cuda.driver import probe_driver
from wsgn.engines.devices import CPU, CUDA, DeviceName
from wsgn.engines.engine import (
    EngineDescription,
    EngineInputs,
    EngineOutputs,
    ReadyOutputs,
    named_inputs,
    require_one_file,
    require_snippets,
)
from wsgn.engines.graph_check import LoadedTensor, check_graph, check_outputs, loaded_shape
from wsgn.engines.process import OpeningProcess
from wsgn.engines.tensors import graph_tensors
from wsgn.errors import EngineError
from wsgn.manifest import Manifest
from wsgn.support.packages import default_num_threads, load_package, shortage_of

# NumPy's names of element types, by ONNX Runtime's.
_DTYPES = {"tensor(float)": "float32", "tensor(uint8)": "uint8"}
_CPU = "CPUExecutionProvider"
# ONNX Runtime's own lines below this (fatal) would only repeat what our errors say.
_LOG_NOTHING = 4


@dataclass(frozen=True, kw_only=True)
class _Provider:
    """What runs graphs elsewhere than on the CPU."""

    name: str
    # The package that has it, and a way to get it where this ONNX Runtime lacks it.
    package: str
    to_get_it: str
    options: Mapping[str, str] = field(default_factory=dict)


_PROVIDERS = {
    CUDA: _Provider(
        name="CUDAExecutionProvider",
        package="onnxruntime-gpu[cuda,cudnn]",
        to_get_it="replace onnxruntime by onnxruntime-gpu (pip uninstall -y onnxruntime, then pip "
        "install 'onnxruntime-gpu[cuda,cudnn]')",
        # TF32 is off as in plans: it would move scores by a thousandth.
        options={"use_tf32": "0"},
    ),
    "coreml": _Provider(
        name="CoreMLExecutionProvider",
        package="onnxruntime",
        to_get_it="it is in onnxruntime for macOS",
        # Its older form takes no sizes that are free.
        options={"ModelFormat": "MLProgram"},
    ),
    "dml": _Provider(
        name="DmlExecutionProvider",
        package="onnxruntime-directml",
        to_get_it="on Windows replace onnxruntime by onnxruntime-directml (pip uninstall -y "
        "onnxruntime, then pip install onnxruntime-directml)",
    ),
}


class OnnxRuntimeEngine:
    """An ONNX file in an ONNX Runtime session."""

    def __init__(
        self,
        description: EngineDescription,
        *,
        device: DeviceName,
        num_threads: int | None = None,
    ) -> None:
        """On the CPU, a GPU or what else a provider of ONNX Runtime drives, all of it there."""
        path = description.path
        require_one_file(description)
        require_snippets(description)
        self.manifest: Manifest = description.manifest
        self.name = path.name
        self.sha256 = description.sha256
        self.device = str(device)
        self._session: Any = _open_session(path, device, num_threads)
        self._process = OpeningProcess(self.name, self._session)
        tensors = graph_tensors(self.manifest)
        inputs, outputs = self._session.get_inputs(), self._session.get_outputs()
        check_graph(tensors, _loaded(inputs), _loaded(outputs), path)
        self._input_names = tuple(one.name for one in tensors.inputs)
        self._output_names = tensors.output_names

    def infer(self, inputs: EngineInputs) -> EngineOutputs:
        """Logits of frames (N, L, H, W, 3) uint8, or of features (N, D) float32; with flow both."""
        if self._session is None:
            raise EngineError(f"the engine '{self.name}' has been closed.")
        self._process.require()
        given = named_inputs(self.name, self._input_names, inputs)
        first = given[self._input_names[0]]
        try:
            logits, probabilities = self._session.run(self._output_names, given)
        except Exception as error:
            shortage = shortage_of(error)
            raise EngineError(
                f"the engine '{self.name}' failed on an input of shape {first.shape}: "
                f"{shortage + '.' if shortage else _first_line(error)}"
            ) from error
        expected = (len(first), len(self.manifest.classes))
        check_outputs(self.name, expected, logits, probabilities)
        return EngineOutputs(selection_logits=logits, class_probabilities=probabilities)

    def submit(self, inputs: EngineInputs) -> ReadyOutputs:
        """As `infer`: ONNX Runtime returns when it has computed."""
        return ReadyOutputs(outputs=self.infer(inputs))

    def close(self) -> None:
        """Release the session; in a forked child nothing, see `OpeningProcess`."""
        self._session = None
        self._process.release()

    def __reduce__(self) -> NoReturn:
        self._process.refuse_to_travel()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def _loaded(nodes: list[Any]) -> dict[str, LoadedTensor]:
    return {
        node.name: LoadedTensor(
            dtype=_DTYPES.get(node.type, node.type), shape=loaded_shape(node.shape)
        )
        for node in nodes
    }


def _open_session(path: Path, device: DeviceName, num_threads: int | None) -> Any:
    onnxruntime = load_package("onnxruntime")
    onnxruntime.set_default_logger_severity(_LOG_NOTHING)
    if device.kind != CPU:
        return _open_elsewhere(onnxruntime, path, device, num_threads)
    try:
        return _session(onnxruntime, path, _session_options(onnxruntime, num_threads), [_CPU])
    except Exception as error:
        raise _not_loaded(onnxruntime, path, "cpu", error) from error


def _session_options(onnxruntime: Any, num_threads: int | None) -> Any:
    options = onnxruntime.SessionOptions()
    options.log_severity_level = _LOG_NOTHING
    options.intra_op_num_threads = default_num_threads() if num_threads is None else num_threads
    options.inter_op_num_threads = 1
    # Spinning threads would take the cores that decode.
    options.add_session_config_entry("session.intra_op.allow_spinning", "0")
    # The arena stays on: without it the C heap grows by holes between batches, from 110 to 280 MB
    # in five minutes. Planning it by shape would only take more.
    options.enable_mem_pattern = False
    return options


def _open_elsewhere(
    onnxruntime: Any, path: Path, device: DeviceName, num_threads: int | None
) -> Any:
    """A session all of which one provider runs, for ONNX Runtime goes to the CPU where it may."""
    provider, missing = _PROVIDERS[device.kind], ""
    available = onnxruntime.get_available_providers()
    if provider.name not in available:
        raise EngineError(
            f"--device {device} wants {provider.name}, this ONNX Runtime {onnxruntime.__version__} "
            f"has {', '.join(available)}: {provider.to_get_it}, or use --device cpu."
        )
    if device.ordinal is not None:
        probe_driver().gpu(device.ordinal)
        missing = _preload(onnxruntime)
    chosen = {"device_id": device.part} if device.part else {}
    providers = [(provider.name, {**chosen, **provider.options})]
    options = _session_options(onnxruntime, num_threads)
    options.add_session_config_entry("session.disable_cpu_ep_fallback", "1")
    try:
        session = _session(onnxruntime, path, options, providers)
    except Exception as error:
        # ONNX Runtime says the same of a graph and of a provider that does not load: the second one
        # goes to the CPU where that is allowed.
        options = _session_options(onnxruntime, num_threads)
        try:
            session = _session(onnxruntime, path, options, providers)
        except Exception as real_error:
            raise _not_loaded(onnxruntime, path, str(device), real_error) from real_error
        if session.get_providers()[0] == provider.name:
            raise EngineError(
                f"ONNX Runtime {onnxruntime.__version__} would compute parts of the engine "
                f"'{path}' on the CPU ({_first_line(error)}): its {provider.name} lacks a kernel: "
                f"export the engine again, install a later {provider.package}, or use --device cpu."
            ) from error
        raise EngineError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load its {provider.name}"
            f"{f' without {missing}' if missing else ''}: pip install '{provider.package}', look "
            "at 'wsgn-run doctor', or use --device cpu."
        ) from error
    active = session.get_providers()[0]
    if active != provider.name:
        raise EngineError(
            f"--device {device} wants {provider.name}, but ONNX Runtime fell back to {active}: "
            "run 'wsgn-run doctor', mend the installation, or use --device cpu."
        )
    return session


def _preload(onnxruntime: Any) -> str:
    """Load CUDA's libraries out of their wheels; the names of those that are nowhere.

    ONNX Runtime prints what it misses to stdout, where results go.
    """
    printed = io.StringIO()
    # It is there from 1.21 on.
    if hasattr(onnxruntime, "preload_dlls"):
        with contextlib.redirect_stdout(printed):
            onnxruntime.preload_dlls()
    return ", ".join(re.findall(r"Failed to load ([\w.+-]+):", printed.getvalue()))


def _session(onnxruntime: Any, path: Path, options: Any, providers: list[Any]) -> Any:
    # Its own fallback would print to stdout, where results go, and go on with the CPU.
    return onnxruntime.InferenceSession(str(path), options, providers=providers, enable_fallback=0)


def _not_loaded(onnxruntime: Any, path: Path, device: str, error: Exception) -> EngineError:
    shortage = shortage_of(error)
    advice = f"{_first_line(error)} Export it again, or install the ONNX Runtime it was made for."
    return EngineError(
        f"ONNX Runtime {onnxruntime.__version__} cannot load the engine '{path}' on {device}: "
        f"{shortage + '.' if shortage else advice}"
    )


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
