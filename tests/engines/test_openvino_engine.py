"""OpenVINO as a device: the same numbers as ONNX Runtime, no fallback, nothing told to anybody."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import planted
import pytest
from commands import run_python

from wsgn.engines.open import open_engine
from wsgn.errors import EngineError
from wsgn.runtime.cli.main import main
from wsgn.runtime.demo import engine_path as demo_path

pytest.importorskip("openvino", reason="OpenVINO is not installed")


def frames(count: int, shape: tuple[int, ...]) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, *shape), dtype=np.uint8)


def test_it_computes_what_onnxruntime_does_for_any_number_of_snippets() -> None:
    with (
        open_engine(demo_path("demo"), device="openvino", num_threads=1) as engine,
        open_engine(demo_path("demo"), num_threads=1) as reference,
    ):
        assert engine.device == "openvino:cpu"
        for count in (1, 3, 16, 2):
            given = frames(count, (8, 48, 64, 3))
            got, wanted = engine.submit(given).result(), reference.infer(given)
            for one, other in zip(vars(got).values(), vars(wanted).values(), strict=True):
                np.testing.assert_allclose(one, other, atol=5e-6)


def test_a_run_finds_the_same_by_it(
    engine_path: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    video = planted.write_video(tmp_path / "video.mp4")
    found = []
    for device in ("cpu", "openvino"):
        words = ["-e", str(engine_path), "--device", device, "--threads", "1", "-o", str(tmp_path)]
        assert main([str(video), *words, "-f", "csv", "--overwrite", "-q"]) == 0
        found.append((tmp_path / "video.csv").read_text())
    assert found[0] == found[1]
    assert "red" in found[0]
    assert capsys.readouterr().err == ""


def test_what_is_asked_is_what_it_takes(engine_path: Path) -> None:
    shape = (8, planted.SIZE, planted.SIZE, 3)
    with open_engine(engine_path, device="openvino") as engine:
        with pytest.raises(EngineError, match=r"takes frames uint8 \(N, 8, .* got float32"):
            engine.infer(frames(1, shape).astype(np.float32))
        with pytest.raises(EngineError, match="takes frames, got pixels"):
            engine.infer({"pixels": frames(1, shape)})
        with pytest.raises(EngineError, match=r"takes frames uint8 .* got uint8 \(1, 2\)"):
            engine.infer(frames(1, (2,)))
        engine.close()
        with pytest.raises(EngineError, match="closed"):
            engine.infer(frames(1, shape))


def test_a_device_that_is_not_there_is_an_error(engine_path: Path) -> None:
    from openvino import Core

    if "NPU" in Core().available_devices:
        pytest.skip("there is an NPU")
    with pytest.raises(EngineError, match=r"wants OpenVINO's device NPU, OpenVINO .* has .*CPU"):
        open_engine(engine_path, device="openvino:npu")


def test_a_broken_graph_is_one_sentence(tmp_path: Path) -> None:
    path = planted.write_engine(tmp_path / "engine.onnx")
    model = onnx.load(path)
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, path)
    with pytest.raises(EngineError, match=r"cannot load the engine .* on openvino:cpu") as caught:
        open_engine(path, device="openvino")
    assert "\n" not in str(caught.value)


def test_its_makers_are_told_nothing(engine_path: Path, tmp_path: Path) -> None:
    """The package that tells them is imported by OpenVINO, where it is there."""
    (tmp_path / "openvino_telemetry.py").write_text("print('told')\n")
    code = (
        f"import sys; sys.path.insert(0, {str(tmp_path)!r}); import wsgn.runtime as r\n"
        f"r.open_engine({str(engine_path)!r}, device='openvino').close()\n"
        "print('ran'); import openvino_telemetry"
    )
    assert run_python("-c", code).stdout == "ran\ntold\n"


def test_providers_that_are_not_in_this_onnxruntime_are_named(engine_path: Path) -> None:
    for device, words in (("coreml", "onnxruntime for macOS"), ("dml:1", "onnxruntime-directml")):
        with pytest.raises(EngineError, match=rf"--device {device} wants \w+ExecutionP.*{words}"):
            open_engine(engine_path, device=device)
