"""Which binding opens a GPU, and what is said where none can."""

from __future__ import annotations

import sys
from pathlib import Path

import pytest

from wsgn.engines.cuda import open as opening
from wsgn.engines.cuda.device import Device
from wsgn.engines.cuda.driver import Driver, Gpu
from wsgn.engines.cuda.open import open_device
from wsgn.errors import EngineError, UsageError

GPU = Gpu(ordinal=0, name="Planted", compute_capability=(9, 0), num_bytes=2**30)


@pytest.fixture
def one_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(opening, "probe_driver", lambda: Driver(version=(13, 0), gpus=(GPU,)))


def install(folder: Path, monkeypatch: pytest.MonkeyPatch, **modules: str) -> None:
    """Let these modules, and no others of the bindings, be what is installed."""
    for name in [name for name in sys.modules if name.partition(".")[0] in ("cuda", "pycuda")]:
        monkeypatch.delitem(sys.modules, name)
    for name, text in modules.items():
        package = folder.joinpath(*name.split("_"))
        package.mkdir(parents=True)
        (package / "__init__.py").write_text(text)
    standard = [path for path in sys.path if "site-packages" not in path]
    monkeypatch.setattr(sys, "path", [str(folder), *standard])


def made(binding: str) -> tuple[str, object]:
    """What stands for the device of a binding."""

    def make(gpu: Gpu) -> Device:
        return (binding, gpu)  # type: ignore[return-value]

    return opening._BINDINGS[binding][0], make


@pytest.mark.parametrize(
    ("installed", "wanted", "expected"),
    [
        (["pycuda", "cuda_bindings"], None, "pycuda"),
        (["pycuda", "cuda_bindings"], "cuda-bindings", "cuda-bindings"),
        (["pycuda"], None, "pycuda"),
        (["cuda_bindings"], None, "cuda-bindings"),
    ],
)
@pytest.mark.usefixtures("one_gpu")
def test_the_binding_that_is_taken(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    installed: list[str],
    wanted: str | None,
    expected: str,
) -> None:
    install(tmp_path, monkeypatch, **dict.fromkeys(installed, ""))
    monkeypatch.setattr(opening, "_BINDINGS", {name: made(name) for name in opening.BINDINGS})
    assert open_device(binding=wanted) == (expected, GPU)


@pytest.mark.parametrize(
    ("installed", "wanted", "missing"),
    [
        ([], None, "pycuda or cuda-bindings"),
        (["pycuda"], "cuda-bindings", "cuda-bindings"),
        (["cuda_bindings"], "pycuda", "pycuda"),
        # Another package named cuda, without the bindings.
        (["cuda"], "cuda-bindings", "cuda-bindings"),
    ],
)
@pytest.mark.usefixtures("one_gpu")
def test_a_binding_that_is_missing(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    installed: list[str],
    wanted: str | None,
    missing: str,
) -> None:
    install(tmp_path, monkeypatch, **dict.fromkeys(installed, ""))
    with pytest.raises(EngineError, match=rf"Planted .* without {missing}, .*wsgn\[tensorrt\]"):
        open_device(binding=wanted)


@pytest.mark.usefixtures("one_gpu")
def test_a_binding_that_cannot_be_loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """It is named; the other one is not taken in silence."""
    broken = "raise ImportError('undefined symbol: cuPlanted')"
    install(tmp_path, monkeypatch, pycuda=broken, cuda_bindings="")
    with pytest.raises(EngineError, match=r"pycuda is installed and cannot .*cuPlanted"):
        open_device()


@pytest.mark.usefixtures("one_gpu")
def test_an_ordinal_and_a_name_that_do_not_exist() -> None:
    with pytest.raises(EngineError, match=r"no GPU 3: this machine has GPU 0: Planted"):
        open_device(3)
    with pytest.raises(UsageError, match="pycuda or cuda-bindings, got 'torch'"):
        open_device(binding="torch")


def test_the_driver_is_asked_before_anything_is_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> Driver:
        raise EngineError("planted.")

    monkeypatch.setattr(opening, "probe_driver", refuse)
    monkeypatch.setattr(opening, "_BINDINGS", dict.fromkeys(opening.BINDINGS, ("no.such", None)))
    with pytest.raises(EngineError, match=r"^planted\.$"):
        open_device()
