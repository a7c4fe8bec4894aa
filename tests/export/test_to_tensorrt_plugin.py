"""`--plugin`: which graphs and libraries take it, and how its node is marked."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import onnx
import pytest
from onnx import helper
from plan_command import build, require_rtx, without_driver
from plan_graphs import heads, save, selection

from wsgn.engines.cuda.driver import Gpu
from wsgn.engines.tensorrt.library import load_library
from wsgn.errors import EngineError, UsageError
from wsgn.export.plan.input import read_plan_input, with_plugin
from wsgn.export.plan.target import Target, register_plugin
from wsgn.kernels.ahead_of_time import tensorrt_plugin
from wsgn.manifest import VideoScore

GPU = Gpu(ordinal=0, name="NVIDIA RTX 4090", compute_capability=(8, 9), num_bytes=1 << 34)


@pytest.fixture
def engine(tmp_path: Path) -> Path:
    return save(selection(), tmp_path / "m.onnx")


def test_the_node_names_the_plugin_and_has_what_that_reads(engine: Path) -> None:
    marked = onnx.ModelProto.FromString(with_plugin(read_plan_input(engine)).for_tensorrt)
    (node,) = marked.graph.node
    attributes = {a.name: helper.get_attribute_value(a) for a in node.attribute}
    assert attributes.pop("plugin_namespace").decode() == tensorrt_plugin.NAMESPACE
    assert f"{node.domain}::{node.op_type}" == tensorrt_plugin.PLUGIN
    found = {
        name: str if type(value) is bytes else type(value) for name, value in attributes.items()
    }
    assert found == tensorrt_plugin.ATTRIBUTES


def test_an_older_file_says_what_it_could_not_say_yet(engine: Path) -> None:
    source = read_plan_input(engine)
    document = onnx.ModelProto.FromString(source.for_tensorrt)
    attributes = document.graph.node[0].attribute
    for attribute in list(attributes):
        if attribute.name in ("weight_scale", "gate", "gate_level"):
            attributes.remove(attribute)
    old = replace(source, for_tensorrt=document.SerializeToString())
    marked = onnx.ModelProto.FromString(with_plugin(old).for_tensorrt)
    found = {a.name: helper.get_attribute_value(a) for a in marked.graph.node[0].attribute}
    assert set(found) == {*tensorrt_plugin.ATTRIBUTES, "plugin_namespace"}
    assert (found["weight_scale"], found["gate"]) == (b"per_frame", b"none")


def test_tensorrt_rtx_takes_no_plugin() -> None:
    require_rtx()
    target = Target(library=load_library("tensorrt_rtx"), gpu=GPU, why_not_run="")
    with pytest.raises(EngineError, match="takes no Python plugin"):
        register_plugin(target)


def test_without_a_gpu_there_is_nothing_to_compile_it_for(
    engine: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    require_rtx()
    without_driver(monkeypatch)
    assert build(engine, "--plugin")[0] == 5
    assert "--plugin compiles for the GPU of this machine" in capsys.readouterr().err


def test_other_graphs_have_no_place_for_it(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert build(save(heads(), tmp_path / "m.onnx"), "--plugin")[0] == 2
    assert "holds the snippet graph" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("change", "words"),
    [
        ({"components": ()}, "without components"),
        ({"components": ("attention",)}, "by attention"),
        ({"softmax_scale": "soft_gate"}, "with the scale soft_gate"),
        ({"class_activation": "identity"}, "of class logits"),
        ({"video_score": VideoScore(pooling="top")}, "whose video scores are no weighted mean"),
        # They would be means of what the gate lets through.
        ({"gate": "hard"}, "whose video scores are no weighted mean"),
    ],
)
def test_a_selection_without_a_kernel_is_refused(
    engine: Path, change: dict[str, object], words: str
) -> None:
    source = read_plan_input(engine)
    rule = replace(source.manifest.selection, **change)  # type: ignore[arg-type]
    other = replace(source, manifest=replace(source.manifest, selection=rule))
    with pytest.raises(UsageError, match=f"no kernel for a selection {words}.*: leave it out"):
        with_plugin(other)
