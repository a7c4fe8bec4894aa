"""Engines on a GPU, as far as a machine without one can tell: what is asked, and what is refused.

Where ONNX Runtime has to have CUDA, its session is a planted one.
"""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import onnx
import onnxruntime
import planted
import pytest

from wsgn.engines import onnxruntime_engine
from wsgn.engines.cuda.driver import Driver, Gpu
from wsgn.engines.devices import cuda_ordinal
from wsgn.engines.open import open_engine
from wsgn.errors import EngineError, UsageError

CUDA = "CUDAExecutionProvider"
NO_NODES = "This session contains graph nodes that are assigned to the default CPU EP."


class CudaRuntime:
    """ONNX Runtime as it is where CUDA is built in; sessions run on the CPU all the same."""

    def __init__(self, monkeypatch: pytest.MonkeyPatch, *, active: str = CUDA) -> None:
        self.active = active
        # Whether a session that may not fall back is refused.
        self.strict_fails = False
        self.asked: list[tuple[Any, str]] = []
        real = onnxruntime.InferenceSession

        def open_session(
            path: str, options: Any, providers: list[Any], enable_fallback: int
        ) -> Any:
            assert not enable_fallback
            try:
                strict = options.get_session_config_entry("session.disable_cpu_ep_fallback") == "1"
            except RuntimeError:  # It was not set.
                strict = False
            self.asked.append((providers, "strict" if strict else "lenient"))
            if strict and self.strict_fails:
                raise RuntimeError(NO_NODES)
            session = real(path, options.__class__(), providers=["CPUExecutionProvider"])
            monkeypatch.setattr(session, "get_providers", lambda: [self.active])
            return session

        monkeypatch.setattr(onnxruntime, "InferenceSession", open_session)
        monkeypatch.setattr(onnxruntime, "get_available_providers", lambda: [CUDA])
        monkeypatch.setattr(onnxruntime, "preload_dlls", self.preload, raising=False)

    def preload(self) -> None:
        """As the real one, which prints."""
        print("Failed to load libcublasLt.so.13: libcublasLt.so.13: cannot open shared object file")
        print("Please follow https://onnxruntime.ai/docs/install/#cuda-and-cudnn to install CUDA.")


@pytest.fixture
def gpus(monkeypatch: pytest.MonkeyPatch) -> None:
    """A driver with two GPUs."""
    found = tuple(
        Gpu(ordinal=ordinal, name="GPU", compute_capability=(9, 0), num_bytes=2**30)
        for ordinal in range(2)
    )
    driver = Driver(version=(13, 0), gpus=found)
    monkeypatch.setattr(onnxruntime_engine, "probe_driver", lambda: driver)


def no_driver() -> Driver:
    raise EngineError("no NVIDIA driver was found: install one.")


def test_without_cuda_in_onnxruntime_the_device_is_refused(engine_path: Path) -> None:
    if CUDA in onnxruntime.get_available_providers():
        pytest.skip("this ONNX Runtime has CUDA")
    with pytest.raises(EngineError, match=r"wants CUDAExecutionProvider, .* or use --device cpu"):
        open_engine(engine_path, device="cuda:1")


def test_the_driver_is_asked_before_a_session_is_made(
    engine_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = CudaRuntime(monkeypatch)
    monkeypatch.setattr(onnxruntime_engine, "probe_driver", no_driver)
    with pytest.raises(EngineError, match="no NVIDIA driver"):
        open_engine(engine_path, device="cuda")
    assert runtime.asked == []


@pytest.mark.usefixtures("gpus")
def test_cuda_is_the_only_provider_and_may_not_fall_back(
    engine_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    runtime = CudaRuntime(monkeypatch)
    frames = np.zeros((2, 8, planted.SIZE, planted.SIZE, 3), dtype=np.uint8)
    with open_engine(engine_path, device="cuda:1") as engine:
        assert engine.device == "cuda:1"
        pending = engine.submit(frames)
        assert pending.ready
        assert pending.result().class_probabilities.shape == (2, 3)
    assert runtime.asked == [([(CUDA, {"device_id": "1", "use_tf32": "0"})], "strict")]
    # Results go to stdout, and nothing else may.
    assert capsys.readouterr().out == ""


@pytest.mark.usefixtures("gpus")
def test_a_gpu_that_is_not_there_is_named(
    engine_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = CudaRuntime(monkeypatch)
    with pytest.raises(EngineError, match="there is no GPU 2"):
        open_engine(engine_path, device="cuda:2")
    assert runtime.asked == []


@pytest.mark.usefixtures("gpus")
def test_a_provider_that_fell_back_is_an_error(
    engine_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    CudaRuntime(monkeypatch, active="CPUExecutionProvider")
    with pytest.raises(EngineError, match=r"--device cuda:0 wants CUDA.* fell back to CPUExec"):
        open_engine(engine_path, device="cuda")


@pytest.mark.usefixtures("gpus")
def test_missing_libraries_of_cuda_are_named(
    engine_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Then ONNX Runtime speaks of nodes, as if the graph were at fault."""
    runtime = CudaRuntime(monkeypatch, active="CPUExecutionProvider")
    runtime.strict_fails = True
    wanted = r"cannot load its CUDA\w+ without libcublasLt.so.13: pip install 'onnxruntime-gpu\["
    with pytest.raises(EngineError, match=wanted) as caught:
        open_engine(engine_path, device="cuda")
    assert "nodes" not in str(caught.value)
    assert [kind for _, kind in runtime.asked] == ["strict", "lenient"]


@pytest.mark.usefixtures("gpus")
def test_a_graph_that_would_run_on_the_cpu_in_part_is_refused(
    engine_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    runtime = CudaRuntime(monkeypatch)
    runtime.strict_fails = True
    wanted = r"parts of the engine .* on the CPU \(This session .*install a later onnxruntime-gpu"
    with pytest.raises(EngineError, match=wanted):
        open_engine(engine_path, device="cuda")


@pytest.mark.usefixtures("gpus")
def test_a_broken_graph_is_not_taken_for_a_broken_installation(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = planted.write_engine(tmp_path / "engine.onnx")
    model = onnx.load(path)
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, path)
    CudaRuntime(monkeypatch)
    with pytest.raises(EngineError, match=r"cannot load the engine .* on cuda:0: .*NoSuchOperator"):
        open_engine(path, device="cuda")


@pytest.mark.parametrize(
    ("device", "ordinal"),
    [("cpu", None), ("cuda", 0), ("cuda:0", 0), ("cuda:12", 12), ("openvino:gpu.1", None)],
)
def test_a_device_is_a_number_or_the_cpu(device: str, ordinal: int | None) -> None:
    assert cuda_ordinal(device) == ordinal


@pytest.mark.parametrize(
    "device",
    ["", "gpu", "cuda:", "cuda:-1", "CPU", "cuda:1 ", "cuda:\u0661", "cpu:0", "openvino:AUTO"],
)
def test_any_other_word_is_a_usage_error(device: str) -> None:
    with pytest.raises(UsageError, match="the device must be cpu, cuda or cuda:N, openvino"):
        cuda_ordinal(device)


def test_an_onnx_file_runs_on_the_cpu_by_default(engine_path: Path) -> None:
    with open_engine(engine_path) as engine:
        assert engine.device == "cpu"
