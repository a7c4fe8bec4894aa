"""Bundles of kernels compiled for GPUs that are not here: what is in them, where they may lie."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from leftovers import left_by_a_killed_run
from places import ROOT

from wsgn.engines.kernels.bundle import FORMS, read_bundle
from wsgn.engines.kernels.launches import check_kernels, parameters_of
from wsgn.errors import OutputError

pytest.importorskip("triton", reason="Triton is not installed (it exists for Linux only)")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter compiles nothing", allow_module_level=True)
from wsgn.kernels.ahead_of_time import ptx
from wsgn.kernels.ahead_of_time.bundle import TARGETS, compile_bundle, options_for, write_bundle

if TYPE_CHECKING:
    from wsgn.kernels.ahead_of_time.bundle import CompiledBundle

# The widths that CUDA gives to pointers, 32-bit integers and float32.
WIDTHS = {"num_snippets": "u32", "num_videos": "u32", "num_slots": "u32", "epsilon": "f32"}


def test_every_architecture_has_every_kernel(compiled_bundle: CompiledBundle) -> None:
    targets = compiled_bundle.bundle.targets
    assert tuple(target.capability for target in targets) == TARGETS
    for target in targets:
        wanted = ("describe_chunks", "describe_videos", "pool_chunks", "finish_videos")
        assert tuple(kernel.name for kernel in target.kernels) == wanted
        check_kernels(target, compiled_bundle.bundle)


def test_the_assembly_declares_what_the_launcher_passes(compiled_bundle: CompiledBundle) -> None:
    """Read from the PTX by other means than the record: a line for each parameter."""
    for (capability, name, form), image in compiled_bundle.images.items():
        if form == "ptx":
            head = image.decode().partition("\n)")[0].splitlines()
            declared = [line.split()[1].strip(".") for line in head if ".param" in line]
            parameters = parameters_of(compiled_bundle.bundle)[name]
            passed = [WIDTHS.get(parameter, "u64") for parameter in parameters]
            assert declared == [*passed, "u64", "u64"], (capability, name)


def test_the_assembly_is_for_its_gpu_and_for_older_drivers(
    compiled_bundle: CompiledBundle,
) -> None:
    for target in compiled_bundle.bundle.targets:
        suffix = "a" if target.capability >= 90 else ""
        assert target.ptx_target == f"sm_{target.capability}{suffix}"
        assert target.ptx_version == "8.7"
        for kernel in target.kernels:
            text = compiled_bundle.images[target.capability, kernel.name, "ptx"].decode()
            assert f"\n.target {target.ptx_target}\n" in text
            assert "\n.version 8.7\n" in text
            assert not ptx.reads_scratch(text)


def test_nothing_spills_and_sixteen_warps_find_room(compiled_bundle: CompiledBundle) -> None:
    for target in compiled_bundle.bundle.targets:
        for kernel in target.kernels:
            assert kernel.spilled_bytes == 0
            assert 16 < kernel.registers <= 128
            # More would have to be asked for in another way.
            assert kernel.shared_bytes <= 48 * 1024


def test_machine_code_is_an_elf_file_for_its_gpu(compiled_bundle: CompiledBundle) -> None:
    """The flags of an ELF header hold the architecture, in a byte that CUDA 13 has moved."""
    for (capability, _, form), image in compiled_bundle.images.items():
        if form == "cubin":
            assert image[:4] == b"\x7fELF"
            flags = int.from_bytes(image[48:52], "little")
            assert capability in (flags & 0xFF, flags >> 8 & 0xFF)


def test_no_file_names_this_machine(compiled_bundle: CompiledBundle) -> None:
    here = str(ROOT).encode()
    for place, image in compiled_bundle.images.items():
        assert here not in image, place
        assert b"_kernels.py" not in image, place


@pytest.mark.parametrize(
    ("num_classes", "capability", "options"),
    [
        (157, 80, {"softmax_scale": "mean_one"}),
        (1, 90, {"components": ("global_gaussian",), "class_activation": "sigmoid"}),
        (157, 90, {"weight_scale": "average", "gate": "product"}),
        (20, 80, {"gate": "soft", "class_activation": "identity"}),
    ],
)
def test_other_models_have_the_same_parameters(
    num_classes: int, capability: int, options: dict[str, Any]
) -> None:
    compiled = compile_bundle(options_for(num_classes, **options), [capability])
    (target,) = compiled.bundle.targets
    check_kernels(target, compiled.bundle)
    assert [kernel.spilled_bytes for kernel in target.kernels] == [0] * len(target.kernels)


def test_the_order_of_parameters_that_the_assembly_has_is_trusted_alone() -> None:
    """A scratch pointer more or less, as another Triton may have it, is followed."""
    text = (
        ".version 8.7\n.target sm_80\n.visible .entry f(\n\t.param .u64 .ptr .align 1 f_param_0,\n"
        "\t.param .u32 f_param_1,\n\t.param .u64 f_param_2,\n\t.param .u64 f_param_3\n)\n"
        "{\n\tld.param.u64 \t%rd1, [f_param_0];\n\tret;\n}\n"
    )
    assert ptx.parameter_types(text) == ("u64", "u32", "u64", "u64")
    assert not ptx.reads_scratch(text)
    kept = ptx.without_scratch(text)
    assert ptx.parameter_types(kept) == ("u64", "u32")
    assert "f_param_2" not in kept
    assert kept.endswith(text[text.index("{") :])
    assert ptx.reads_scratch(text.replace("[f_param_0]", "[f_param_3]"))


@pytest.fixture(scope="module")
def small_bundle() -> CompiledBundle:
    """For one GPU."""
    return compile_bundle(options_for(20), [90])


def test_a_folder_with_other_files_gets_no_bundle(
    tmp_path: Path, small_bundle: CompiledBundle
) -> None:
    (tmp_path / "selection.py").write_text("precious")
    for overwrite in (False, True):
        with pytest.raises(OutputError, match=r"holds other files \(selection.py\)"):
            write_bundle(small_bundle, tmp_path, overwrite=overwrite)
    assert [path.name for path in tmp_path.iterdir()] == ["selection.py"]


def test_a_file_is_no_folder(tmp_path: Path, small_bundle: CompiledBundle) -> None:
    (tmp_path / "out").write_text("precious")
    with pytest.raises(OutputError, match="is not a folder"):
        write_bundle(small_bundle, tmp_path / "out", overwrite=True)


def test_what_a_cut_off_run_left_is_written_over(
    tmp_path: Path, small_bundle: CompiledBundle
) -> None:
    (tmp_path / "sm_90").mkdir()
    left = [
        left_by_a_killed_run(tmp_path / "sm_90" / "pool_chunks.cubin"),
        left_by_a_killed_run(tmp_path / "kernels.json"),
    ]
    write_bundle(small_bundle, tmp_path)
    assert read_bundle(tmp_path) == small_bundle.bundle
    assert not any(path.exists() for path in left)


def test_fewer_targets_leave_none_of_the_former_ones(
    compiled_folder: Path, small_bundle: CompiledBundle
) -> None:
    (compiled_folder / "sm_80" / "notes.txt").write_text("precious")
    write_bundle(small_bundle, compiled_folder, overwrite=True)
    files = {path.relative_to(compiled_folder).as_posix() for path in compiled_folder.rglob("*.*")}
    (target,) = small_bundle.bundle.targets
    wanted = {f"sm_90/{kernel.name}.{form}" for kernel in target.kernels for form in FORMS}
    assert files == {"kernels.json", "sm_80/notes.txt", *wanted}
    assert {path.name for path in compiled_folder.iterdir()} == {"kernels.json", "sm_80", "sm_90"}


def test_an_edited_document_removes_nothing_elsewhere(
    compiled_folder: Path, small_bundle: CompiledBundle
) -> None:
    precious = compiled_folder.parent / "precious.ptx"
    precious.write_text("data")
    document = compiled_folder / "kernels.json"
    document.write_text(document.read_text().replace('"pool_chunks"', '"../../precious"'))
    assert "precious" in document.read_text()
    write_bundle(small_bundle, compiled_folder, overwrite=True)
    assert precious.read_text() == "data"


def test_a_cache_that_cannot_be_written_is_named(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Here because a file stands in its way, for tests may be run by root."""
    (tmp_path / "file").touch()
    monkeypatch.setenv("TRITON_CACHE_DIR", str(tmp_path / "file" / "cache"))
    # Not compiled by any other test, so that Triton holds none of it in memory.
    with pytest.raises(OutputError, match="set TRITON_CACHE_DIR"):
        compile_bundle(options_for(3), [80])
