"""Bundles of kernels compiled for GPUs that are not here: what is in them, what is refused."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from wsgn.errors import OutputError, UsageError
from wsgn.scoring.bundle import read_bundle
from wsgn.scoring.launches import PARAMETERS, check_kernels

pytest.importorskip("triton", reason="Triton is not installed (it exists for Linux only)")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter compiles nothing", allow_module_level=True)
from wsgn.kernels import ptx
from wsgn.kernels.ahead_of_time import main
from wsgn.kernels.bundle import TARGETS, compile_bundle, options_for, write_bundle

if TYPE_CHECKING:
    from wsgn.kernels.bundle import CompiledBundle

# The widths that CUDA gives to pointers, 32-bit integers and float32.
WIDTHS = {"num_snippets": "u32", "num_videos": "u32", "num_slots": "u32", "epsilon": "f32"}


def test_every_architecture_has_every_kernel(compiled_bundle: CompiledBundle) -> None:
    targets = compiled_bundle.bundle.targets
    assert tuple(target.capability for target in targets) == TARGETS
    for target in targets:
        assert tuple(kernel.name for kernel in target.kernels) == tuple(PARAMETERS)
        check_kernels(target, compiled_bundle.bundle.components)


def test_the_assembly_declares_what_the_launcher_passes(compiled_bundle: CompiledBundle) -> None:
    """Read from the PTX by other means than the record: a line for each parameter."""
    for (capability, name, form), image in compiled_bundle.images.items():
        if form == "ptx":
            head = image.decode().partition("\n)")[0].splitlines()
            declared = [line.split()[1].strip(".") for line in head if ".param" in line]
            passed = [WIDTHS.get(parameter, "u64") for parameter in PARAMETERS[name]]
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
    here = str(Path(__file__).resolve().parents[2]).encode()
    for place, image in compiled_bundle.images.items():
        assert here not in image, place
        assert b"_kernels.py" not in image, place


@pytest.mark.parametrize(
    ("num_classes", "capability", "options"),
    [
        (157, 80, {"softmax_scale": "mean_one"}),
        (1, 90, {"components": ("global_gaussian",), "class_activation": "sigmoid"}),
    ],
)
def test_other_models_have_the_same_parameters(
    num_classes: int, capability: int, options: dict[str, Any]
) -> None:
    compiled = compile_bundle(options_for(num_classes, **options), [capability])
    (target,) = compiled.bundle.targets
    check_kernels(target, compiled.bundle.components)
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


def test_the_command_writes_what_the_function_compiles(tmp_path: Path) -> None:
    folder = tmp_path / "out"
    arguments = ["--classes", "20", "--targets", "90", "-o", str(folder)]
    assert main(arguments) == 0
    compiled = compile_bundle(options_for(20), [90])
    write_bundle(compiled, tmp_path / "again")
    names = sorted(path.relative_to(folder) for path in folder.rglob("*") if path.is_file())
    assert len(names) == 1 + 2 * len(PARAMETERS)
    for name in names:
        assert (folder / name).read_bytes() == (tmp_path / "again" / name).read_bytes()
    assert main(arguments) == OutputError.exit_code
    assert main([*arguments, "--overwrite"]) == 0


def test_the_table_has_a_row_for_each_kernel(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["--classes", "20", "--targets", "80,90", "--table"]) == 0
    rows = capsys.readouterr().out.splitlines()
    assert len(rows) == 2 + 2 * len(PARAMETERS)
    assert len({row.count("|") for row in rows}) == 1


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (["--classes", "20"], "nothing to do"),
        (["--classes", "257", "--table"], "1 to 256 classes, got 257"),
        (["--classes", "20", "--table", "--targets", "75"], "some of 80,86"),
        (["--engine", "no.plan", "--table", "--softmax-scale", "max_one"], "--softmax-scale"),
    ],
)
def test_wrong_arguments_are_one_sentence(
    capsys: pytest.CaptureFixture[str], arguments: list[str], said: str
) -> None:
    assert main(arguments) == UsageError.exit_code
    assert said in capsys.readouterr().err.splitlines()[-1]


def test_an_engine_says_what_to_compile(tmp_path: Path) -> None:
    """The demonstration's engine, with the manifest that it carries."""
    engine = Path(__file__).resolve().parents[2] / "runtime" / "demo" / "demo.onnx"
    pytest.importorskip("onnxruntime", reason="ONNX Runtime is not installed")
    import onnxruntime

    session = onnxruntime.InferenceSession(engine, providers=["CPUExecutionProvider"])
    manifest = json.loads(session.get_modelmeta().custom_metadata_map["wsgn.manifest"])
    code = main(["--engine", str(engine), "--targets", "90", "-o", str(tmp_path / "out")])
    assert code == 0
    bundle = read_bundle(tmp_path / "out")
    assert bundle.num_classes == len(manifest["classes"])
    assert set(bundle.components) == set(manifest["selection"]["components"])
