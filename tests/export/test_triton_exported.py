"""Trained models on their whole way: checkpoint, ONNX file, model repository, server."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnxruntime
import pytest
from test_to_onnx import random_checkpoint
from toy import SIZE, feature_model, frame_model
from triton_server import running_server

from wsgn.config import ModelConfig
from wsgn.export.graphs.document import export_graph, exportable, save_graph
from wsgn.export.to_triton_server import main
from wsgn.export.triton_server.engine import read_engine
from wsgn.localization.online.scorer import CausalScorer
from wsgn.manifest import GRAPHS


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize("model", [feature_model(), frame_model()], ids=["features", "frames"])
def test_every_graph_that_is_exported_can_be_written(
    tmp_path: Path, model: ModelConfig, graph: str
) -> None:
    save_graph(export_graph(exportable(random_checkpoint(model)), graph), tmp_path / "m.onnx")
    assert main([str(tmp_path / "m.onnx"), "-o", str(tmp_path / "r")]) == 0
    assert read_engine(tmp_path / "m.onnx").manifest.graph == graph


def test_a_served_stream_has_the_causal_scores_of_the_runtime(tmp_path: Path) -> None:
    """Which are computed in float64, from the stateless graph's logits."""
    checkpoint = random_checkpoint(feature_model())
    for graph in ("snippet", "streaming"):
        save_graph(export_graph(exportable(checkpoint), graph), tmp_path / f"{graph}.onnx")
    arguments = [str(tmp_path / "streaming.onnx"), "-o", str(tmp_path / "r")]
    assert main([*arguments, "--backend", "python"]) == 0
    stream = np.random.default_rng(0).normal(size=(23, SIZE)).astype(np.float32)

    session = onnxruntime.InferenceSession(
        tmp_path / "snippet.onnx", providers=["CPUExecutionProvider"]
    )
    logits, probabilities = session.run(None, {"features": stream})
    scorer = CausalScorer(read_engine(tmp_path / "snippet.onnx").manifest)
    expected = [
        scorer.score(0.0, x, p)
        for x, p in zip(logits.astype(np.float64), probabilities.astype(np.float64), strict=True)
    ]

    with running_server(tmp_path / "r", tmp_path, "streaming") as server:
        found = [
            server.infer(
                "streaming",
                piece[None],
                sequence_id=7,
                sequence_start=place == 0,
                sequence_end=place == 3,
            )["scores"][0]
            for place, piece in enumerate(np.split(stream, [1, 4, 11]))
        ]
    np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-5)
