"""`wsgn-run` where packages are damaged, or Ctrl-C comes while they are loaded.

Each test has its own folder of packages: links to the real ones, and one that is spoilt.
"""

from __future__ import annotations

import subprocess
from collections.abc import Callable
from pathlib import Path

import av
import dacite
import numpy
import onnxruntime
import pytest
import tqdm
from commands import run_python
from places import ROOT

DEMO = ROOT / "runtime" / "demo"
RUN = (str(DEMO / "demo.mp4"), "-e", str(DEMO / "demo.onnx"))

WsgnRun = Callable[..., "subprocess.CompletedProcess[str]"]


@pytest.fixture
def site(tmp_path: Path) -> Path:
    """Every installed package, by links."""
    folder = tmp_path / "site"
    folder.mkdir()
    for package in (numpy, av, dacite, onnxruntime, tqdm):
        for entry in Path(package.__file__).parents[1].iterdir():
            if not (folder / entry.name).exists():
                (folder / entry.name).symlink_to(entry)
    return folder


@pytest.fixture
def wsgn_run(site: Path, environment: dict[str, str]) -> WsgnRun:
    """`wsgn-run` with the packages of that folder and no others."""

    def run(*arguments: str) -> subprocess.CompletedProcess[str]:
        code = "import sys; from wsgn.runtime.cli.main import main; sys.exit(main())"
        # Without -S the interpreter would add its own packages.
        paths = environment | {"PYTHONPATH": f"{site}:{ROOT}"}
        return run_python("-S", "-c", code, *arguments, env=paths)

    return run


def half_remove(package: Path, *left: str) -> None:
    """Leave folders only, as pip does where another package wrote the rest."""
    package.unlink()
    for name in left:
        (package / name).mkdir(parents=True)


def replace(package: Path, code: str) -> None:
    """Put another package in its place."""
    package.unlink()
    package.mkdir()
    (package / "__init__.py").write_text(code)


def test_the_folder_of_links_is_healthy(wsgn_run: WsgnRun) -> None:
    """Or the others would show nothing."""
    assert wsgn_run(*RUN).returncode == 0


def test_a_half_removed_onnxruntime_is_said_with_what_to_do(site: Path, wsgn_run: WsgnRun) -> None:
    half_remove(site / "onnxruntime", "capi", "tools")
    wanted = "pip uninstall -y onnxruntime onnxruntime-gpu, then install the one you need again."
    done = wsgn_run(*RUN)
    assert (done.returncode, done.stdout) == (5, "")
    assert done.stderr.startswith("wsgn-run: error: ONNX Runtime is damaged (")
    assert done.stderr.endswith(f"{wanted}\n")
    assert done.stderr.count("\n") == 1
    done = wsgn_run("doctor")
    assert (done.returncode, done.stderr) == (5, "")
    assert "\nproblem: ONNX Runtime is damaged (" in done.stdout


@pytest.mark.parametrize("name", ["numpy", "av", "dacite", "tqdm"])
def test_doctor_survives_a_damaged_package(site: Path, wsgn_run: WsgnRun, name: str) -> None:
    half_remove(site / name, "core")
    done = wsgn_run("doctor")
    assert (done.returncode, done.stderr) == (5, "")
    (problem,) = [line for line in done.stdout.splitlines() if line.startswith("problem")]
    assert f"{name}) is damaged" in problem or f"{name} is damaged" in problem
    assert f"pip install --force-reinstall {name}." in problem
    # It goes on behind that.
    assert "cuda-bindings" in done.stdout


@pytest.mark.parametrize("name", ["numpy", "av", "dacite"])
@pytest.mark.parametrize("code", ["", "raise RuntimeError('illegal instruction')"])
def test_a_run_with_a_damaged_package_is_one_sentence(
    site: Path, wsgn_run: WsgnRun, name: str, code: str
) -> None:
    if code:
        replace(site / name, code)
    else:
        half_remove(site / name, "core")
    done = wsgn_run(*RUN)
    assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1)
    assert "is damaged (" in done.stderr
    assert (code == "") != ("illegal instruction" in done.stderr)


@pytest.mark.parametrize(
    ("code", "limit"),
    [
        ("raise ImportError('libx.so.1: failed to map segment from shared object')", "ulimit -v"),
        ("raise ImportError('libx.so.1: cannot open: Cannot allocate memory')", "ulimit -v"),
        ("raise MemoryError", "ulimit -v"),
        ("raise OSError(12, 'Cannot allocate memory')", "ulimit -v"),
        ("raise OSError(24, 'Too many open files')", "ulimit -n"),
        ("raise ImportError('libx.so.1: cannot open: Too many open files')", "ulimit -n"),
    ],
)
def test_a_package_that_a_limit_stops_is_not_called_damaged(
    site: Path, wsgn_run: WsgnRun, code: str, limit: str
) -> None:
    for name in ("onnxruntime", "av"):
        replace(site / name, code)
        done = wsgn_run(*RUN)
        assert (done.returncode, done.stdout, done.stderr.count("\n")) == (5, "", 1)
        assert limit in done.stderr
        assert "damaged" not in done.stderr
        assert "install" not in done.stderr


def test_doctor_sees_a_package_that_lacks_a_part(site: Path, wsgn_run: WsgnRun) -> None:
    (site / "numpy").unlink()
    (site / "numpy").mkdir()
    for entry in Path(numpy.__file__).parent.iterdir():
        if entry.name != "typing":
            (site / "numpy" / entry.name).symlink_to(entry)
    done = wsgn_run("doctor")
    assert (done.returncode, done.stderr) == (5, "")
    assert "problem: numpy is damaged (No module named 'numpy.typing')" in done.stdout


def test_doctor_names_what_is_missing(site: Path, wsgn_run: WsgnRun) -> None:
    (site / "av").unlink()
    done = wsgn_run("doctor")
    assert done.returncode == 5
    assert "problem: PyAV (av) is not installed: pip install av." in done.stdout


# As the interpreter raises it, and as C code that imports NumPy passes it on.
@pytest.mark.parametrize(
    "code",
    [
        "import os, signal; os.kill(os.getpid(), signal.SIGINT)",
        "raise ImportError('wrapped') from KeyboardInterrupt()",
    ],
)
@pytest.mark.parametrize("name", ["numpy", "onnxruntime"])
def test_an_interrupt_while_packages_are_loaded_is_quiet(
    site: Path, wsgn_run: WsgnRun, name: str, code: str
) -> None:
    replace(site / name, code)
    done = wsgn_run(*RUN)
    assert (done.returncode, done.stdout, done.stderr) == (130, "", "")
