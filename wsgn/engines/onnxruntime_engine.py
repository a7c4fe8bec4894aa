"""The engine for ONNX files, by ONNX Runtime: one execution provider, and no silent fallback."""

from __future__ import annotations

import contextlib
import io
import re
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NoReturn, Self

from wsgn.engines.cuda.driver import probe_driver
from wsgn.engines.engine import (
    EngineDescription,
    EngineInputs,
    EngineOutputs,
    ReadyOutputs,
    require_snippets,
)
from wsgn.engines.process import OpeningProcess
from wsgn.engines.tensors import GraphTensors, graph_tensors
from wsgn.errors import EngineError
from wsgn.manifest import Manifest
from wsgn.support.arrays import AnyArray
from wsgn.support.packages import default_num_threads, load_package, shortage_of

# ONNX Runtime's words for element types.
_KINDS = {"float32": "tensor(float)", "uint8": "tensor(uint8)"}
_CUDA = "CUDAExecutionProvider"
_CPU = "CPUExecutionProvider"
# ONNX Runtime's own lines below this (fatal) would only repeat what our errors say.
_LOG_NOTHING = 4


class OnnxRuntimeEngine:
    """An ONNX file in an ONNX Runtime session."""

    def __init__(
        self,
        description: EngineDescription,
        *,
        ordinal: int | None = None,
        num_threads: int | None = None,
    ) -> None:
        """`ordinal` is the number of a GPU, or None for the CPU."""
        path = description.path
        if description.has_external_data:
            raise EngineError(
                f"the engine '{path}' keeps its weights in another file: export it again as one "
                "file with export/to_onnx.py."
            )
        require_snippets(description)
        self.manifest: Manifest = description.manifest
        self.name = path.name
        self.sha256 = description.sha256
        self.device = "cpu" if ordinal is None else f"cuda:{ordinal}"
        self._session: Any = _open_session(path, ordinal, num_threads)
        self._process = OpeningProcess(self.name, self._session)
        tensors = graph_tensors(self.manifest)
        _check_graph(self._session, tensors, path)
        self._input_names = tuple(one.name for one in tensors.inputs)
        self._output_names = tensors.output_names

    def infer(self, inputs: EngineInputs) -> EngineOutputs:
        """Logits of frames (N, L, H, W, 3) uint8, or of features (N, D) float32; with flow both."""
        if self._session is None:
            raise EngineError(f"the engine '{self.name}' has been closed.")
        self._process.require()
        given = self._named(inputs)
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
        if logits.shape != expected or probabilities.shape != expected:
            raise EngineError(
                f"the engine '{self.name}' gave outputs of shape {logits.shape} and "
                f"{probabilities.shape} where {expected} is wanted: export it again."
            )
        return EngineOutputs(selection_logits=logits, class_probabilities=probabilities)

    def submit(self, inputs: EngineInputs) -> ReadyOutputs:
        """As `infer`: ONNX Runtime returns when it has computed."""
        return ReadyOutputs(outputs=self.infer(inputs))

    def _named(self, inputs: EngineInputs) -> dict[str, AnyArray]:
        """Every input by its name. Raises `EngineError`."""
        if not isinstance(inputs, Mapping):
            inputs = {self._input_names[0]: inputs}
        if set(inputs) != set(self._input_names):
            raise EngineError(
                f"the engine '{self.name}' takes {' and '.join(self._input_names)}, got "
                f"{' and '.join(inputs) or 'nothing'}."
            )
        return dict(inputs)

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


def _open_session(path: Path, ordinal: int | None, num_threads: int | None) -> Any:
    onnxruntime = load_package("onnxruntime")
    onnxruntime.set_default_logger_severity(_LOG_NOTHING)
    if ordinal is not None:
        return _open_on_gpu(onnxruntime, path, ordinal, num_threads)
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


def _open_on_gpu(onnxruntime: Any, path: Path, ordinal: int, num_threads: int | None) -> Any:
    """A session all of which runs on one GPU: ONNX Runtime goes to the CPU in silence if it may."""
    device = f"cuda:{ordinal}"
    available = onnxruntime.get_available_providers()
    if _CUDA not in available:
        raise EngineError(
            f"--device {device} wants {_CUDA}, this ONNX Runtime {onnxruntime.__version__} has "
            f"{', '.join(available)}: replace onnxruntime by onnxruntime-gpu (pip uninstall -y "
            "onnxruntime, then pip install 'onnxruntime-gpu[cuda,cudnn]'), or use --device cpu."
        )
    probe_driver().gpu(ordinal)
    missing = _preload(onnxruntime)
    # TF32 is off as in plans: it would move scores by a thousandth.
    providers = [(_CUDA, {"device_id": str(ordinal), "use_tf32": "0"})]
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
            raise _not_loaded(onnxruntime, path, device, real_error) from real_error
        if session.get_providers()[0] == _CUDA:
            raise EngineError(
                f"ONNX Runtime {onnxruntime.__version__} would compute parts of the engine "
                f"'{path}' on the CPU ({_first_line(error)}): its {_CUDA} lacks a kernel: "
                "export the engine again, install a later onnxruntime-gpu, or use --device cpu."
            ) from error
        raise EngineError(
            f"ONNX Runtime {onnxruntime.__version__} cannot load its {_CUDA}"
            f"{f' without {missing}' if missing else ''}: pip install "
            "'onnxruntime-gpu[cuda,cudnn]', look at 'wsgn-run doctor', or use --device cpu."
        ) from error
    active = session.get_providers()[0]
    if active != _CUDA:
        raise EngineError(
            f"--device {device} wants {_CUDA}, but ONNX Runtime fell back to {active}: "
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


def _check_graph(session: Any, tensors: GraphTensors, path: Path) -> None:
    """Compare the graph's inputs and outputs with those that are wanted."""
    for what, wanted, nodes in (
        ("inputs", tensors.inputs, session.get_inputs()),
        ("outputs", tensors.outputs, session.get_outputs()),
    ):
        by_name = {one.name: _Tensor(_KINDS[one.dtype.name], one.sizes) for one in wanted}
        _compare(what, by_name, nodes, path)


@dataclass(frozen=True)
class _Tensor:
    """Element type and shape of an input or output; None where the size is dynamic."""

    kind: str
    shape: tuple[int | None, ...]

    def fits(self, wanted: _Tensor) -> bool:
        """A dynamic size fits any; one that must be dynamic may not be fixed."""
        return (
            self.kind == wanted.kind
            and len(self.shape) == len(wanted.shape)
            and all(
                size is None or size == other
                for size, other in zip(self.shape, wanted.shape, strict=True)
            )
        )

    def __str__(self) -> str:
        sizes = ", ".join("N" if size is None else str(size) for size in self.shape)
        return f"{self.kind} ({sizes})"


def _compare(what: str, wanted: dict[str, _Tensor], nodes: list[Any], path: Path) -> None:
    have = {
        node.name: _Tensor(
            node.type, tuple(size if isinstance(size, int) else None for size in node.shape)
        )
        for node in nodes
    }
    if set(have) != set(wanted) or not all(have[name].fits(wanted[name]) for name in wanted):
        raise EngineError(
            f"the engine '{path}' has the {what} {_listed(have)}, but its manifest wants "
            f"{_listed(wanted)}: export it again with export/to_onnx.py."
        )


def _listed(tensors: dict[str, _Tensor]) -> str:
    return ", ".join(f"{name} {tensor}" for name, tensor in tensors.items()) or "none"


def _first_line(error: BaseException) -> str:
    lines = str(error).strip().splitlines()
    return lines[0].strip() if lines else type(error).__name__
