"""Every exported graph is one that TensorRT-RTX takes and builds, in float32 and float16.

The networks are those that users train, with random weights and on small frames: operators and
types are what matters here (ResNet-18 has those of ResNet-34), and building needs no GPU.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
from plan_command import build, require_rtx, without_driver
from test_to_onnx import CLASSES, random_checkpoint
from toy import SAMPLING, feature_model, frame_model

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import BackboneConfig, I3dConfig, ResNetConfig, VggConfig
from wsgn.config import ModelConfig
from wsgn.engines.tensorrt.sidecar import read_sidecar
from wsgn.export.graphs.document import Exportable, export_graph, exportable, save_graph, seal
from wsgn.export.graphs.half import convolutions_in_half
from wsgn.export.graphs.joined import CroppedBackbone
from wsgn.export.graphs.networks import SnippetGraph
from wsgn.export.plan.input import PlanInput, read_plan_input
from wsgn.export.plan.parity import check_plan_parity
from wsgn.export.plan.profiles import Limits, plan_profiles
from wsgn.manifest import GRAPHS, FeatureInput, FrameInput, Manifest
from wsgn.methods.config import WsgnConfig


@pytest.fixture(autouse=True)
def _no_driver(monkeypatch: pytest.MonkeyPatch) -> None:
    require_rtx()
    without_driver(monkeypatch)


def built(document: onnx.ModelProto, engine: Path, *more: str) -> tuple[str, ...]:
    """Build a plan; the flags that its sidecar tells."""
    save_graph(document, engine)
    plan = engine.with_suffix(".plan")
    assert build(engine, *more, name=plan.name)[0] == 0
    sidecar = read_sidecar(plan)
    names = {value.name for value in document.graph.input}
    assert [set(profile.inputs) for profile in sidecar.profiles] == [names] * len(sidecar.profiles)
    return sidecar.flags


class OnnxSession:
    """A session that computes by ONNX Runtime, on the graph that TensorRT is given."""

    def __init__(self, source: PlanInput) -> None:
        self._session = onnxruntime.InferenceSession(
            source.for_tensorrt, providers=["CPUExecutionProvider"]
        )
        self._names = source.outputs

    def run(self, inputs: Any) -> dict[str, Any]:
        found = self._session.run(list(self._names), dict(inputs))
        return dict(zip(self._names, found, strict=True))


@pytest.mark.parametrize("graph", GRAPHS)
def test_models_on_features(tmp_path: Path, graph: str) -> None:
    document = export_graph(exportable(random_checkpoint(feature_model())), graph)
    assert built(document, tmp_path / "m.onnx") == ()
    # And where there is a GPU they can be compared: every input is known, every output is asked.
    source = read_plan_input(tmp_path / "m.onnx")
    profiles = plan_profiles(source, Limits(max_snippets=90))
    rows = check_plan_parity(source, profiles, OnnxSession(source), 1e-6)
    assert {row.output for row in rows} == {value.name for value in document.graph.output}
    assert all(row.largest_value > 1e-3 for row in rows)


def put_in_half(document: onnx.ModelProto) -> None:
    """Behind the export, whose checksums are taken anew."""
    convolutions_in_half(document)
    seal(document, Manifest.from_json(document.metadata_props[0].value))


@pytest.mark.parametrize("graph", GRAPHS)
def test_models_on_frames(tmp_path: Path, graph: str) -> None:
    document = export_graph(exportable(random_checkpoint(frame_model())), graph)
    assert built(document, tmp_path / "m.onnx", "--max-snippets", "20") == ()
    put_in_half(document)
    assert built(document, tmp_path / "h.onnx", "--max-snippets", "20") == ("half",)


@pytest.mark.parametrize("graph", GRAPHS)
@pytest.mark.parametrize(
    ("backbone", "length"),
    [(I3dConfig(), 8), (ResNetConfig(depth=18), 2), (VggConfig(), 2)],
    ids=["i3d", "resnet18", "vgg16"],
)
def test_models_on_published_backbones(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    backbone: BackboneConfig,
    length: int,
    graph: str,
) -> None:
    # The layers are the same with 64 channels instead of 4096, and need 0.6 GB less.
    monkeypatch.setattr(VggConfig, "feature_size", 64)
    config = ModelConfig(
        classes=CLASSES,
        sampling=replace(SAMPLING, snippet_length=length),
        frames=FrameInput(height=32, width=32),
        backbone=backbone,
        method=WsgnConfig(weight_scale="per_frame"),
    )
    document = export_graph(exportable(random_checkpoint(config)), graph)
    assert built(document, tmp_path / "m.onnx") == ()
    put_in_half(document)
    assert built(document, tmp_path / "h.onnx") == ("half",)


def test_a_backbone_that_was_joined_to_a_model(tmp_path: Path) -> None:
    config = ResNetConfig(depth=18)
    sampling = replace(SAMPLING, snippet_length=2)
    features = FeatureInput(size=config.feature_size)
    subject = exportable(random_checkpoint(feature_model(features=features, sampling=sampling)))
    backbone = build_backbone(config, sampling.snippet_length)
    front = CroppedBackbone(backbone, short_side=40, crop_size=32)
    joined = Exportable(
        graph=SnippetGraph(subject.graph.model, front).eval(),
        manifest=replace(
            subject.manifest,
            features=None,
            frames=FrameInput(height=40, width=40, resize="centre_crop"),
        ),
    )
    document = export_graph(joined)
    assert built(document, tmp_path / "m.onnx") == ()
    put_in_half(document)
    assert built(document, tmp_path / "h.onnx") == ("half",)
