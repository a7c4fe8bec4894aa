"""Convolutions in INT8: near the engine in float32, by every library that reads Q/DQ."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from test_to_onnx import random_checkpoint
from test_to_tensorrt_graphs import built
from toy import frame_model

from wsgn.engines.open import open_engine
from wsgn.export.graphs.document import export_graph, exportable, save_graph
from wsgn.export.graphs.int8 import quantised_document


def _adds_in_16_bits() -> bool:
    """Whether this processor lacks VNNI, without which pairs of INT8 products saturate."""
    facts = Path("/proc/cpuinfo")
    return facts.exists() and "vnni" not in facts.read_text(encoding="utf-8")


@pytest.mark.skipif(_adds_in_16_bits(), reason="a processor without VNNI, see docs/engines.md")
def test_convolutions_are_near_in_every_library(tmp_path: Path) -> None:
    subject = exportable(random_checkpoint(frame_model()))
    document = export_graph(subject)
    random = np.random.default_rng(0)
    rows = random.integers(0, 256, (24, 8, 16, 24, 3), dtype=np.uint8)
    found = quantised_document(document, subject.manifest, rows, tmp_path)
    kinds = {node.output[0]: node for node in found.graph.node}
    convolutions = [node for node in found.graph.node if node.op_type == "Conv"]
    assert convolutions
    for node in convolutions:
        weights = kinds[node.input[1]]
        assert weights.op_type == "DequantizeLinear"
        (scales,) = [one for one in found.graph.initializer if one.name == weights.input[1]]
        (values,) = [one for one in found.graph.initializer if one.name == weights.input[0]]
        # One for each channel.
        assert scales.dims == values.dims[:1]
    save_graph(document, tmp_path / "float.onnx")
    save_graph(found, tmp_path / "int8.onnx")
    with open_engine(tmp_path / "float.onnx") as engine:
        wanted = engine.infer(rows)
    spread = wanted.selection_logits.std()
    for device in ("cpu", "openvino"):
        if device == "openvino":
            pytest.importorskip("openvino", reason="OpenVINO is not installed")
        with open_engine(tmp_path / "int8.onnx", device=device) as engine:
            outputs = engine.infer(rows)
        apart = np.abs(outputs.selection_logits - wanted.selection_logits)
        assert 0 < apart.max() < spread
        assert apart.mean() < 0.1 * spread


def test_tensorrt_takes_it(tmp_path: Path) -> None:
    subject = exportable(random_checkpoint(frame_model()))
    rows = np.random.default_rng(0).integers(0, 256, (9, 8, 16, 24, 3), dtype=np.uint8)
    found = quantised_document(export_graph(subject), subject.manifest, rows, tmp_path)
    assert built(found, tmp_path / "int8.onnx", "--max-snippets", "20") == ()
