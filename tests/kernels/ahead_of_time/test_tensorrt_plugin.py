"""The plugin's kernel for GPUs that are not here, and its registration with NVIDIA's own code."""

from __future__ import annotations

import os
import re
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import tensorrt_stand_in as native

from wsgn.engines.tensorrt.library import Library
from wsgn.errors import EngineError

pytest.importorskip("triton", reason="Triton is not installed (it exists for Linux only)")
if os.environ.get("TRITON_INTERPRET") == "1":
    pytest.skip("the interpreter compiles nothing", allow_module_level=True)
from triton.backends.nvidia.compiler import get_ptxas

from wsgn.kernels.ahead_of_time import tensorrt_plugin
from wsgn.kernels.ahead_of_time.bundle import TARGETS, options_for
from wsgn.kernels.ahead_of_time.plugin_kernel import compile_plugin_kernel, compile_single_kernel
from wsgn.kernels.ahead_of_time.sass import read_resources

# Four tensors, the number of snippets, two tensors: the order that TensorRT passes.
PASSED = ["u64"] * 4 + ["u32"] + ["u64"] * 2


def library(name: str = "tensorrt") -> Library:
    return Library(
        name=name, version="11.4.0.106", module=SimpleNamespace(), logger=None, _listeners=[]
    )


def declared(ptx: str) -> list[str]:
    head = ptx.partition("\n)")[0].splitlines()
    return [line.split()[1].strip(".") for line in head if ".param" in line]


def assemble(ptx: str, capability: int, folder: Path) -> None:
    """By the assembler that comes with Triton; a driver does the same."""
    path = folder / "kernel.ptx"
    path.write_text(ptx)
    target = re.search(r"\.target (\w+)", ptx)
    assert target is not None
    command = [get_ptxas(capability).path, f"--gpu-name={target[1]}", str(path)]
    subprocess.run([*command, "-o", str(folder / "out.cubin")], check=True)


@pytest.mark.parametrize("capability", TARGETS)
def test_the_kernel_takes_what_tensorrt_passes(capability: int, tmp_path: Path) -> None:
    """Nothing spills, Triton's own pointers are gone, and what is left is whole."""
    kernel = compile_plugin_kernel(options_for(20), capability)
    assert declared(kernel.ptx) == PASSED
    assert f"\n.reqntid {kernel.num_threads}\n" in kernel.ptx
    assert kernel.shared_bytes <= 48 * 1024
    assemble(kernel.ptx, capability, tmp_path)
    cubin = compile_single_kernel(options_for(20), capability).asm["cubin"]
    assert read_resources(cubin).spilled_bytes == 0


@pytest.mark.parametrize(
    "scale", [{"softmax_scale": "mean_one"}, {"weight_scale": "average", "gate": "product"}]
)
def test_many_classes_do_not_spill(scale: dict[str, str]) -> None:
    found = compile_single_kernel(options_for(256, **scale), 90)
    resources = read_resources(found.asm["cubin"])
    # 256 threads with 255 registers each would still start.
    assert (resources.spilled_bytes, resources.registers <= 128) == (0, True)


@pytest.mark.parametrize("change", [{"epsilon": 1e-2}, {"gate_level": 0.2}])
def test_other_epsilons_and_levels_are_other_kernels(change: dict[str, float]) -> None:
    """They are constants, since TensorRT passes integers alone."""
    options = options_for(20, gate="soft")
    first = compile_plugin_kernel(options, 90).ptx
    assert first != compile_plugin_kernel(replace(options, **change), 90).ptx


def test_tensorrt_rtx_is_refused_before_it_ends_the_process() -> None:
    with pytest.raises(EngineError, match=r"takes no Python plugin .* build without the plugin"):
        tensorrt_plugin.register(library("tensorrt_rtx"), (9, 0))


def test_a_missing_plugin_module_is_one_sentence(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "tensorrt.plugin", None)
    with pytest.raises(EngineError, match=r"has no module tensorrt\.plugin"):
        tensorrt_plugin.register(library(), (9, 0))


OPTIONS = replace(
    options_for(20, weight_scale="average", gate="soft"),
    epsilon=float(np.float32(1e-5)),
    gate_level=0.25,
)


def fields() -> list[native.PluginField]:
    """Attributes of a node as the ONNX parser hands them over: text as bytes, arrays of one."""
    attributes: dict[str, Any] = {
        "use_local": 1,
        "use_global": 1,
        "use_softmax": 1,
        "softmax_scale": "max_one",
        "weight_scale": "average",
        "class_activation": "softmax",
        "gate": "soft",
        "gate_level": 0.25,
        "epsilon": 1e-5,
    }
    return [
        native.PluginField(name, np.frombuffer(value.encode(), np.int8))
        if isinstance(value, str)
        else native.PluginField(name, np.array([value], [np.int32, np.float32][value != 1]))
        for name, value in attributes.items()
    ]


def tensor(*dims: int) -> native.DynamicPluginTensorDesc:
    return native.DynamicPluginTensorDesc(
        native.PluginTensorDesc(
            dims=native.Dims(dims), type=native.DataType.FLOAT, format=native.TensorFormat.LINEAR
        )
    )


class Integers(dict[int, Any]):
    """Where the plugin puts its extra arguments."""

    nbSymExprs = 0


class Build:
    """What TensorRT does with a plugin during a build, in its order."""

    def __init__(self, registry: native.Registry) -> None:
        import tensorrt

        creator = registry.get_creator("FrameSelection", "1", "wsgn")
        self.plugin = creator.create_plugin(
            "FrameSelection", "wsgn", fields(), tensorrt.TensorRTPhase.BUILD,
            native.Request.PREFER_AOT,
        )  # fmt: skip
        self.types = self.plugin.get_output_data_types([native.DataType.FLOAT] * 4, [3, 3, 1, 1])
        videos, snippets = native.DimensionExpr(3, False), native.DimensionExpr(70, False)
        classes = native.DimensionExpr(20, True)
        rows = [videos, snippets, classes]
        inputs = [rows, rows, [classes], [classes]]
        builder = native.ExprBuilder()
        self.shapes = self.plugin.get_output_shapes(inputs, [], builder)
        in_out = [tensor(-1, -1, 20)] * 2 + [tensor(20)] * 2
        in_out += [tensor(-1, -1, 20), tensor(-1, 20)]
        self.formats = self.plugin.get_supported_format_combinations(in_out, 4)
        self.plugin.configure_plugin(in_out[:4], in_out[4:])
        self.tactics = self.plugin.get_valid_tactics()
        self.plugin.set_tactic(0)
        self.launch = SimpleNamespace()
        self.integers = Integers()
        self.plugin.get_launch_params(inputs, in_out, 4, self.launch, self.integers, builder)
        descriptions = [entry.desc for entry in in_out]
        self.kernel = self.plugin.get_kernel(descriptions[:4], descriptions[4:])


@pytest.fixture
def build(monkeypatch: pytest.MonkeyPatch) -> Build:
    registry = native.load_plugins(monkeypatch)
    tensorrt_plugin.register(library(), (9, 0))
    return Build(registry)


def test_nvidia_s_registration_takes_the_plugin(build: Build) -> None:
    """Its outputs are (B, T, C) and (B, C) in float32, and it asks for linear float32 alone."""
    assert build.types == [native.DataType.FLOAT] * 2
    sizes = [[size.value for size in shape] for shape in build.shapes]
    assert sizes == [[3, 70, 20], [3, 20]]
    assert {entry.type for entry in build.formats} == {native.DataType.FLOAT}
    assert {entry.format for entry in build.formats} == {native.TensorFormat.LINEAR}
    assert len(build.formats) == 6


def test_the_attributes_are_those_of_the_exported_node() -> None:
    pytest.importorskip("onnx", reason="onnx is not installed")
    from wsgn.export.graphs.frame_selection import NAME, frame_selection_attributes
    from wsgn.manifest import SelectionRule

    rule = SelectionRule(components=(), softmax_scale="max_one", class_activation="softmax")
    node = {name: type(value) for name, value in frame_selection_attributes(rule).items()}
    assert node == tensorrt_plugin.ATTRIBUTES
    assert f"{tensorrt_plugin.NAMESPACE}::{NAME}" == tensorrt_plugin.PLUGIN


def test_the_launch_is_a_program_for_each_video(build: Build) -> None:
    launch, kernel = build.launch, compile_plugin_kernel(OPTIONS, 90)
    grid = [getattr(launch, f"grid_{axis}").expr for axis in "xyz"]
    block = [getattr(launch, f"block_{axis}").expr for axis in "xyz"]
    assert [size.value for size in grid] == [3, 1, 1]
    assert not grid[0].constant
    assert [size.value for size in block] == [kernel.num_threads, 1, 1]
    assert launch.shared_mem.expr.value == kernel.shared_bytes
    assert build.integers.nbSymExprs == 1
    assert {place: value.expr.value for place, value in build.integers.items()} == {0: 70}


def test_the_plan_gets_the_kernel_of_the_node(build: Build) -> None:
    name, image = build.kernel
    kernel = compile_plugin_kernel(OPTIONS, 90)
    assert (name, image) == (kernel.name, kernel.ptx.encode())


def test_a_second_gpu_in_one_process_is_refused(build: Build) -> None:
    with pytest.raises(EngineError, match="each plan in a process of its own"):
        tensorrt_plugin.register(library(), (8, 0))
