"""The function behind the command, as Python calls it."""

from __future__ import annotations

from pathlib import Path

import pytest
from test_to_onnx import random_checkpoint
from toy import feature_model

from wsgn.checkpoint import save_checkpoint
from wsgn.errors import OutputError, UsageError
from wsgn.export.graphs.file import export_onnx


@pytest.mark.usefixtures("fresh_exports")
def test_a_checkpoint_and_its_file_give_the_same_bytes(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(feature_model())
    save_checkpoint(tmp_path / "model.safetensors", checkpoint)
    report = export_onnx(checkpoint, tmp_path / "a.onnx")
    export_onnx(str(tmp_path / "model.safetensors"), str(tmp_path / "b.onnx"))
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert report.path == tmp_path / "a.onnx"
    assert report.classes == checkpoint.model.classes
    assert [row.output for row in report.parity] == ["selection_logits", "class_probabilities"]
    assert all(row.largest_difference <= report.tolerance for row in report.parity)
    with pytest.raises(OutputError, match="exists"):
        export_onnx(checkpoint, tmp_path / "a.onnx")


def test_a_graph_that_does_not_exist_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="choose from snippet, whole-video, streaming"):
        export_onnx(random_checkpoint(feature_model()), tmp_path / "a.onnx", graph="stream")
    assert list(tmp_path.iterdir()) == []
