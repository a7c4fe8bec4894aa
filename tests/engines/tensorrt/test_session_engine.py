"""`wsgn-run --engine wsgn.plan`: on the stand-in, and real plans where there is no GPU."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections import Counter
from pathlib import Path
from typing import Any

import made_plans
import numpy as np
import pytest
from commands import HANG_SECONDS
from places import ROOT
from stand_in import Machine

from wsgn.engines.cuda.driver import describe_driver
from wsgn.engines.open import open_engine, read_manifest
from wsgn.engines.tensorrt.sidecar import sidecar_path
from wsgn.errors import EngineError
from wsgn.manifest import Manifest
from wsgn.runtime.cli.main import main

VIDEO = made_plans.DEMO.with_suffix(".mp4")


@pytest.fixture
def demo_plan(tmp_path: Path) -> Path:
    """The demo's engine as a plan of the stand-in, whose profiles are smaller than batches."""
    manifest = made_plans.demo_manifest()
    assert manifest.frames is not None
    rest = (manifest.sampling.snippet_length, manifest.frames.height, manifest.frames.width, 3)
    profiles = (
        made_plans.profile("streaming", (1, 2, 4), rest=rest, tensor="frames"),
        made_plans.profile("offline", (2, 6, 6), rest=rest, tensor="frames"),
    )
    return made_plans.write_plan(
        tmp_path / "demo.plan",
        manifest=manifest,
        model=made_plans.DEMO.read_bytes(),
        profiles=profiles,
    )


def events_of(capsys: pytest.CaptureFixture[str], *arguments: str) -> list[dict[str, Any]]:
    assert main([str(VIDEO), *arguments]) == 0
    return [json.loads(line) for line in capsys.readouterr().out.splitlines()]


def test_a_plan_finds_in_a_video_what_the_onnx_file_finds(
    machine: Machine, demo_plan: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    by_plan = events_of(capsys, "-e", str(demo_plan))
    by_onnx = events_of(capsys, "-e", str(made_plans.DEMO))
    assert by_plan[0]["parameters"]["device"] == "cuda:0"
    assert by_onnx[0]["parameters"]["device"] == "cpu"
    assert [event["type"] for event in by_plan] == [event["type"] for event in by_onnx]
    assert sum(event["type"] == "segment" for event in by_plan) > 5
    for ours, theirs in zip(by_plan[1:], by_onnx[1:], strict=True):
        for key, value in theirs.items():
            if isinstance(value, float):
                assert ours[key] == pytest.approx(value, abs=1e-4)
            else:
                assert ours[key] == value
    assert machine.memory == {}
    assert machine.diary[-1] == "device"


def test_an_engine_is_late_and_gives_what_onnx_runtime_gives(
    machine: Machine, demo_plan: Path
) -> None:
    with open_engine(made_plans.DEMO) as onnx_engine, open_engine(demo_plan) as engine:
        assert (engine.name, engine.device) == ("demo.plan", "cuda:0")
        assert engine.manifest == onnx_engine.manifest
        assert len(engine.sha256) == 64
        frames = np.random.default_rng(1).integers(0, 256, (5, 8, 48, 64, 3), dtype=np.uint8)
        pending = engine.submit(frames)
        assert not pending.ready
        assert machine.num_executed == 0
        wanted, found = onnx_engine.infer(frames), pending.result()
        np.testing.assert_allclose(found.selection_logits, wanted.selection_logits, atol=1e-4)
        np.testing.assert_allclose(found.class_probabilities, wanted.class_probabilities, atol=1e-5)
    with pytest.raises(EngineError, match="has been closed"):
        engine.infer(frames)


@pytest.fixture
def opened(monkeypatch: pytest.MonkeyPatch) -> Counter[str]:
    """How often each file was opened from Python, by its name, and "manifest" parsed."""
    count: Counter[str] = Counter()
    plain_open, plain_parse = Path.open, Manifest.from_json

    def counting_open(path: Path, *arguments: Any, **options: Any) -> Any:
        count[path.name] += 1
        return plain_open(path, *arguments, **options)

    def counting_parse(text: str) -> Manifest:
        count["manifest"] += 1
        return plain_parse(text)

    monkeypatch.setattr(Path, "open", counting_open)
    monkeypatch.setattr(Manifest, "from_json", counting_parse)
    return count


def test_a_run_reads_its_engine_once(
    machine: Machine, demo_plan: Path, opened: Counter[str], capsys: pytest.CaptureFixture[str]
) -> None:
    events_of(capsys, "-e", str(made_plans.DEMO))
    assert (opened["demo.onnx"], opened["manifest"]) == (1, 1)
    events_of(capsys, "-e", str(demo_plan))
    assert (opened["demo.plan"], opened["demo.plan.json"]) == (1, 1)


def test_a_plan_does_not_run_on_the_cpu(demo_plan: Path) -> None:
    with pytest.raises(EngineError, match=r"runs on a GPU only: leave out --device cpu or say"):
        open_engine(demo_plan, device="cpu")


@pytest.mark.parametrize("graph", ["whole-video", "streaming"])
def test_only_a_graph_of_snippets_is_taken(tmp_path: Path, graph: str) -> None:
    manifest = made_plans.feature_manifest(graph=graph)
    path = made_plans.write_plan(tmp_path / "wsgn.plan", manifest=manifest)
    with pytest.raises(EngineError, match=f"holds the {graph} graph.*takes the snippet graph"):
        open_engine(path)


@pytest.mark.parametrize("suffix", [".plan", ".engine", ".trt", ".PLAN"])
def test_the_manifest_is_the_sidecars_and_needs_no_gpu(tmp_path: Path, suffix: str) -> None:
    path = made_plans.write_plan(tmp_path / f"wsgn{suffix}")
    assert read_manifest(path) == made_plans.feature_manifest()


@pytest.fixture(scope="module")
def real_plan(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The demo's engine, built by TensorRT-RTX, which can do so without a GPU."""
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs TensorRT-RTX")
    if describe_driver() is not None:
        pytest.skip("this machine has an NVIDIA driver")
    path = tmp_path_factory.mktemp("real") / "wsgn.plan"
    done = run(str(ROOT / "export" / "to_tensorrt.py"), str(made_plans.DEMO), "-o", str(path))
    assert done.returncode == 0, done.stderr
    return path


def run(*words: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )


def wsgn_run(*arguments: str) -> subprocess.CompletedProcess[str]:
    return run(
        "-c", "import sys; from wsgn.runtime.cli.main import main; sys.exit(main())", *arguments
    )


@pytest.mark.parametrize("device", [(), ("--device", "cuda:1")])
def test_a_real_plan_without_a_driver_is_one_sentence_and_5(
    real_plan: Path, device: tuple[str, ...]
) -> None:
    done = wsgn_run(str(VIDEO), "--engine", str(real_plan), *device)
    assert (done.returncode, done.stdout) == (5, "")
    assert len(done.stderr.splitlines()) == 1
    assert "no NVIDIA driver was found" in done.stderr


def test_a_damaged_real_plan_is_told_before_the_driver(real_plan: Path, tmp_path: Path) -> None:
    path = tmp_path / "wsgn.plan"
    path.write_bytes(real_plan.read_bytes()[:-7])
    sidecar_path(path).write_bytes(sidecar_path(real_plan).read_bytes())
    done = wsgn_run(str(VIDEO), "--engine", str(path))
    assert (done.returncode, done.stdout) == (5, "")
    assert len(done.stderr.splitlines()) == 1
    assert "truncated, damaged or not the one of its sidecar" in done.stderr


def test_the_manifest_of_a_real_plan_is_that_of_its_onnx_file(real_plan: Path) -> None:
    done = wsgn_run("manifest", str(real_plan))
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout == wsgn_run("manifest", str(made_plans.DEMO)).stdout


def test_a_camera_for_a_plan_on_features_is_refused_before_a_driver_is_looked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    plan = made_plans.write_plan(tmp_path / "wsgn.plan")
    assert main(["rtsp://127.0.0.1/camera", "--engine", str(plan)]) == 5
    assert "takes features, not the frames of a video" in capsys.readouterr().err
