"""The command with TensorRT-RTX, which builds without a GPU: what it writes."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Callable
from hashlib import sha256
from pathlib import Path

import pytest
from places import ROOT
from plan_command import build, require_rtx, without_driver
from plan_graphs import SIZE, feature_manifest, heads, save

from wsgn.engines.tensorrt.sidecar import PlanSidecar, ShapeRange, network_name, read_sidecar
from wsgn.export.plan import files as plan_files
from wsgn.export.plan.input import read_plan_input
from wsgn.export.plan.profiles import Limits, plan_profiles


@pytest.fixture(autouse=True)
def _no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    without_driver(monkeypatch)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return save(heads(), tmp_path / "m.onnx")


@pytest.fixture
def rtx() -> None:
    require_rtx()


@pytest.mark.usefixtures("rtx")
def test_a_plan_and_its_sidecar_are_of_each_other(
    engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    code, plan = build(engine)
    assert code == 0
    sidecar = read_sidecar(plan)
    assert sidecar.plan_sha256 == sha256(plan.read_bytes()).hexdigest()
    assert sidecar.network_name == network_name(feature_manifest())
    # The library keeps the name in the plan as it is.
    assert sidecar.network_name.encode() in plan.read_bytes()
    assert sorted(p.name for p in plan.parent.iterdir()) == ["m.onnx", "m.plan", "m.plan.json"]
    said = capsys.readouterr()
    assert "parity was NOT checked" in said.err
    assert "no NVIDIA driver was found" in said.err
    assert "buy" not in said.err
    assert "several GPU architectures" in said.out


@pytest.mark.usefixtures("rtx")
def test_the_sidecar_tells_how_it_was_built(engine: Path) -> None:
    import tensorrt_rtx_bindings

    _, plan = build(engine, "--tf32", "--workspace-mb", "64", "--max-snippets", "300")
    sidecar = read_sidecar(plan)
    assert sidecar.manifest == feature_manifest()
    assert (sidecar.library, sidecar.library_version) == (
        "tensorrt_rtx",
        tensorrt_rtx_bindings.__version__,
    )
    assert sidecar.compute_capability == ""
    system, machine = os.uname().sysname, os.uname().machine
    assert sidecar.platform == f"{system}-{machine}"
    assert sidecar.flags == ("tf32",)
    assert {profile.name: profile.inputs for profile in sidecar.profiles} == {
        "streaming": {
            "features": ShapeRange(minimum=(1, SIZE), optimum=(8, SIZE), maximum=(64, SIZE))
        },
        "offline": {
            "features": ShapeRange(minimum=(1, SIZE), optimum=(75, SIZE), maximum=(300, SIZE))
        },
    }


@pytest.mark.usefixtures("rtx")
def test_two_builds_differ_in_nothing_but_the_plans_own_bytes(engine: Path) -> None:
    sidecars = []
    for name in ("a.plan", "b.plan"):
        _, plan = build(engine, name=name)
        sidecar = json.loads(plan.with_name(name + ".json").read_text())
        assert sidecar.pop("plan_sha256") == sha256(plan.read_bytes()).hexdigest()
        sidecars.append(json.dumps(sidecar))
    assert sidecars[0] == sidecars[1]


@pytest.mark.usefixtures("rtx")
def test_the_file_runs_as_a_script(engine: Path) -> None:
    script = ROOT / "export" / "to_tensorrt.py"
    plan = engine.with_name("s.plan")
    command = [sys.executable, str(script), str(engine), "-o", str(plan)]
    done = subprocess.run(
        [*command, "--library", "tensorrt_rtx"], capture_output=True, text=True, cwd=engine.parent
    )
    assert done.returncode == 0, done.stderr
    assert read_sidecar(plan).manifest == feature_manifest()


@pytest.mark.usefixtures("rtx")
def test_what_is_there_is_replaced_only_when_asked(
    engine: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    _, plan = build(engine)
    before = plan.read_bytes(), plan.with_name("m.plan.json").read_bytes()
    assert build(engine, "--max-snippets", "9")[0] == 6
    assert "--overwrite" in capsys.readouterr().err
    assert (plan.read_bytes(), plan.with_name("m.plan.json").read_bytes()) == before
    assert build(engine, "--max-snippets", "9", "--overwrite")[0] == 0
    sidecar = read_sidecar(plan)
    assert sidecar.profiles[-1].inputs["features"].maximum == (9, SIZE)
    assert sidecar.plan_sha256 == sha256(plan.read_bytes()).hexdigest()


@pytest.mark.parametrize("cut", range(4))
def test_a_build_that_is_cut_off_leaves_no_plan_without_its_sidecar(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, cut: int
) -> None:
    plan = tmp_path / "m.plan"

    def sidecar(content: bytes) -> PlanSidecar:
        class Library:
            name, version = "tensorrt", "11.4"

        return plan_files.describe_plan(
            content,
            feature_manifest(),
            Library(),  # type: ignore[arg-type]
            compute_capability="9.0",
            flags=(),
            profiles=plan_profiles(read_plan_input(save(heads(), tmp_path / "m.onnx")), Limits()),
        )

    with plan_files.unchecked_plan(plan, b"old", sidecar(b"old")) as unchecked:
        plan_files.publish(unchecked, plan)
    done = 0

    def counted(real: Callable[..., object]) -> Callable[..., object]:
        def call(*arguments: object, **options: object) -> object:
            nonlocal done
            if done == cut:
                raise KeyboardInterrupt
            done += 1
            return real(*arguments, **options)

        return call

    with plan_files.unchecked_plan(plan, b"new", sidecar(b"new")) as unchecked:
        for name in ("unlink", "replace"):
            monkeypatch.setattr(Path, name, counted(getattr(Path, name)))
        try:
            plan_files.publish(unchecked, plan)
            finished = True
        except KeyboardInterrupt:
            finished = False
        monkeypatch.undo()
    assert {path.name for path in tmp_path.iterdir()} <= {"m.onnx", "m.plan", "m.plan.json"}
    # There are three steps: the old plan goes, the sidecar comes, the plan comes.
    assert finished == (cut >= 3)
    if plan.exists():
        assert read_sidecar(plan).plan_sha256 == sha256(plan.read_bytes()).hexdigest()
    if finished:
        assert plan.read_bytes() == b"new"


@pytest.mark.usefixtures("rtx")
def test_folders_are_made_as_needed(engine: Path) -> None:
    code, plan = build(engine, name="new/folder/m.plan")
    assert code == 0
    assert read_sidecar(plan).manifest == feature_manifest()
