"""wsgn sends nothing and writes nowhere but its outputs: no file below HOME, no word to a network.

ONNX Runtime 1.32, left alone, writes an identity below HOME while it is imported, and asks for the
address of its makers some ten seconds later.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import planted
import pytest
from commands import HANG_SECONDS, run_python
from places import ROOT

Quiet = Callable[..., "subprocess.CompletedProcess[str]"]

RUN = "import sys; from wsgn.runtime.cli.main import main; sys.exit(main(sys.argv[1:]))"
# A file of a server that has no wsgn, with a switch of its own.
ALONE = "export/triton_server/model.py"
# Longer than ONNX Runtime waits before its first question.
SECONDS_OF_SILENCE = 15


@pytest.fixture(scope="session")
def shim(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A library that writes down what a process asks of the network."""
    compiler = shutil.which("cc") or shutil.which("gcc") or shutil.which("clang")
    if compiler is None or not sys.platform.startswith("linux"):
        pytest.skip("what a process asks of the network shows on Linux, with a C compiler")
    path = tmp_path_factory.mktemp("shim") / "network.so"
    source = Path(__file__).with_name("network_shim.c")
    subprocess.run([compiler, "-shared", "-fPIC", "-o", path, source, "-ldl"], check=True)
    return path


@pytest.fixture
def home(tmp_path: Path) -> Path:
    folder = tmp_path / "home"
    folder.mkdir()
    return folder


@pytest.fixture
def watched(shim: Path, home: Path, tmp_path: Path) -> dict[str, str]:
    """An environment with an empty HOME, in which calls of the network are written down."""
    kept = {key: value for key, value in os.environ.items() if not key.startswith(("XDG_", "ORT_"))}
    return kept | {
        "HOME": str(home),
        "PYTHONPATH": str(ROOT),
        "LD_PRELOAD": str(shim),
        "NETWORK_LOG": str(tmp_path / "network.log"),
    }


@pytest.fixture
def quiet(watched: dict[str, str], home: Path, tmp_path: Path) -> Quiet:
    """Run Python and hold it to the promise."""

    def run(*words: object, **changes: str) -> subprocess.CompletedProcess[str]:
        done = run_python(*words, env=watched | changes, cwd=tmp_path)
        assert done.returncode == 0, done.stderr
        assert_quiet(home, tmp_path)
        return done

    return run


def assert_quiet(home: Path, tmp_path: Path) -> None:
    assert list(home.rglob("*")) == []
    assert not (tmp_path / "network.log").exists()


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.write_engine(tmp_path_factory.mktemp("engine") / "planted.onnx")


@pytest.fixture(scope="module")
def video(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return planted.write_video(tmp_path_factory.mktemp("video") / "planted.mp4")


def test_the_shim_hears_what_it_is_for(watched: dict[str, str], tmp_path: Path) -> None:
    code = """
import contextlib, socket
with contextlib.suppress(OSError):
    socket.create_connection(("127.0.0.1", 9), timeout=1)
socket.socket(socket.AF_INET, socket.SOCK_DGRAM).sendto(b"x", ("127.0.0.1", 9))
"""
    assert run_python("-c", code, env=watched).returncode == 0
    heard = (tmp_path / "network.log").read_text().split("\n")
    assert [line.strip() for line in heard if line] == [
        "getaddrinfo 127.0.0.1",
        "connect",
        "sendto",
    ]


@pytest.mark.parametrize(
    "arguments", [("doctor",), ("manifest", "ENGINE"), ("VIDEO", "-e", "ENGINE")]
)
def test_wsgn_run_is_quiet(
    arguments: tuple[str, ...], quiet: Quiet, engine: Path, video: Path
) -> None:
    places = {"ENGINE": engine, "VIDEO": video}
    quiet("-c", RUN, *(places.get(word, word) for word in arguments))


@pytest.mark.parametrize("first", ["wsgn", "wsgn.runtime", "wsgn.engines.open", "wsgn.export"])
def test_whoever_imports_wsgn_first_may_import_onnxruntime(
    first: str, quiet: Quiet, engine: Path
) -> None:
    code = f"""
import sys, {first}
import onnxruntime
onnxruntime.InferenceSession(sys.argv[1], providers=["CPUExecutionProvider"])
"""
    quiet("-c", code, engine)


def test_a_switch_that_was_turned_on_is_turned_off(quiet: Quiet, engine: Path, video: Path) -> None:
    quiet("-c", RUN, video, "-e", engine, ORT_DISABLE_TELEMETRY="0")
    code = """
import os, sys, wsgn
os.environ.pop("ORT_DISABLE_TELEMETRY")
wsgn.open_engine(sys.argv[1]).close()
"""
    quiet("-c", code, engine)


def test_training_and_export_are_quiet(quiet: Quiet, tmp_path: Path) -> None:
    from toy import write_toy_dataset

    folder = write_toy_dataset(tmp_path)
    train = (folder / "annotations.json", "--features", folder / "features", "-o", folder / "run")
    quiet("-m", "wsgn.training.cli", *train, "--steps", 2, "--test", "test", "--subset", "train")
    exported = quiet("-m", "wsgn.export.to_onnx", folder / "run/model.safetensors", "-o", "a.onnx")
    assert "parity" in exported.stdout


def test_a_server_s_model_is_quiet(quiet: Quiet, engine: Path) -> None:
    code = "import sys, pathlib, model; model.Graph(pathlib.Path(sys.argv[1]))"
    quiet("-c", code, engine, PYTHONPATH=str(ROOT / Path(ALONE).parent))


def test_kernels_are_compiled_without_a_cache_below_home(
    quiet: Quiet, watched: dict[str, str], tmp_path: Path
) -> None:
    pytest.importorskip("triton", reason="Triton is for Linux only")
    watched.pop("TRITON_CACHE_DIR", None)
    watched.pop("TRITON_INTERPRET", None)
    (tmp_path / "temporary").mkdir()
    output = ("-o", tmp_path / "kernels", "--targets", 80, "--classes", 3)
    quiet("-m", "wsgn.export.to_cubin", *output, TMPDIR=str(tmp_path / "temporary"))
    left = [path for path in (tmp_path / "temporary").rglob("*") if path.is_file()]
    assert left == []


def test_a_long_run_is_quiet(
    watched: dict[str, str], home: Path, tmp_path: Path, engine: Path, video: Path
) -> None:
    """The one slow test: a camera's pipe stays open for longer than ONNX Runtime waits."""
    process = subprocess.Popen(
        [sys.executable, "-c", RUN, "-", "-e", engine, "-q"],
        env=watched,
        stdin=subprocess.PIPE,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
    )
    assert process.stdin is not None
    process.stdin.write(video.read_bytes())
    process.stdin.flush()
    time.sleep(SECONDS_OF_SILENCE)
    _, words = process.communicate(timeout=HANG_SECONDS)
    assert (process.returncode, words) == (0, b"")
    assert_quiet(home, tmp_path)


def test_every_import_of_onnxruntime_goes_through_the_switch() -> None:
    pattern = re.compile(r"^\s*(import|from) onnxruntime\b", re.MULTILINE)
    folders = ("wsgn", "kernels", "export", "runtime", "benchmarks", "tools")
    found = {
        path.relative_to(ROOT).as_posix()
        for folder in folders
        for path in (ROOT / folder).rglob("*.py")
        if pattern.search(path.read_text(encoding="utf-8"))
    }
    assert found == {ALONE}
