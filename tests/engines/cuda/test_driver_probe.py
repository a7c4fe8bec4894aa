"""Asking the driver: against none, and against a stand-in that answers what it is told to."""

from __future__ import annotations

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from commands import HANG_SECONDS
from places import ROOT
from stand_in_library import LIBRARY

from wsgn.engines.cuda.driver import Driver, Gpu, describe_driver, probe_driver
from wsgn.errors import EngineError

PROBE = """
import sys
from wsgn.engines.cuda.driver import describe_driver, probe_driver
from wsgn.errors import EngineError
try:
    print("found", probe_driver())
except EngineError as error:
    print("refused", error)
print("described", describe_driver())
print("loaded", [name for name in ("pycuda", "cuda", "torch", "numpy") if name in sys.modules])
"""


def probe(folder: Path | None, **settings: str) -> dict[str, str]:
    """What PROBE prints, by its first word, where the driver is the one in the folder."""
    environment = os.environ | {"PYTHONPATH": str(ROOT)} | settings
    if folder is not None:
        environment["LD_LIBRARY_PATH"] = str(folder)
    done = subprocess.run(
        [sys.executable, "-c", PROBE],
        env=environment,
        capture_output=True,
        text=True,
        timeout=HANG_SECONDS,
        check=False,
    )
    assert (done.returncode, done.stderr) == (0, "")
    return dict(line.split(" ", 1) for line in done.stdout.splitlines())


def has_driver() -> bool:
    try:
        ctypes.CDLL(LIBRARY)
    except OSError:
        return False
    return True


@pytest.mark.skipif(has_driver(), reason="this machine has an NVIDIA driver")
def test_no_driver() -> None:
    assert probe(None) == {
        "refused": f"no NVIDIA driver was found ({LIBRARY} cannot be loaded): install one, "
        "or use --device cpu with the .onnx file.",
        "described": "None",
        "loaded": "[]",
    }


def test_a_file_that_is_no_library(tmp_path: Path) -> None:
    (tmp_path / LIBRARY).write_text("not a library")
    if has_driver():
        pytest.skip("the loader would take this machine's own NVIDIA driver instead")
    assert probe(tmp_path)["refused"].startswith("no NVIDIA driver was found")


def test_a_library_that_is_no_driver(stand_in_folder: Path, tmp_path: Path) -> None:
    """One that can be loaded, under the driver's name, without its functions."""
    subprocess.run(
        [
            "cc",
            "-shared",
            f"-Wl,-soname,{LIBRARY}",
            "-o",
            tmp_path / LIBRARY,
            "-x",
            "c",
            os.devnull,
        ],
        check=True,
    )
    refused = probe(tmp_path)["refused"]
    assert refused.startswith(f"{LIBRARY} is no usable NVIDIA driver (it lacks cuInit)")


def test_two_gpus(stand_in_folder: Path) -> None:
    expected = (
        "driver for CUDA 12.8, GPU 0: Stand-in A (compute capability 9.0, 1.0 GiB), "
        "GPU 1: Stand-in B (compute capability 9.1, 2.0 GiB)"
    )
    answers = probe(stand_in_folder, STAND_IN_DEVICES="2", STAND_IN_VERSION="12080")
    assert answers == {"found": expected, "described": expected, "loaded": "[]"}


@pytest.mark.parametrize(
    ("code", "words"),
    [
        (34, ["CUDA_ERROR_STUB_LIBRARY", "LD_LIBRARY_PATH"]),
        (100, ["CUDA_ERROR_NO_DEVICE", "no CUDA-capable device", "CUDA_VISIBLE_DEVICES"]),
        (803, ["CUDA_ERROR_SYSTEM_DRIVER_MISMATCH", "restart the machine"]),
        # Codes for which the stand-in has no words.
        (802, ["error 802", "nvidia-fabricmanager"]),
        (4711, ["error 4711", "nvidia-smi"]),
    ],
)
def test_a_driver_that_does_not_start(stand_in_folder: Path, code: int, words: list[str]) -> None:
    answers = probe(stand_in_folder, STAND_IN_INIT=str(code))
    refused = answers["refused"]
    assert refused.startswith("the NVIDIA driver cannot be used (")
    assert refused.endswith("or use --device cpu with the .onnx file.")
    assert [word for word in words if word not in refused] == []
    assert answers["described"] == refused


def test_a_driver_without_gpus(stand_in_folder: Path) -> None:
    answers = probe(stand_in_folder, STAND_IN_DEVICES="0")
    assert answers["refused"].startswith("the NVIDIA driver finds no GPU: look at nvidia-smi")


def test_a_gpu_that_is_not_there() -> None:
    gpus = tuple(
        Gpu(ordinal=ordinal, name=name, compute_capability=(9, 0), num_bytes=2**30)
        for ordinal, name in enumerate(["First", "Second"])
    )
    driver = Driver(version=(13, 0), gpus=gpus)
    assert driver.gpu(1).name == "Second"
    for wrong in (-1, 2):
        with pytest.raises(EngineError, match=rf"no GPU {wrong}: .*GPU 0: First.*GPU 1: Second"):
            driver.gpu(wrong)


@pytest.mark.skipif(not has_driver(), reason="no NVIDIA driver on this machine")
def test_the_driver_of_this_machine() -> None:
    try:
        driver = probe_driver()
    except EngineError as error:
        pytest.skip(str(error))
    assert describe_driver() == str(driver)
    assert driver.version >= (11, 0)
    assert [gpu.ordinal for gpu in driver.gpus] == list(range(len(driver.gpus)))
    for gpu in driver.gpus:
        assert gpu.name
        assert (5, 0) <= gpu.compute_capability < (20, 0)
        assert 2**30 <= gpu.num_bytes < 2**42
