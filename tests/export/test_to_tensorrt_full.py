"""The command with full TensorRT on a machine with a GPU, both stood in for."""

from __future__ import annotations

import functools
import os
import shutil
import sys
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, Self

import fake_tensorrt
import numpy as np
import onnxruntime
import pytest
from plan_graphs import SIZE, feature_manifest, heads, save, selection

from wsgn.engines.cuda.driver import Driver, Gpu
from wsgn.engines.tensorrt import library
from wsgn.engines.tensorrt.session import PlanSession
from wsgn.engines.tensorrt.sidecar import network_name, read_sidecar
from wsgn.errors import EngineError
from wsgn.export.plan import target as plan_target
from wsgn.export.to_tensorrt import main
from wsgn.kernels.ahead_of_time import tensorrt_plugin

H200 = Gpu(ordinal=0, name="NVIDIA H200", compute_capability=(9, 0), num_bytes=1 << 37)


@pytest.fixture(autouse=True)
def bindings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder in which `tensorrt` is installed, before everything else."""
    folder = tmp_path / "site-packages"
    folder.mkdir()
    shutil.copy(fake_tensorrt.__file__, folder / "tensorrt.py")
    monkeypatch.syspath_prepend(folder)
    monkeypatch.delitem(sys.modules, "tensorrt", raising=False)
    load = library._load
    fake = functools.cache(load.__wrapped__)
    # TensorRT-RTX keeps the logger that it has in this process.
    monkeypatch.setattr(library, "_load", lambda name: (fake if name == "tensorrt" else load)(name))
    yield folder
    sys.modules.pop("tensorrt", None)


@pytest.fixture
def _gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    driver = Driver(version=(13, 0), gpus=(H200,))
    monkeypatch.setattr(plan_target, "probe_driver", lambda: driver)


class StandIn:
    """A session that computes by ONNX Runtime what the plan's engine computes."""

    error = 0.0
    opened: tuple[Path, int] | None = None

    def __init__(self, engine: Path) -> None:
        self._session = onnxruntime.InferenceSession(engine, providers=["CPUExecutionProvider"])

    def run(self, inputs: Mapping[str, Any]) -> dict[str, np.ndarray]:
        names = [output.name for output in self._session.get_outputs()]
        found = self._session.run(names, dict(inputs))
        return {n: value + self.error for n, value in zip(names, found, strict=True)}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *arguments: object) -> None: ...


@pytest.fixture
def engine(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    path = save(heads(), tmp_path / "m.onnx")

    def stand_in(plan: Path, *, ordinal: int, library: library.Library) -> StandIn:
        # What is opened is the plan with its sidecar, not yet under their names.
        assert read_sidecar(plan).library == library.name
        assert plan != path.with_name("m.plan")
        StandIn.opened = plan, ordinal
        return StandIn(path)

    monkeypatch.setattr(PlanSession, "open", stand_in)
    monkeypatch.setattr(StandIn, "error", 0.0)
    monkeypatch.setattr(StandIn, "opened", None)
    return path


def build(engine: Path, *more: str) -> tuple[int, Path]:
    plan = engine.with_name("m.plan")
    return main([str(engine), "-o", str(plan), *more]), plan


def last_build() -> Any:
    return sys.modules["tensorrt"].builds[-1]


def files(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir() if path.is_file())


def test_without_a_driver_the_library_is_not_even_loaded(
    engine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def missing() -> None:
        raise EngineError("no NVIDIA driver was found: buy one.")

    monkeypatch.setattr(plan_target, "probe_driver", missing)
    for more in ([], ["--library", "tensorrt"]):
        code, plan = build(engine, *more)
        assert code == 5
        said = capsys.readouterr().err
        assert "no NVIDIA driver was found: build on the machine that will run the plan" in said
        assert "tensorrt" not in sys.modules
        assert not plan.exists()


@pytest.mark.usefixtures("_gpu")
def test_the_plain_build(engine: Path, capsys: pytest.CaptureFixture[str]) -> None:
    code, plan = build(engine)
    assert code == 0
    made = last_build()
    assert made.network.document == engine.read_bytes()
    assert made.network.name == network_name(feature_manifest())
    # 1 << STRONGLY_TYPED.
    assert made.network.flags == 2
    assert made.config.flags == set()
    assert made.config.pools == {}
    assert made.config.hardware_compatibility_level == 0
    assert made.config.profiles == [
        {"features": ((1, SIZE), (8, SIZE), (64, SIZE))},
        {"features": ((1, SIZE), (256, SIZE), (1024, SIZE))},
    ]
    sidecar = read_sidecar(plan)
    assert (sidecar.library, sidecar.library_version) == ("tensorrt", "11.4.0.106")
    assert sidecar.compute_capability == "9.0"
    assert sidecar.flags == ()
    said = capsys.readouterr()
    assert "parity of TensorRT 11.4.0.106 on NVIDIA H200 and ONNX Runtime for N = 1" in said.out
    assert "selection_logits     differs by at most 0.0e+00" in said.out
    assert "for compute capability 9.0" in said.out
    assert said.err == ""


@pytest.mark.usefixtures("_gpu")
def test_every_option_reaches_the_library_and_the_sidecar(
    engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--tf32", "--version-compatible", "--hardware-compatible", "--workspace-mb", "3"]
    code, plan = build(engine, *options, "-v")
    assert code == 0
    config = last_build().config
    assert config.flags == {6, 13}
    assert config.pools == {0: 3 * 1024 * 1024}
    assert config.hardware_compatibility_level == 1
    sidecar = read_sidecar(plan)
    assert sidecar.flags == ("tf32", "version_compatible", "hardware_compatible")
    # It is for several.
    assert sidecar.compute_capability == ""
    said = capsys.readouterr()
    # TensorFloat-32 has as many bits as float16.
    assert "tolerance 2e-02" in said.out
    assert "TensorRT 11.4.0.106: warning: a warning" in said.err
    assert "a note" not in said.err


@pytest.mark.usefixtures("_gpu")
def test_the_plugin_is_registered_and_preferred(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = save(selection(), tmp_path / "m.onnx")
    registered: list[tuple[str, tuple[int, int]]] = []
    monkeypatch.setattr(
        tensorrt_plugin, "register", lambda library, gpu: registered.append((library.name, gpu))
    )
    monkeypatch.setattr(PlanSession, "open", lambda *_, **__: StandIn(path))
    code, plan = build(path, "--plugin")
    assert code == 0
    assert registered == [("tensorrt", (9, 0))]
    flags = sys.modules["tensorrt"].NetworkDefinitionCreationFlag
    preferred = getattr(flags, tensorrt_plugin.NETWORK_FLAG)
    assert last_build().network.flags == 1 << flags.STRONGLY_TYPED | 1 << preferred
    assert b"plugin_namespace" in last_build().network.document
    assert read_sidecar(plan).flags == ("plugin",)


@pytest.mark.usefixtures("_gpu")
def test_timings_are_kept_and_used_again(engine: Path) -> None:
    cache = engine.with_name("timings")
    assert build(engine, "--timing-cache", str(cache))[0] == 0
    assert last_build().config.timings.content == b""
    assert cache.read_bytes() == fake_tensorrt.TIMINGS
    assert build(engine, "--timing-cache", str(cache), "--overwrite")[0] == 0
    assert last_build().config.timings.content == fake_tensorrt.TIMINGS
    assert files(engine.parent) == ["m.onnx", "m.plan", "m.plan.json", "timings"]


@pytest.mark.usefixtures("_gpu")
def test_a_file_that_is_no_timings_is_not_overwritten(
    engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    before = engine.read_bytes()
    assert build(engine, "--timing-cache", str(engine))[0] == 2
    assert "no timings of this GPU" in capsys.readouterr().err
    assert engine.read_bytes() == before
    assert build(engine, "--timing-cache", str(engine.parent))[0] == 2
    assert "cannot be read" in capsys.readouterr().err
    pipe = engine.with_name("pipe")
    os.mkfifo(pipe)
    assert build(engine, "--timing-cache", str(pipe))[0] == 2
    assert "name a regular file" in capsys.readouterr().err


@pytest.mark.usefixtures("_gpu")
def test_a_plan_that_is_off_is_not_left_behind(
    engine: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(StandIn, "error", 1e-2)
    assert build(engine)[0] == 5
    assert "the plan is off: selection_logits differs" in capsys.readouterr().err
    assert StandIn.opened is not None
    opened, ordinal = StandIn.opened
    assert (opened.name, opened.parent.parent, ordinal) == ("m.plan", engine.parent, 0)
    assert files(engine.parent) == ["m.onnx"]
    # The same is allowed where less is promised.
    assert build(engine, "--tf32")[0] == 0


@pytest.mark.usefixtures("_gpu")
def test_the_old_plan_stays_where_the_new_one_is_off(
    engine: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    build(engine)
    plan = engine.with_name("m.plan")
    before = plan.read_bytes(), plan.with_name("m.plan.json").read_bytes()
    monkeypatch.setattr(StandIn, "error", 1e-2)
    assert build(engine, "--overwrite", "--max-snippets", "5")[0] == 5
    assert (plan.read_bytes(), plan.with_name("m.plan.json").read_bytes()) == before


def test_a_gpu_that_tensorrt_rtx_does_not_support_builds_unchecked(
    engine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("tensorrt_rtx_bindings", reason="needs pip install tensorrt_rtx")
    driver = Driver(version=(13, 0), gpus=(H200,))
    monkeypatch.setattr(plan_target, "probe_driver", lambda: driver)
    code, plan = build(engine, "--library", "tensorrt_rtx")
    assert code == 0
    assert "TensorRT-RTX does not support the NVIDIA H200" in capsys.readouterr().err
    assert StandIn.opened is None
    assert read_sidecar(plan).compute_capability == ""
