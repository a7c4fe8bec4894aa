"""Everything that can be wrong with a plan, its sidecar, the machine and the library."""

from __future__ import annotations

import gc
from collections.abc import Callable
from pathlib import Path
from typing import Any

import made_plans
import numpy as np
import pytest
from made_plans import edit_sidecar, feature_manifest, feature_model, profile, write_plan
from onnx import TensorProto
from stand_in import Machine

from wsgn.engines.tensorrt import session as session_module
from wsgn.engines.tensorrt.session import PlanSession
from wsgn.engines.tensorrt.sidecar import sidecar_path
from wsgn.errors import EngineError
from wsgn.manifest import FeatureInput, FrameInput


def missing(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def without_sidecar(path: Path) -> None:
    sidecar_path(path).unlink()


def foreign_sidecar(path: Path) -> None:
    other = write_plan(path.with_name("other.plan"), manifest=feature_manifest(graph="streaming"))
    sidecar_path(other).replace(sidecar_path(path))


def other_classes(path: Path) -> None:
    edit_sidecar(path, lambda document: document["manifest"].update(classes=["run", "jump", "bow"]))


def other_profiles(path: Path) -> None:
    edit_sidecar(path, lambda document: document["profiles"].pop())


def larger_profile(path: Path) -> None:
    shapes = ["profiles", 0, "inputs", "features"]

    def change(document: Any) -> None:
        for key in shapes:
            document = document[key]
        document["maximum"] = [64, made_plans.SIZE]

    edit_sidecar(path, change)


def other_version(path: Path) -> None:
    write_plan(path, library_version="10.13.3.9")


def other_major_version(path: Path) -> None:
    write_plan(path, library_version="10.13.3.9", flags=("version_compatible",))


def other_library(path: Path) -> None:
    write_plan(path, library="tensorrt_rtx", library_version="11.4.0.106")


def other_architecture(path: Path) -> None:
    write_plan(path, compute_capability="12.0")


def other_platform(path: Path) -> None:
    write_plan(path, platform="Windows-AMD64")


def not_a_plan(path: Path) -> None:
    write_plan(path, content=b"something else")


def plan_of_another_manifest(path: Path) -> None:
    """The sidecar is whole and its hash is right, but the plan was built with other classes."""
    other = write_plan(path, manifest=feature_manifest(classes=("run", "jump", "bow")))
    write_plan(path, content=other.read_bytes())


def other_names(path: Path) -> None:
    names = ("features", "selection_logits", "probabilities")
    write_plan(path, model=feature_model(names=names))


def other_types(path: Path) -> None:
    write_plan(path, model=feature_model(kind=TensorProto.DOUBLE))


def other_sizes(path: Path) -> None:
    write_plan(path, manifest=feature_manifest(features=FeatureInput(size=7)))


def other_inputs(path: Path) -> None:
    frames = FrameInput(height=4, width=4)
    write_plan(path, manifest=feature_manifest(features=None, frames=frames))


def other_profile_names(path: Path) -> None:
    write_plan(path, profiles=(profile("streaming", (1, 2, 4), tensor="frames"),))


BROKEN = [
    (missing, "does not exist"),
    (directory, "does not exist or is no file"),
    (empty, "truncated, damaged or not the one"),
    (truncated, "truncated, damaged or not the one"),
    (without_sidecar, r"has no sidecar 'wsgn.plan.json'"),
    (foreign_sidecar, "truncated, damaged or not the one"),
    (other_classes, "its manifest is not the one that the plan was built with"),
    (other_profiles, "has other optimization profiles"),
    (larger_profile, "has other optimization profiles"),
    (other_version, r"built with TensorRT 10.13.3.9, installed is TensorRT 11.4.0.106: install "),
    (other_major_version, "the same major version"),
    (other_library, r"built with TensorRT-RTX 11.4.0.106, installed is TensorRT 11.4.0.106"),
    (other_architecture, r"compute capability 12.0, cuda:0 is Stand-in with 9.0: build"),
    (other_platform, r"was built on Windows-AMD64, this is \w+-\w+: build"),
    (not_a_plan, r"cannot load .* with compute capability 9.0 \(the plan has another magic"),
    (plan_of_another_manifest, "calls itself 'wsgn:"),
    (other_names, r"has the outputs probabilities .*, but its manifest wants class_probab"),
    (other_types, r"a tensor 'features' of type FP8"),
    (other_sizes, r"has the inputs features float32 \(N, 5\), .* wants .* \(N, 7\)"),
    (other_inputs, r"wants frames uint8 \(N, 8, 4, 4, 3\)"),
]


@pytest.mark.parametrize(
    ("breaks", "words"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_what_is_wrong_is_said_in_one_sentence_and_nothing_stays(
    machine: Machine, tmp_path: Path, breaks: Callable[[Path], None], words: str
) -> None:
    path = write_plan(tmp_path / "wsgn.plan")
    breaks(path)
    with pytest.raises(EngineError, match=words) as caught:
        PlanSession.open(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")
    assert_nothing_stays(machine)


def assert_nothing_stays(machine: Machine) -> None:
    """Also while the error is still held; the device is closed behind everything else."""
    gc.collect()
    assert machine.memory == {}
    if machine.diary:
        assert machine.diary[-1] == "device"


@pytest.mark.parametrize(
    "function", ["Runtime", "deserialize_cuda_engine", "create_execution_context"]
)
def test_a_library_that_gives_nothing_is_an_error_with_its_words(
    machine: Machine, tmp_path: Path, function: str
) -> None:
    path = write_plan(tmp_path / "wsgn.plan")
    machine.refuse.add(function)
    with pytest.raises(EngineError, match=r"cannot load the engine .* 11.4.0.106 for 9.0: build"):
        PlanSession.open(path)
    assert_nothing_stays(machine)


@pytest.mark.parametrize(
    ("function", "words"),
    [
        ("set_optimization_profile_async", "refused profile 0"),
        ("set_input_shape", "refused the shape of 'features'"),
        ("set_tensor_address", "refused the address of 'features'"),
        ("execute_async_v3", "did not start"),
    ],
)
def test_a_refused_call_is_an_error_and_the_next_batch_runs(
    machine: Machine, tmp_path: Path, function: str, words: str
) -> None:
    path = write_plan(tmp_path / "wsgn.plan")
    inputs = {"features": np.ones((2, made_plans.SIZE), np.float32)}
    with PlanSession.open(path) as session:
        machine.refuse.add(function)
        reason = rf"{words} for inputs features \(2, 5\) \({function} was told to fail\)"
        with pytest.raises(EngineError, match=reason):
            session.run(inputs)
        machine.refuse.clear()
        for _ in range(2):
            assert np.isfinite(session.run(inputs)["class_probabilities"]).all()
    assert_nothing_stays(machine)


@pytest.mark.parametrize(
    "changes",
    [
        {"compute_capability": "12.0", "flags": ("hardware_compatible",)},
        {"compute_capability": ""},
        {"library_version": "11.1.0.2", "flags": ("version_compatible",)},
    ],
)
def test_a_plan_for_several_machines_or_versions_is_taken(
    machine: Machine, tmp_path: Path, changes: dict[str, Any]
) -> None:
    PlanSession.open(write_plan(tmp_path / "wsgn.plan", **changes)).close()
    assert machine.diary[-1] == "device"


def test_a_gpu_that_is_not_there_is_named(machine: Machine, tmp_path: Path) -> None:
    with pytest.raises(EngineError, match="there is no GPU 1"):
        PlanSession.open(write_plan(tmp_path / "wsgn.plan"), ordinal=1)


def test_the_files_come_first_then_the_driver_then_the_library(
    machine: Machine, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked: list[str] = []

    def fails(name: str) -> Any:
        def fail(*arguments: object, **options: object) -> None:
            asked.append(name)
            raise EngineError(f"{name} is not there.")

        return fail

    path = write_plan(tmp_path / "wsgn.plan")
    driver = session_module.probe_driver()
    for name in ("probe_driver", "load_library", "open_device"):
        monkeypatch.setattr(session_module, name, fails(name))
    with pytest.raises(EngineError, match="probe_driver"):
        PlanSession.open(path)
    monkeypatch.setattr(session_module, "probe_driver", lambda: driver)
    with pytest.raises(EngineError, match="load_library"):
        PlanSession.open(path)
    truncated(path)
    with pytest.raises(EngineError, match="truncated"):
        PlanSession.open(path)
    assert asked == ["probe_driver", "load_library"]
