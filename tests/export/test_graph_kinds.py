"""All three graphs of a model on features and of one on frames: faces, checks, files, command."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from onnx import TensorProto
from test_raw_frames import FRAMES, RESNET, heads, weights_file
from test_to_onnx import random_checkpoint
from toy import CLASSES, SIZE, feature_model, frame_model

from wsgn.checkpoint import Checkpoint, save_checkpoint
from wsgn.config import ModelConfig
from wsgn.errors import EngineError
from wsgn.export.graphs.document import export_graph, exportable, save_graph
from wsgn.export.graphs.joined import join
from wsgn.export.graphs.parity import HALF_TOLERANCE, TOLERANCE, check_parity
from wsgn.export.graphs.score_parity import check_score_parity
from wsgn.export.to_onnx import main
from wsgn.manifest import GRAPHS, METADATA_KEY, Manifest
from wsgn.methods.config import (
    BasnetConfig,
    Co2netConfig,
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.runtime import open_engine
from wsgn.runtime.cli.main import main as wsgn_run

C = len(CLASSES)
# Input dimensions, and outputs with theirs.
FACES: dict[str, tuple[tuple[str, ...], dict[str, tuple[object, ...]]]] = {
    "snippet": (
        ("N",),
        {"selection_logits": ("N", C), "class_probabilities": ("N", C)},
    ),
    "whole-video": (
        ("B", "T"),
        {"scores": ("B", "T", C), "video_scores": ("B", C)},
    ),
    "streaming": (
        ("B", "N"),
        {
            "selection_logits": ("B", "N", C),
            "class_probabilities": ("B", "N", C),
            "scores": ("B", "N", C),
            "next_state": ("B", "rows", C),
        },
    ),
}


def average_model() -> ModelConfig:
    """On frames, by the weighted average."""
    return replace(frame_model(), method=WsgnConfig(weight_scale="average"))


# With the shape of an input, and the rows of a stream's state.
MODELS = {"features": (feature_model, (SIZE,), 5), "frames": (average_model, (8, 16, 24, 3), 7)}
# The parity check's sizes, and some more.
SIZES = ((1, 1), (2, 3), (1, 17), (4, 5))


@pytest.fixture(scope="module")
def checkpoints() -> dict[str, Checkpoint]:
    return {name: random_checkpoint(model()) for name, (model, _, _) in MODELS.items()}


@pytest.fixture(scope="module")
def documents(checkpoints: dict[str, Checkpoint]) -> dict[tuple[str, str], onnx.ModelProto]:
    return {
        (name, graph): export_graph(exportable(checkpoint), graph)
        for name, checkpoint in checkpoints.items()
        for graph in GRAPHS
    }


def shape_of(value: onnx.ValueInfoProto) -> tuple[object, ...]:
    return tuple(size.dim_param or size.dim_value for size in value.type.tensor_type.shape.dim)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", MODELS)
def test_the_face(documents: dict[tuple[str, str], onnx.ModelProto], name: str, graph: str) -> None:
    document = documents[name, graph]
    _, shape, rows = MODELS[name]
    dimensions, outputs = FACES[graph]
    inputs = {name: (*dimensions, *shape)}
    if graph == "streaming":
        inputs["state"] = ("B", rows, C)
        outputs = outputs | {"next_state": ("B", rows, C)}
    assert {value.name: shape_of(value) for value in document.graph.input} == inputs
    assert {value.name: shape_of(value) for value in document.graph.output} == outputs
    types = {value.name: value.type.tensor_type.elem_type for value in document.graph.input}
    assert types.pop(name) == (TensorProto.FLOAT if name == "features" else TensorProto.UINT8)
    assert set(types.values()) <= {TensorProto.FLOAT}
    for value in document.graph.output:
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    (entry,) = document.metadata_props
    assert entry.key == METADATA_KEY
    assert Manifest.from_json(entry.value).graph == graph


@pytest.mark.parametrize(
    ("graph", "function"),
    [("whole-video", "FrameSelection"), ("streaming", "StreamingSelection")],
)
def test_the_selection_is_one_node_with_its_options(
    documents: dict[tuple[str, str], onnx.ModelProto], graph: str, function: str
) -> None:
    document = documents["features", graph]
    (node,) = [node for node in document.graph.node if node.domain == "wsgn"]
    (body,) = document.functions
    assert (node.op_type, body.domain, body.name) == (function, "wsgn", function)
    assert {opset.domain: opset.version for opset in document.opset_import} == {"": 18, "wsgn": 1}
    options = {a.name: onnx.helper.get_attribute_value(a) for a in node.attribute}
    assert set(options) == set(body.attribute)
    of_videos = {
        "class_activation": b"softmax",
        "video_pooling": b"frame_scores",
        "video_of": b"probabilities",
        "video_activation": b"none",
        "snippets_per_pick": 8,
    }
    assert options == {
        "use_local": 1,
        "use_global": 1,
        "use_softmax": 1,
        "softmax_scale": b"max_one",
        "epsilon": pytest.approx(1e-6),
        "use_attention": 0,
        "weight_scale": b"per_frame",
        "gate": b"none",
        "gate_level": pytest.approx(0.1),
    } | (of_videos if graph == "whole-video" else {})
    assert {node.domain for node in body.node} == {""}


def test_the_epsilon_of_the_node_is_what_counts(
    documents: dict[tuple[str, str], onnx.ModelProto],
) -> None:
    document = onnx.ModelProto()
    document.CopyFrom(documents["features", "whole-video"])
    features = np.random.default_rng(0).normal(size=(1, 9, SIZE)).astype(np.float32)
    scores = []
    for epsilon in (1e-6, 100.0):
        for attribute in document.graph.node[-1].attribute:
            if attribute.name == "epsilon":
                attribute.f = epsilon
        session = onnxruntime.InferenceSession(document.SerializeToString())
        scores.append(session.run(["scores"], {"features": features})[0])
    assert (scores[1] > scores[0]).any()


@pytest.mark.parametrize("half", [False, True], ids=["single", "half"])
@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("name", MODELS)
def test_every_graph_equals_torch_and_the_equations(
    tmp_path: Path, checkpoints: dict[str, Checkpoint], name: str, graph: str, half: bool
) -> None:
    subject = exportable(checkpoints[name])
    document = export_graph(subject, graph, half=half)
    types = {tensor.data_type for tensor in document.graph.initializer}
    assert (TensorProto.FLOAT16 in types) == (half and name == "frames")
    save_graph(document, tmp_path / "m.onnx")
    tolerance = HALF_TOLERANCE if half else TOLERANCE
    if graph == "snippet":
        rows = check_parity(subject, tmp_path / "m.onnx", (1, 17), tolerance)
    else:
        rows = check_score_parity(subject, graph, tmp_path / "m.onnx", SIZES, tolerance)
    by_name = {row.output: row for row in rows}
    if half and name == "frames":
        # It does differ, or nothing would have been in float16.
        assert by_name["selection_logits"].largest_difference > 1e-6
    # Whatever the network's type, the selection is float32.
    for output in ("scores", "video_scores", "exact by state"):
        if output in by_name:
            assert by_name[output].largest_difference < 1e-5


@pytest.mark.parametrize("graph", GRAPHS[1:])
@pytest.mark.parametrize(
    "method",
    [StpnConfig(), UntrimmedNetsConfig(), WtalcConfig(), BasnetConfig(), Co2netConfig()],
    ids=lambda method: method.name,
)
def test_every_method_has_both_graphs_of_scores(
    tmp_path: Path, method: MethodConfig, graph: str
) -> None:
    subject = exportable(random_checkpoint(feature_model(method=method)))
    save_graph(export_graph(subject, graph), tmp_path / "m.onnx")
    rows = check_score_parity(subject, graph, tmp_path / "m.onnx", ((1, 1), (2, 17)))
    assert all(row.largest_difference < 1e-5 for row in rows)
    assert all(row.largest_value > 0.01 for row in rows)


@pytest.mark.parametrize("graph", GRAPHS)
def test_a_joined_backbone_goes_before_every_graph(tmp_path: Path, graph: str) -> None:
    weights = weights_file(tmp_path / "resnet18.safetensors", RESNET)
    subject = join(heads(), weights, FRAMES)
    document = export_graph(subject, graph, half=True)
    constants = {tensor.name: tensor.data_type for tensor in document.graph.initializer}
    convolutions = {
        constants[name]
        for node in document.graph.node
        if node.op_type == "Conv"
        for name in node.input
        if name in constants
    }
    assert convolutions == {TensorProto.FLOAT16}
    save_graph(document, tmp_path / "m.onnx")
    if graph == "snippet":
        check_parity(subject, tmp_path / "m.onnx", (3,), HALF_TOLERANCE)
    else:
        check_score_parity(subject, graph, tmp_path / "m.onnx", ((1, 3),), HALF_TOLERANCE)


@pytest.mark.usefixtures("fresh_exports")
@pytest.mark.parametrize("graph", GRAPHS[1:])
@pytest.mark.parametrize("name", MODELS)
def test_the_same_checkpoint_gives_the_same_bytes(
    checkpoints: dict[str, Checkpoint],
    documents: dict[tuple[str, str], onnx.ModelProto],
    name: str,
    graph: str,
) -> None:
    first = documents[name, graph].SerializeToString(deterministic=True)
    again = export_graph(exportable(checkpoints[name]), graph).SerializeToString(deterministic=True)
    assert first == again
    for trace in (b".py", str(Path(torch.__file__).parent).encode(), str(Path.cwd()).encode()):
        assert trace not in first


def replaced(document: onnx.ModelProto, checkpoint: Checkpoint, graph: str) -> onnx.ModelProto:
    """The document with the selection of another model's rule."""
    other_rule = feature_model(components=("global_gaussian",))
    other = export_graph(exportable(replace(checkpoint, model=other_rule)), graph)
    del document.functions[:]
    document.functions.extend(other.functions)
    return document


@pytest.mark.parametrize("graph", GRAPHS[1:])
def test_a_selection_that_is_off_fails_the_export(
    tmp_path: Path, checkpoints: dict[str, Checkpoint], graph: str
) -> None:
    checkpoint = checkpoints["features"]
    subject = exportable(checkpoint)
    save_graph(replaced(export_graph(subject, graph), checkpoint, graph), tmp_path / "m.onnx")
    with pytest.raises(EngineError, match=r"graph is off: (video_)?scores"):
        check_score_parity(subject, graph, tmp_path / "m.onnx", SIZES)


@pytest.mark.parametrize("graph", GRAPHS[1:])
def test_a_network_that_is_off_fails_the_export(
    tmp_path: Path, checkpoints: dict[str, Checkpoint], graph: str
) -> None:
    save_graph(export_graph(exportable(checkpoints["features"]), graph), tmp_path / "m.onnx")
    other = exportable(random_checkpoint(feature_model(), seed=1))
    with pytest.raises(EngineError, match="graph is off: selection_logits"):
        check_score_parity(other, graph, tmp_path / "m.onnx", SIZES)


def test_a_state_that_is_off_fails_the_export(
    tmp_path: Path, checkpoints: dict[str, Checkpoint]
) -> None:
    subject = exportable(checkpoints["features"])
    document = export_graph(subject, "streaming")
    # Rows 1 and 2 of the next state change places.
    (concat,) = [node for node in document.functions[0].node if "next_state" in node.output]
    concat.input[1], concat.input[2] = concat.input[2], concat.input[1]
    save_graph(document, tmp_path / "m.onnx")
    with pytest.raises(EngineError, match="graph is off"):
        check_score_parity(subject, "streaming", tmp_path / "m.onnx", ((1, 3),))


@pytest.mark.parametrize("kind", ["whole-video", "streaming"])
def test_the_command_and_what_wsgn_run_says(
    tmp_path: Path,
    checkpoints: dict[str, Checkpoint],
    kind: str,
    capsys: pytest.CaptureFixture[str],
) -> None:
    save_checkpoint(tmp_path / "c.safetensors", checkpoints["frames"])
    engine = tmp_path / "m.onnx"
    arguments = [str(tmp_path / "c.safetensors"), "-o", str(engine), "--graph", kind]
    assert main(arguments) == 0
    assert "scores " in capsys.readouterr().out
    for calls in ("few", "one"):
        words = [*arguments, "--overwrite", "--calls", calls]
        assert main(words) == (0 if kind == "streaming" else 2)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["c.safetensors", "m.onnx"]
    with pytest.raises(EngineError, match=f"holds the {kind} graph.*export it without --graph"):
        open_engine(engine)
    (tmp_path / "video.mp4").touch()
    assert wsgn_run([str(tmp_path / "video.mp4"), "--engine", str(engine)]) == 5
    assert f"holds the {kind} graph" in capsys.readouterr().err
    # What it is can still be asked.
    assert wsgn_run(["manifest", str(engine)]) == 0
    assert f'"{kind}"' in capsys.readouterr().out


def test_the_command_takes_no_other_graph(tmp_path: Path) -> None:
    command = [str(tmp_path), "-o", str(tmp_path / "m.onnx"), "--graph", "whole_movie"]
    assert main(command) == 2
