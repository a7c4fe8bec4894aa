"""The plain install without extras, in its own environment, and what the runtime loads here."""

from __future__ import annotations

import json
import os
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest
from commands import HANG_SECONDS, run_python
from places import ROOT

FOLDERS = {"wsgn": "", "kernels": "kernels", "export": "export", "runtime": "runtime"}
DATA = ("*.py", "py.typed", "*.onnx", "*.mp4", "*.json", "*.css", "*.js")

Run = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture(scope="module")
def python() -> Path:
    """The interpreter of the lean environment."""
    path = os.environ.get("WSGN_LEAN_PYTHON")
    if not path:
        pytest.skip("WSGN_LEAN_PYTHON names no lean environment; make test does")
    return Path(path)


@pytest.fixture
def run(python: Path, tmp_path: Path) -> Run:
    """Run a command of the lean environment in an empty folder."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    environment = {key: value for key, value in os.environ.items() if key != "PYTHONPATH"}

    def run_command(command: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [python.parent / command, *arguments],
            cwd=folder,
            env=environment,
            stdin=subprocess.DEVNULL,
            capture_output=True,
            text=True,
            timeout=HANG_SECONDS,
            check=False,
        )

    return run_command


@pytest.fixture
def annotations(tmp_path: Path) -> str:
    video = {"subset": "train", "duration": 9, "annotations": [{"label": "a", "segment": [1, 2]}]}
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps({"database": {"video": video}}))
    return str(path)


@pytest.mark.parametrize("name", ["torch", "onnx", "onnxscript", "safetensors", "PIL", "pytest"])
def test_the_extras_are_not_there(run: Run, name: str) -> None:
    done = run("python", "-c", f"import {name}")
    assert f"No module named '{name}'" in done.stderr


def test_the_package_is_the_tree(run: Run) -> None:
    """Every module and data file is installed, byte for byte, and nothing else."""
    done = run("python", "-c", "import wsgn; print(wsgn.__path__)")
    (installed,) = [Path(path) for path in json.loads(done.stdout.replace("'", '"'))]
    assert not installed.is_relative_to(ROOT / "wsgn")
    tree = {
        Path(inside) / path.relative_to(ROOT / folder): path.read_bytes()
        for folder, inside in FOLDERS.items()
        for pattern in DATA
        for path in (ROOT / folder).rglob(pattern)
    }
    found = {
        path.relative_to(installed): path.read_bytes()
        for path in installed.rglob("*")
        if path.is_file() and path.suffix != ".pyc"
    }
    assert sorted(found) == sorted(tree)
    assert [path for path, content in found.items() if content != tree[path]] == []


@pytest.mark.parametrize("word", ["--help", "--version", "doctor"])
def test_the_command_starts(run: Run, word: str) -> None:
    done = run("wsgn-run", word)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.strip()


def test_the_public_face_can_be_imported(run: Run) -> None:
    code = "import wsgn.runtime as r; print(all(hasattr(r, name) for name in r.__all__))"
    done = run("python", "-W", "error", "-c", code)
    assert (done.returncode, done.stdout, done.stderr) == (0, "True\n", "")


def test_the_names_that_need_no_extra_are_there_and_the_others_say_which(run: Run) -> None:
    code = """
import wsgn
for name in wsgn.__all__:
    try:
        getattr(wsgn, name)
    except wsgn.MissingExtraError as error:
        assert str(error).startswith(f"wsgn.{name} needs") and "'wsgn[train]'" in str(error)
        print(name)
"""
    done = run("python", "-W", "error", "-c", code)
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.split() == [
        "Checkpoint",
        "find_segments",
        "frame_selection",
        "load_checkpoint",
        "open_data",
        "predict_videos",
        "save_checkpoint",
        "video_selection",
    ]
    listed = run("python", "-c", "import wsgn; print(*set(wsgn.__all__) - set(dir(wsgn)))")
    assert sorted(listed.stdout.split()) == done.stdout.split()
    assert "find segments" in run("python", "-c", "import wsgn; help(wsgn)").stdout


def test_evaluation_needs_no_extra(run: Run) -> None:
    assert run("wsgn-eval", "--help").returncode == 0


def advice(done: subprocess.CompletedProcess[str], extra: str) -> None:
    """One line on stderr that names the extra."""
    assert done.returncode == 2, done.stderr
    assert done.stdout == ""
    assert len(done.stderr.splitlines()) == 1
    assert f"pip install 'wsgn[{extra}]'" in done.stderr


def test_training_asks_for_its_extra(run: Run, annotations: str) -> None:
    advice(run("wsgn-train", annotations, "--videos", ".", "-o", "out"), "train")


def test_making_videos_asks_for_its_extra(run: Run) -> None:
    advice(run("wsgn-synthesize", "videos", "out"), "synthetic")


def test_making_features_asks_for_its_extra(run: Run, annotations: str) -> None:
    advice(run("wsgn-synthesize", "features", "out", "--annotations", annotations), "train")


@pytest.mark.parametrize("script", [False, True])
def test_exporting_asks_for_its_extra(run: Run, script: bool) -> None:
    start = [str(ROOT / "export" / "to_onnx.py")] if script else ["-m", "wsgn.export.to_onnx"]
    advice(run("python", *start, "model.safetensors", "-o", "out.onnx"), "export")


@pytest.mark.skipif(
    not (ROOT / "runtime" / "demo" / "demo.onnx").is_file(),
    reason="runtime/demo/demo.onnx is not there yet",
)
def test_the_demo_runs(run: Run) -> None:
    done = run("wsgn-run", "--demo")
    assert done.returncode == 0, done.stderr
    assert "true segments found" in done.stdout


def test_the_runtime_loads_no_torch_where_there_is_one() -> None:
    heavy = ("torch", "onnx", "onnxruntime", "tqdm", "PIL", "safetensors")
    code = f"import sys, wsgn.runtime.cli.run; print([n for n in {heavy} if n in sys.modules])"
    done = run_python("-c", code)
    assert (done.stdout, done.stderr) == ("[]\n", "")
