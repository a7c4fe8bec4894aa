"""The exported file: right, dynamic, self-contained, reproducible, and refused when off."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import onnxruntime
import pytest
import torch
from toy import CLASSES, SIZE, ToySource, feature_model, frame_model, short_training

from wsgn.checkpoint import Calibration, Checkpoint, save_checkpoint
from wsgn.config import ModelConfig
from wsgn.errors import EngineError, UsageError
from wsgn.export.graphs.document import (
    Exportable,
    export_graph,
    exportable,
    parity_input,
    save_graph,
)
from wsgn.export.graphs.file import export_onnx
from wsgn.export.graphs.parity import SIZES, TOLERANCE, check_parity
from wsgn.export.plan.input import read_plan_input
from wsgn.export.to_onnx import main
from wsgn.manifest import METADATA_KEY, DetectionRule, FeatureInput, Manifest, Prior, Sampling
from wsgn.methods.config import WsgnConfig
from wsgn.model import WeakDetector
from wsgn.presets import preset
from wsgn.training.trainer import Trainer

ZERO = (0.0, 0.0, 0.0)


def random_checkpoint(config: ModelConfig, seed: int = 0) -> Checkpoint:
    """Random weights, also in the batch norms' statistics, which start at trivial values."""
    torch.manual_seed(seed)
    model = WeakDetector(config)
    for name, buffer in model.named_buffers():
        if name.endswith("running_mean"):
            buffer.normal_()
        elif name.endswith("running_var"):
            buffer.uniform_(0.5, 2.0)
    with torch.no_grad():
        for name, parameter in model.named_parameters():
            if name.endswith(("global_mean", "class_bias")):
                parameter.normal_()
    return Checkpoint(
        model=config,
        train=short_training(),
        step=1,
        weights=model.state_dict(),
        optimizer={},
        calibration=Calibration(
            prior=Prior(
                count=8.0,
                mean=ZERO,
                variance=(1.0,) * 3,
                log_mean_exponential=ZERO,
                maximum=ZERO,
                mean_local=(0.6,) * 3,
                mean_global=(0.6,) * 3,
            ),
            detection=DetectionRule(open_thresholds=ZERO, close_thresholds=ZERO),
        ),
    )


@pytest.fixture(scope="module")
def frame_checkpoint() -> Checkpoint:
    return random_checkpoint(frame_model())


@pytest.fixture(scope="module")
def frame_graph(frame_checkpoint: Checkpoint) -> onnx.ModelProto:
    return export_graph(exportable(frame_checkpoint))


def test_onnx_runtime_equals_torch_on_any_number_of_snippets(
    tmp_path: Path, frame_checkpoint: Checkpoint, frame_graph: onnx.ModelProto
) -> None:
    save_graph(frame_graph, tmp_path / "m.onnx")
    session = onnxruntime.InferenceSession(tmp_path / "m.onnx", providers=["CPUExecutionProvider"])
    model = frame_checkpoint.build()
    for count in (1, 5, 40):
        frames = torch.randint(0, 256, (count, 8, 16, 24, 3), dtype=torch.uint8)
        x, p = session.run(None, {"frames": frames.numpy()})
        with torch.inference_mode():
            heads = model(frames)
            expected_x, expected_h = heads.selection_logits, heads.class_logits
        np.testing.assert_allclose(x, expected_x.numpy(), atol=1e-4)
        np.testing.assert_allclose(p, expected_h.softmax(dim=1).numpy(), atol=1e-5)


def test_features_go_in_where_a_model_takes_features(tmp_path: Path) -> None:
    checkpoint = random_checkpoint(feature_model())
    document = export_graph(exportable(checkpoint))
    assert document.graph.input[0].name == "features"
    assert document.graph.input[0].type.tensor_type.shape.dim[1].dim_value == SIZE
    save_graph(document, tmp_path / "m.onnx")
    rows = check_parity(exportable(checkpoint), tmp_path / "m.onnx", SIZES)
    assert {row.output for row in rows} == {"selection_logits", "class_probabilities"}


def test_the_manifest_inside_describes_the_model(frame_graph: onnx.ModelProto) -> None:
    (entry,) = [e for e in frame_graph.metadata_props if e.key == METADATA_KEY]
    manifest = Manifest.from_json(entry.value)
    assert manifest.classes == CLASSES
    assert manifest.frames is not None
    assert (manifest.frames.height, manifest.frames.width) == (16, 24)
    assert manifest.sampling.snippet_length == 8
    # Frames are scored on the scale chosen for scoring, not on that of training.
    assert manifest.selection.softmax_scale == WsgnConfig().scoring_softmax_scale
    assert len(set(manifest.selection.global_mean)) == 3


def test_no_path_of_this_machine_is_inside(frame_graph: onnx.ModelProto) -> None:
    data = frame_graph.SerializeToString()
    for trace in (b".py", str(Path(torch.__file__).parent).encode(), str(Path.cwd()).encode()):
        assert trace not in data


@pytest.mark.usefixtures("fresh_exports")
def test_the_same_checkpoint_gives_the_same_bytes(
    tmp_path: Path, frame_checkpoint: Checkpoint, frame_graph: onnx.ModelProto
) -> None:
    save_graph(frame_graph, tmp_path / "a.onnx")
    save_graph(export_graph(exportable(frame_checkpoint)), tmp_path / "b.onnx")
    assert (tmp_path / "a.onnx").read_bytes() == (tmp_path / "b.onnx").read_bytes()
    assert sorted(p.name for p in tmp_path.iterdir()) == ["a.onnx", "b.onnx"]


def test_a_graph_that_is_off_fails_the_export(tmp_path: Path, frame_graph: onnx.ModelProto) -> None:
    save_graph(frame_graph, tmp_path / "m.onnx")
    with pytest.raises(EngineError, match="off"):
        check_parity(
            exportable(random_checkpoint(frame_model(), seed=1)), tmp_path / "m.onnx", sizes=(2,)
        )


def test_probabilities_may_be_off_by_the_rounding_of_large_logits(tmp_path: Path) -> None:
    model = preset("wsgn").model.on(
        classes=("wave", "jump", "turn"),
        sampling=Sampling(frame_rate=10.0, snippet_length=4, snippet_stride=2),
        features=FeatureInput(size=4),
    )
    checkpoint = random_checkpoint(model)

    def subject(second: float) -> Exportable:
        head = "method.class_head.output"
        constant = {f"{head}.weight": torch.zeros(3, 4)}
        constant[f"{head}.bias"] = torch.tensor([300.0, second, 0.0])
        return exportable(replace(checkpoint, weights={**checkpoint.weights, **constant}))

    save_graph(export_graph(subject(0.0)), tmp_path / "m.onnx")
    rows = check_parity(subject(1e-3), tmp_path / "m.onnx", sizes=(2,))
    assert rows[1].largest_difference > TOLERANCE
    with pytest.raises(EngineError, match="class_probabilities"):
        check_parity(subject(0.1), tmp_path / "m.onnx", sizes=(2,))


def test_a_graph_that_gives_nan_fails_the_export(
    tmp_path: Path, frame_checkpoint: Checkpoint, frame_graph: onnx.ModelProto
) -> None:
    weights = dict(frame_checkpoint.weights)
    # Numbers all of them, of which the network makes none.
    (name, *_) = [name for name in weights if name.endswith("running_var")]
    weights[name] = torch.full_like(weights[name], -1e6)
    save_graph(frame_graph, tmp_path / "m.onnx")
    with pytest.raises(EngineError, match="off"):
        check_parity(
            exportable(replace(frame_checkpoint, weights=weights)), tmp_path / "m.onnx", sizes=(2,)
        )


def test_the_command(
    tmp_path: Path, frame_checkpoint: Checkpoint, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path / "c.safetensors", frame_checkpoint)
    arguments = [str(tmp_path / "c.safetensors"), "-o", str(tmp_path / "m.onnx")]
    assert main(arguments) == 0
    assert "selection_logits" in capsys.readouterr().out
    assert main(arguments) == 6
    assert "--overwrite" in capsys.readouterr().err
    assert main([str(tmp_path / "none.safetensors"), "-o", str(tmp_path / "n.onnx")]) == 3
    assert not (tmp_path / "n.onnx").exists()


def test_an_unfinished_training_cannot_be_exported() -> None:
    trainer = Trainer(feature_model(), short_training(), ToySource(3))
    with pytest.raises(UsageError, match="--resume"):
        export_graph(exportable(trainer.checkpoint()))


@pytest.mark.parametrize("graph", ["snippet", "whole-video", "streaming"])
def test_standardised_features_are_compared_at_their_own_scale(tmp_path: Path, graph: str) -> None:
    """Numbers near 1 would be near a thousand behind the layer, where float32 has fewer digits."""
    checkpoint = random_checkpoint(feature_model(standardise=True))
    checkpoint.weights["standardise.deviation"].fill_(1e-3)
    checkpoint.weights["standardise.mean"].fill_(0.02)
    subject = exportable(checkpoint)
    assert subject.graph.model.standardise is not None
    behind = subject.graph.model.standardise(parity_input(subject, 1000))
    assert abs(behind.mean()) < 0.1
    assert 0.9 < behind.std() < 1.1
    report = export_onnx(checkpoint, tmp_path / "m.onnx", graph=graph)
    (logits,) = [row for row in report.parity if row.output == "selection_logits"]
    assert 0.1 < logits.largest_value < 100
    # A plan is made of the file alone, and is compared at the scale that it finds in there.
    scale = read_plan_input(tmp_path / "m.onnx").feature_scale
    assert scale is not None
    assert (scale.mean == np.float32(0.02)).all()
    assert (scale.deviation == np.float32(1e-3)).all()
