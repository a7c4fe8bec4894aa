"""What `wsgn-run doctor` says, and what it calls a problem."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.runtime.cli import doctor
from wsgn.runtime.cli.main import main


def test_doctor_finds_this_environment_healthy(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["doctor"]) == 0
    out = capsys.readouterr().out
    assert "CPUExecutionProvider" in out
    assert "no problems" in out


def test_doctor_names_double_installs(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    owners = {
        "onnxruntime": ["onnxruntime", "onnxruntime-gpu"],
        "tensorrt": ["tensorrt_cu12", "tensorrt_cu13"],
        "tensorrt_bindings": ["tensorrt_cu12_bindings", "tensorrt_cu13_bindings"],
    }
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    assert main(["doctor"]) == 5
    problems = [line for line in capsys.readouterr().out.splitlines() if "overwrite each" in line]
    assert len(problems) == 3
    assert "pip uninstall -y onnxruntime onnxruntime-gpu, then" in problems[0]


@pytest.mark.parametrize(
    ("have", "wanted"),
    [
        ("tensorrt_rtx_cu13_bindings", "tensorrt_rtx_cu13_libs"),
        ("tensorrt_rtx_cu13_libs", "tensorrt_rtx_cu13_bindings"),
        ("tensorrt_cu12_bindings", "tensorrt_cu12_libs"),
    ],
)
def test_doctor_names_the_missing_half_of_a_tensorrt(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, have: str, wanted: str
) -> None:
    owners = {have.replace("_cu13", "").replace("_cu12", ""): [have]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    monkeypatch.setattr("importlib.metadata.version", lambda name: "1.7.1.116")
    assert main(["doctor"]) == 5
    out = capsys.readouterr().out
    assert f"{have} is installed without {wanted}" in out
    assert f"pip install {wanted}==1.7.1.116." in out


def test_a_library_on_the_loaders_path_takes_the_place_of_its_package(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    owners = {"tensorrt_bindings": ["tensorrt_cu13_bindings"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    monkeypatch.setenv("LD_LIBRARY_PATH", f"/nowhere:{tmp_path}")
    assert main(["doctor"]) == 5
    (tmp_path / "libnvinfer.so.11").write_bytes(b"")
    assert main(["doctor"]) == 0
    assert "no problems" in capsys.readouterr().out


def test_doctor_names_halves_of_tensorrt_that_do_not_fit(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    versions = {"one": "11.4.0.106", "other": "11.3.0.12"}
    owners = {"tensorrt_bindings": ["one"], "tensorrt_libs": ["other"]}
    monkeypatch.setattr("importlib.metadata.packages_distributions", lambda: owners)
    monkeypatch.setattr("importlib.metadata.version", lambda name: versions.get(name, "1.0"))
    assert main(["doctor"]) == 5
    assert "one is of version 11.4.0.106 and other of 11.3.0.12" in capsys.readouterr().out
    versions["other"] = versions["one"]
    assert main(["doctor"]) == 0


@pytest.mark.parametrize(
    "driver", [None, "driver for CUDA 13.0, GPU 0: NVIDIA H200 (compute capability 9.0, 139.8 GiB)"]
)
def test_doctor_takes_a_gpu_and_its_parts_as_facts(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, driver: str | None
) -> None:
    monkeypatch.setattr(doctor, "describe_driver", lambda: driver)
    monkeypatch.setattr("importlib.metadata.packages_distributions", dict)
    assert main(["doctor"]) == 0
    facts = dict(line.split(None, 1) for line in capsys.readouterr().out.splitlines())
    assert facts["driver"] == (driver or "none")
    assert [facts[name] for name in ("tensorrt", "tensorrt_rtx", "pycuda")] == ["not installed"] * 3
    assert "cuda-bindings" in facts


@pytest.mark.parametrize(
    ("facts", "words"),
    [
        ({}, "should run here"),
        ({"driver": "none"}, "cannot run here: there is no NVIDIA driver"),
        ({"driver": "the NVIDIA driver finds no GPU."}, "the NVIDIA driver cannot be used"),
        ({"tensorrt": "not installed"}, "cannot run here: TensorRT is not installed"),
        ({"cuda-bindings": "not installed"}, "neither cuda-bindings nor pycuda"),
        ({"cuda-bindings": "not installed", "pycuda": "2026.1"}, "should run here"),
    ],
)
def test_doctor_says_whether_plans_can_run(facts: dict[str, str], words: str) -> None:
    whole = {
        "driver": "driver for CUDA 13.0, GPU 0",
        "tensorrt": "10.13.2",
        "tensorrt_rtx": "not installed",
        "pycuda": "not installed",
        "cuda-bindings": "13.0.1",
    }
    assert words in doctor.plans_here(whole | facts)
