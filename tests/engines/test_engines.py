"""Loading engines, and everything that can be wrong with one."""

from __future__ import annotations

import dataclasses
import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import onnx
import planted
import pytest
from onnx import TensorProto, external_data_helper

from wsgn.engines.open import open_engine, read_manifest
from wsgn.errors import EngineError, UsageError
from wsgn.manifest import METADATA_KEY, FeatureInput, Sampling


def test_an_engine_computes_what_its_graph_says(engine_path: Path) -> None:
    frames = np.zeros((3, 8, planted.SIZE, planted.SIZE, 3), dtype=np.uint8)
    frames[1, :4, ..., 2] = 255
    with open_engine(engine_path, num_threads=1) as engine:
        outputs = engine.infer(frames)
    expected = [[0, 0, 0], [0, 0, 0.5], [0, 0, 0]]
    np.testing.assert_allclose(outputs.class_probabilities, expected, atol=1e-6)
    assert outputs.selection_logits.shape == (3, 3)


def test_the_manifest_is_read_without_loading_the_graph(engine_path: Path) -> None:
    assert read_manifest(engine_path) == planted.planted_manifest()


def test_a_closed_engine_says_so(engine_path: Path) -> None:
    engine = open_engine(engine_path)
    engine.close()
    with pytest.raises(EngineError, match="closed"):
        engine.infer(np.zeros((1, 8, planted.SIZE, planted.SIZE, 3), dtype=np.uint8))


def test_a_failing_graph_is_an_engine_error(engine_path: Path) -> None:
    with (
        open_engine(engine_path) as engine,
        pytest.raises(EngineError, match=r"failed on an input of shape \(1, 2\)"),
    ):
        engine.infer(np.zeros((1, 2), dtype=np.uint8))


def missing(path: Path) -> None:
    path.unlink()


def directory(path: Path) -> None:
    path.unlink()
    path.mkdir()


def empty(path: Path) -> None:
    path.write_bytes(b"")


def truncated(path: Path) -> None:
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 3])


def without_its_end(path: Path) -> None:
    path.write_bytes(path.read_bytes()[:-5])


def text(path: Path) -> None:
    path.write_text("this is not an engine, whatever its name says")


def without_manifest(path: Path) -> None:
    model = onnx.load(path)
    del model.metadata_props[:]
    onnx.save(model, path)


def newer_format(path: Path) -> None:
    model = onnx.load(path)
    document = json.loads(planted.planted_manifest().to_json()) | {"format_version": 2}
    onnx.helper.set_model_props(model, {METADATA_KEY: json.dumps(document)})
    onnx.save(model, path)


def broken_manifest(path: Path) -> None:
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {METADATA_KEY: "{"})
    onnx.save(model, path)


def wrong_length(path: Path) -> None:
    sampling = Sampling(frame_rate=10, snippet_length=16, snippet_stride=2)
    rewrite_manifest(path, sampling=sampling)


def wrong_input(path: Path) -> None:
    rewrite_manifest(path, frames=None, features=FeatureInput(size=7))


def wrong_output(path: Path) -> None:
    model = onnx.load(path)
    del model.graph.output[1]
    onnx.save(model, path)


def fixed_batch(path: Path) -> None:
    model = onnx.load(path)
    model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 1
    onnx.save(model, path)


def external_data(path: Path) -> None:
    model = onnx.load(path)
    model.graph.initializer.append(
        onnx.numpy_helper.from_array(np.zeros(2048, dtype=np.float32), "weights")
    )
    external_data_helper.convert_model_to_external_data(model, size_threshold=1024)
    onnx.save(model, path)


def external_constant_of_a_function(path: Path) -> None:
    tensor = TensorProto(data_type=TensorProto.FLOAT, dims=[1], data_location=TensorProto.EXTERNAL)
    node = onnx.helper.make_node("Constant", [], ["c"], value=tensor)
    model = onnx.load(path)
    model.functions.append(
        onnx.helper.make_function("d", "f", [], ["c"], [node], model.opset_import)
    )
    path.write_bytes(model.SerializeToString())


def unknown_operator(path: Path) -> None:
    model = onnx.load(path)
    model.graph.node[0].op_type = "NoSuchOperator"
    onnx.save(model, path)


def rewrite_manifest(path: Path, **changes: object) -> None:
    manifest = dataclasses.replace(planted.planted_manifest(), **changes)
    model = onnx.load(path)
    onnx.helper.set_model_props(model, {METADATA_KEY: manifest.to_json()})
    onnx.save(model, path)


BROKEN: list[tuple[Callable[[Path], None], str]] = [
    (missing, "does not exist"),
    (directory, "is a directory"),
    (empty, "is an empty file"),
    (truncated, "truncated or damaged"),
    (without_its_end, "truncated or damaged"),
    (text, "is not an ONNX file"),
    (without_manifest, "has no manifest"),
    (newer_format, "format version 2, this wsgn reads version 1"),
    (broken_manifest, "the manifest is not JSON"),
    (wrong_length, r"frames uint8 \(N, 8, 16, 16, 3\), .* wants .* \(N, 16, 16, 16, 3\)"),
    (wrong_input, r"wants features float32 \(N, 7\)"),
    (wrong_output, "the outputs selection_logits .* wants .* class_probabilities"),
    (fixed_batch, r"\(1, 8, 16, 16, 3\), but its manifest wants"),
    (external_data, "weights in another file"),
    (external_constant_of_a_function, "weights in another file"),
    (unknown_operator, "cannot load the engine"),
]


@pytest.mark.parametrize(
    ("breaks", "words"), BROKEN, ids=lambda value: getattr(value, "__name__", "")
)
def test_a_broken_engine_is_refused_in_one_sentence(
    tmp_path: Path, breaks: Callable[[Path], None], words: str
) -> None:
    path = planted.write_engine(tmp_path / "engine.onnx")
    breaks(path)
    with pytest.raises(EngineError, match=words) as caught:
        open_engine(path)
    assert "\n" not in str(caught.value)
    assert str(caught.value).endswith(".")


def test_every_truncation_of_an_engine_is_refused(tmp_path: Path, engine_path: Path) -> None:
    whole = engine_path.read_bytes()
    path = tmp_path / "engine.onnx"
    for length in range(0, len(whole), 37):
        path.write_bytes(whole[:length])
        with pytest.raises(EngineError):
            open_engine(path)


@pytest.mark.parametrize("device", ["gpu", "cuda:", "cuda:-1", "CPU"])
def test_an_unknown_device_is_a_usage_error(engine_path: Path, device: str) -> None:
    with pytest.raises(UsageError, match="device must be"):
        open_engine(engine_path, device=device)


@pytest.mark.parametrize("num_threads", [0, 10**6, 2**70])
def test_a_number_of_threads_that_no_machine_has_is_refused(
    tmp_path: Path, num_threads: int
) -> None:
    engine = planted.write_engine(tmp_path / "planted.onnx")
    with pytest.raises(UsageError, match="the number of threads must be 1 to 1024"):
        open_engine(engine, num_threads=num_threads)
