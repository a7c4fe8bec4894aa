"""The parts of `benchmarks/gpu.sh` that can be tried without a GPU, as it starts them."""

from __future__ import annotations

import argparse
import importlib
import itertools
import json
import re
import subprocess
import sys
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest
import torch
from places import ROOT

from benchmarks.measuring import Budget, spread_of
from wsgn.engines.cuda.driver import Gpu

SKIPPED = 77
without_gpu = pytest.mark.skipif(torch.cuda.is_available(), reason="this machine has a GPU")


def run(script: str, stem: Path, *options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", f"benchmarks.gpu.{script}", "-o", str(stem), *options]
    return subprocess.run(command, capture_output=True, text=True, check=False, cwd=ROOT)


def results(stem: Path) -> dict[str, Any]:
    document: dict[str, Any] = json.loads(stem.with_suffix(".json").read_text())
    return document


@pytest.fixture
def gpu_run() -> ModuleType:
    return importlib.import_module("benchmarks.gpu.run")


def segments(**change: object) -> list[dict[str, object]]:
    """One segment, with something else in it."""
    segment = {"label": "wave", "start_seconds": 1.0, "end_seconds": 2.5, "score": 0.5}
    return [segment | change]


@pytest.mark.parametrize(
    ("found", "right"),
    [
        (segments(), True),
        (segments(end_seconds=2.54, score=0.5009), True),
        (segments(label="jump"), False),
        (segments(start_seconds=1.06), False),
        (segments(score=0.502), False),
        (segments(score=float("nan")), False),
        ([], False),
    ],
)
def test_segments_that_are_off_are_told(
    gpu_run: ModuleType, found: list[dict[str, object]], right: bool
) -> None:
    one = spread_of([1.0])
    made = {"seconds": one, "processor_seconds": one, "peak_megabytes": 1.0, "frames": 3}
    have, want = (
        gpu_run.Run(name=name, segments=given, **made)
        for name, given in (("new", found), ("old", segments()))
    )
    assert (gpu_run._differences(have, want) == []) is right


def engines_arguments(stem: Path, *networks: str) -> argparse.Namespace:
    return argparse.Namespace(
        device="cpu", networks=networks, batches=[1], short_side=256, crop_size=224, output=stem
    )


def test_engines_without_time_are_left_out_and_the_first_stays(tmp_path: Path) -> None:
    gpu_engines = importlib.import_module("benchmarks.gpu.engines")
    # The time is over when the first engine has answered, which the others are held against.
    moments = itertools.chain([0.0] * 3, itertools.repeat(100.0))
    budget = Budget(seconds=10.0, clock=lambda: next(moments))
    found = gpu_engines.measure(engines_arguments(tmp_path / "engines", "heads", "vgg16"), budget)
    assert [row["engine"] for row in found.document["rows"]] == ["torch eager"]
    assert found.left_out == dict.fromkeys(
        ("heads, torch.compile", "heads, ONNX Runtime", "vgg16"), "the budget was spent"
    )
    assert found.wrong == ()
    # What there was is kept on the way.
    assert results(tmp_path / "engines")["rows"] == json.loads(json.dumps(found.document["rows"]))


@without_gpu
def test_what_needs_a_gpu_says_so_and_is_skipped(tmp_path: Path) -> None:
    done = run("engines", tmp_path / "engines")
    assert done.returncode == SKIPPED, done.stderr
    assert done.stdout.count("\n") == 1
    assert not list(tmp_path.iterdir())


@pytest.mark.parametrize("script", ["launch", "engines", "run"])
def test_every_option_is_explained(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], script: str
) -> None:
    with pytest.raises(SystemExit):
        importlib.import_module(f"benchmarks.gpu.{script}").main(["--help"])
    # Below an option that has no words of its own stands the next one.
    options = re.split(r"\n  (?=-)", capsys.readouterr().out.partition("options:")[2])[1:]
    assert len(options) > 1
    for option in options:
        assert re.search(r"\S(?:  +|\n +)\w", option) is not None, option


@without_gpu
def test_a_device_that_is_missing_leaves_the_others(tmp_path: Path) -> None:
    stem = tmp_path / "run"
    assert run("run", stem, "--repeats", "1", "--budget", "3600").returncode == 0
    document = results(stem)
    assert [each["name"] for each in document["runs"]] == ["ONNX Runtime, cpu"]
    assert set(document["left_out"]) == {"ONNX Runtime, cuda", "TensorRT, cuda"}


def test_a_command_that_takes_too_long_is_left_out(gpu_run: ModuleType) -> None:
    command = [sys.executable, "-c", "import time; time.sleep(60)"]
    with pytest.raises(gpu_run.NotHere, match="a command did not end in the 1 s that were left"):
        gpu_run._finished("a command", command, Budget(seconds=0.0, clock=lambda: 0.0))


@pytest.mark.parametrize(
    ("capability", "target"),
    [((8, 0), 80), ((8, 7), 86), ((8, 9), 89), ((9, 0), 90), ((10, 3), 89), ((12, 1), 89)],
)
def test_every_gpu_gets_kernels_that_it_takes(
    monkeypatch: pytest.MonkeyPatch, capability: tuple[int, int], target: int
) -> None:
    gpu_launch = importlib.import_module("benchmarks.gpu.launch")
    gpu = Gpu(ordinal=0, name="GPU", compute_capability=capability, num_bytes=2**30)
    assert gpu_launch._target(gpu) == target


def test_a_gpu_that_is_too_old_for_the_kernels_is_told(monkeypatch: pytest.MonkeyPatch) -> None:
    gpu_launch = importlib.import_module("benchmarks.gpu.launch")
    gpu = Gpu(ordinal=0, name="Old", compute_capability=(7, 5), num_bytes=2**30)
    with pytest.raises(gpu_launch.NotHere, match=r"8\.0 and later, this is GPU 0: Old"):
        gpu_launch._target(gpu)
