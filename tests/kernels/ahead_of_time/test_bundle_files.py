"""Which file of a bundle a GPU gets, and bundles that are damaged or for something else."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from launch_devices import RecordingDevice

from wsgn.engines.kernels.bundle import Target, read_bundle
from wsgn.engines.kernels.launcher import SelectionKernels
from wsgn.engines.kernels.launches import check_kernels
from wsgn.errors import EngineError
from wsgn.manifest import SelectionRule

pytest.importorskip("triton", reason="Triton is not installed (it exists for Linux only)")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter compiles nothing", allow_module_level=True)

if TYPE_CHECKING:
    from wsgn.kernels.ahead_of_time.bundle import CompiledBundle

RULE = SelectionRule(
    components=("local_gaussian", "global_gaussian", "temporal_softmax"),
    softmax_scale="max_one",
    class_activation="softmax",
    global_mean=(0.0,) * 20,
    global_std=(1.0,) * 20,
)


def open_kernels(folder: Path, capability: tuple[int, int] = (9, 0), **rule: Any) -> None:
    device = RecordingDevice(compute_capability=capability)
    SelectionKernels.open(folder, device, replace(RULE, **rule), 20).close()


@pytest.mark.parametrize(
    ("capability", "wanted"),
    [
        ((8, 0), ("sm_80", "cubin")),
        ((8, 6), ("sm_86", "cubin")),
        # Orin: the same major version, a later minor one.
        ((8, 7), ("sm_86", "cubin")),
        ((9, 0), ("sm_90a", "cubin")),
        ((12, 0), ("sm_120a", "cubin")),
        # Code for 10.0a and 12.0a runs nowhere else, not even as PTX.
        ((10, 3), ("sm_89", "ptx")),
        ((12, 1), ("sm_89", "ptx")),
    ],
)
def test_a_gpu_gets_code_that_it_can_run(
    compiled_bundle: CompiledBundle, capability: tuple[int, int], wanted: tuple[str, str]
) -> None:
    target, form = compiled_bundle.bundle.choose(capability)
    assert (target.ptx_target, form) == wanted


def test_an_older_gpu_is_refused(compiled_folder: Path) -> None:
    with pytest.raises(EngineError, match=r"compute capability 7\.5: there are none for it"):
        open_kernels(compiled_folder, (7, 5))


def test_a_bundle_of_later_gpus_is_refused(compiled_bundle: CompiledBundle) -> None:
    later = [target for target in compiled_bundle.bundle.targets if target.capability > 90]
    bundle = replace(compiled_bundle.bundle, targets=tuple(later))
    with pytest.raises(EngineError, match=r"compute capability 8\.7: .* without --targets"):
        bundle.choose((8, 7))


@pytest.mark.parametrize("capability", [(8, 6), (10, 3)])
def test_what_is_loaded_is_the_file(compiled_folder: Path, capability: tuple[int, int]) -> None:
    device = RecordingDevice(compute_capability=capability)
    x = np.zeros((3, 20), np.float32)
    with SelectionKernels.open(compiled_folder, device, RULE, 20) as kernels:
        kernels.score(x, x, np.array([0, 3]))
    folder, form = {(8, 6): ("sm_86", "cubin"), (10, 3): ("sm_89", "ptx")}[capability]
    for launch in device.launches:
        path = compiled_folder / folder / f"{launch.kernel.name}.{form}"
        assert launch.kernel.image == path.read_bytes()


def test_a_bundle_reads_back_as_it_was_written(
    compiled_bundle: CompiledBundle, compiled_folder: Path
) -> None:
    assert read_bundle(compiled_folder) == compiled_bundle.bundle


def cut(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-1])


def edit(**changes: object) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        path.write_text(json.dumps({**json.loads(path.read_text()), **changes}))

    return change


def name_kernels(name: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        document = json.loads(path.read_text())
        document["targets"][0]["kernels"][0]["name"] = name
        path.write_text(json.dumps(document))

    return change


@pytest.mark.parametrize(
    ("file", "damage", "said"),
    [
        ("kernels.json", Path.unlink, "holds no kernels.json: give the folder"),
        ("kernels.json", cut, "cannot be used|cannot be read"),
        ("kernels.json", lambda path: path.write_text("[]"), "must be a JSON object"),
        ("kernels.json", lambda path: path.write_bytes(b"\xff"), "cannot be read"),
        ("kernels.json", edit(format_version=2), "has format version 2, this wsgn reads"),
        ("kernels.json", edit(more=1), "not valid"),
        ("kernels.json", edit(num_classes="20"), "not valid"),
        ("kernels.json", edit(targets=[]), "options are not those"),
        ("kernels.json", edit(weight_scale="even"), "options are not those"),
        ("kernels.json", edit(gate="open"), "options are not those"),
        ("kernels.json", edit(num_classes=10**400), "a whole number under 2"),
        ("kernels.json", edit(num_classes=1 << 40), "at most 2147483647 is possible"),
        ("kernels.json", name_kernels("pool\0chunks"), "is no name of a kernel"),
        ("kernels.json", name_kernels("../../etc/passwd"), "is no name of a kernel"),
        ("kernels.json", name_kernels("\ud800"), "is no name of a kernel"),
        ("sm_90/pool_chunks.cubin", Path.unlink, "cannot be read .No such file"),
        ("sm_90/pool_chunks.cubin", cut, "is not the file that kernels.json describes"),
    ],
)
def test_a_damaged_bundle_is_one_sentence(
    compiled_folder: Path, file: str, damage: Callable[[Path], object], said: str
) -> None:
    if damage is cut and file.endswith(".json"):
        (compiled_folder / file).write_text((compiled_folder / file).read_text().rstrip()[:-1])
    else:
        damage(compiled_folder / file)
    with pytest.raises(EngineError, match=said):
        open_kernels(compiled_folder)


def test_a_bundle_from_before_the_weighted_average_means_what_it_meant(
    compiled_folder: Path, compiled_bundle: CompiledBundle
) -> None:
    document = json.loads((compiled_folder / "kernels.json").read_text())
    del document["weight_scale"], document["gate"]
    (compiled_folder / "kernels.json").write_text(json.dumps(document))
    assert read_bundle(compiled_folder) == compiled_bundle.bundle
    open_kernels(compiled_folder)


def test_a_file_of_another_gpu_is_noticed(compiled_folder: Path) -> None:
    shutil.copy(
        compiled_folder / "sm_80" / "pool_chunks.cubin",
        compiled_folder / "sm_90" / "pool_chunks.cubin",
    )
    with pytest.raises(EngineError, match="is not the file"):
        open_kernels(compiled_folder)
    open_kernels(compiled_folder, (8, 0))


@pytest.mark.parametrize(
    "rule",
    [
        {"components": ("local_gaussian",)},
        {"softmax_scale": "soft_gate"},
        {"class_activation": "sigmoid"},
        {"weight_scale": "average"},
        {"gate": "cut"},
    ],
)
def test_kernels_of_another_model_are_refused(compiled_folder: Path, rule: dict[str, Any]) -> None:
    with pytest.raises(EngineError, match="were compiled for 20 classes, local_gaussian \\+"):
        open_kernels(compiled_folder, **rule)


def test_kernels_with_other_parameters_are_refused(compiled_bundle: CompiledBundle) -> None:
    bundle = compiled_bundle.bundle
    target = compiled_bundle.bundle.targets[0]
    first, *others = target.kernels
    swapped = replace(first, parameters=(*first.parameters[1::-1], *first.parameters[2:]))
    with pytest.raises(EngineError, match="takes offsets_ptr, x_ptr, moments_ptr"):
        check_kernels(replace(target, kernels=(swapped, *others)), bundle)
    with pytest.raises(EngineError, match="needed are describe_chunks, describe_videos"):
        check_kernels(replace(target, kernels=tuple(others)), bundle)


def test_neither_torch_nor_triton_is_loaded_to_launch() -> None:
    program = (
        "import sys; sys.modules['torch'] = sys.modules['triton'] = None; "
        "from wsgn.engines.kernels.launcher import SelectionKernels; "
        "print(SelectionKernels.__name__)"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.stdout, done.stderr) == ("SelectionKernels\n", "")


def test_targets_run_where_the_rules_of_cuda_say() -> None:
    """CUDA C++ programming guide, sections on cubin, PTX and architecture-specific code."""
    plain = Target(
        capability=80, ptx_target="sm_80", ptx_version="8.7", assembler="12.9", kernels=()
    )
    assert [c for c in (75, 80, 86, 90, 100) if plain.runs_on(c, "cubin")] == [80, 86]
    assert [c for c in (75, 80, 86, 90, 100) if plain.runs_on(c, "ptx")] == [80, 86, 90, 100]
    special = replace(plain, capability=100, ptx_target="sm_100a")
    assert [c for c in (90, 100, 103, 120) if special.runs_on(c, "cubin")] == [100]
    assert [c for c in (90, 100, 103, 120) if special.runs_on(c, "ptx")] == [100]
