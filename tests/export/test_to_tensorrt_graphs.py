"""Every exported graph is one that TensorRT-RTX takes and builds, in float32 and float16.

The networks are those that users train, with random weights and on small frames: operators and
types are what matters here (ResNet-18 has those of ResNet-34), and building needs no GPU.
"""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path
from typing import Any

import onnx
import onnxruntime
import pytest
import torch
from places import ROOT
from plan_command import build, require_rtx, without_driver
from test_to_onnx import CLASSES, random_checkpoint
from torch import Tensor, nn
from toy import SAMPLING, feature_model, frame_model

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import BackboneConfig, I3dConfig, MotionConfig, ResNetConfig, VggConfig
from wsgn.backbones.pixels import SymmetricInput
from wsgn.backbones.streams import Streams
from wsgn.config import ModelConfig
from wsgn.engines.tensorrt.sidecar import read_sidecar
from wsgn.export.graphs.document import Exportable, export_graph, exportable, save_graph, seal
from wsgn.export.graphs.half import convolutions_in_half
from wsgn.export.graphs.joined import CroppedBackbone, FrameOptions, join
from wsgn.export.graphs.networks import SnippetGraph
from wsgn.export.plan.input import PlanInput, read_plan_input
from wsgn.export.plan.parity import check_plan_parity
from wsgn.export.plan.profiles import Limits, plan_profiles
from wsgn.extraction.choose import networks_before
from wsgn.manifest import GRAPHS, FeatureInput, FlowInput, FrameInput, Manifest
from wsgn.methods.config import WsgnConfig

sys.path.append(str(ROOT / "tests" / "backbones"))
from small_networks import network, written


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
    if graph == "streaming":
        subject = exportable(random_checkpoint(feature_model()))
        for calls in ("few", "one"):
            document = export_graph(subject, graph, calls=calls)
            assert built(document, tmp_path / f"{calls}.onnx") == ()


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


def test_motion_beside_a_network_of_ones_own(tmp_path: Path) -> None:
    own = written(tmp_path / "net.onnx", network(("n", 3, "h", "w"), ending="maps"))
    sampling = replace(SAMPLING, snippet_length=3)
    heads = random_checkpoint(feature_model(features=FeatureInput(size=149), sampling=sampling))
    frames = FrameOptions(short_side=32, crop_size=32, resize="stretch", image_frames=1)
    subject = join(heads, networks_before([f"onnx:{own}", "motion"], side=32), frames)
    document = export_graph(subject)
    assert built(document, tmp_path / "m.onnx") == ()
    put_in_half(document)
    assert built(document, tmp_path / "h.onnx") == ("half",)


class SmallFlow(nn.Module):
    """As I3D sees flow, in one layer."""

    def __init__(self) -> None:
        super().__init__()
        self.pixels = SymmetricInput(2)
        self.layer = nn.Conv3d(2, 16, 3, padding=1)

    def forward(self, flow: Tensor) -> Tensor:
        return torch.relu(self.layer(self.pixels(flow))).mean(dim=(2, 3, 4))


def test_frames_and_flow(tmp_path: Path) -> None:
    """Both go in by their names, also where the network looks at flow alone."""
    sampling = replace(SAMPLING, snippet_length=3)
    motion = build_backbone(MotionConfig(), 3)
    for name, streams in {
        "both": Streams([motion, SmallFlow()], [False, True]),
        "flow": Streams([SmallFlow()], [True]),
    }.items():
        features = FeatureInput(size=16 if name == "flow" else 160)
        subject = exportable(random_checkpoint(feature_model(features=features, sampling=sampling)))
        front = CroppedBackbone(streams, short_side=40, crop_size=32)
        manifest = replace(
            subject.manifest,
            features=None,
            frames=FrameInput(height=40, width=40, resize="centre_crop"),
            flow=FlowInput(method="dis"),
        )
        graph = SnippetGraph(subject.graph.model, front).eval()
        document = export_graph(Exportable(graph=graph, manifest=manifest))
        assert built(document, tmp_path / f"{name}.onnx") == ()
        source = read_plan_input(tmp_path / f"{name}.onnx")
        profiles = plan_profiles(source, Limits(max_snippets=4))
        rows = check_plan_parity(source, profiles, OnnxSession(source), 1e-6)
        assert all(row.largest_value > 1e-3 for row in rows)
