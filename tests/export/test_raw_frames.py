"""One engine on raw frames: a backbone before heads that were trained on its features."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnx
import pytest
import torch
from onnx import TensorProto
from places import SHARED
from test_to_onnx import CLASSES, random_checkpoint

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import BackboneConfig, ResNetConfig
from wsgn.checkpoint import Checkpoint, save_checkpoint
from wsgn.config import ModelConfig
from wsgn.errors import EngineError, UsageError
from wsgn.export.graphs.document import Exportable, export_graph, exportable, save_graph
from wsgn.export.graphs.joined import CroppedBackbone, FrameOptions, join
from wsgn.export.graphs.parity import HALF_TOLERANCE, SIZES, check_parity, parity_sizes
from wsgn.export.to_onnx import main
from wsgn.extraction.cli import main as extract
from wsgn.extraction.config import BACKBONES
from wsgn.features.file import read_feature_file
from wsgn.manifest import FeatureInput, FrameInput, Sampling
from wsgn.methods.config import WsgnConfig
from wsgn.runtime import open_engine
from wsgn.runtime.pipeline import Detection
from wsgn.selection.operator import class_probabilities
from wsgn.weights.converted import ConvertedWeights, Origin, write_weights

RESNET = ResNetConfig(depth=18)
SAMPLING = Sampling(frame_rate=25.0, snippet_length=4, snippet_stride=4)
SHORT_SIDE, CROP_SIZE = 48, 32
FRAMES = FrameOptions(short_side=SHORT_SIDE, crop_size=CROP_SIZE)
SIZES_IN_USE = ["--short-side", str(SHORT_SIDE), "--crop-size", str(CROP_SIZE)]
VIDEOS = SHARED / "data" / "videos"
ORIGIN = Origin(file_name="random", layout="torchvision", sha256="0" * 64)


def weights_file(path: Path, config: BackboneConfig = RESNET, gain: float = 30.0) -> Path:
    """Random weights; with this gain ResNet-18 gives features about as large as published ones."""
    torch.manual_seed(0)
    tensors = build_backbone(config, 4).state_dict()
    if isinstance(config, ResNetConfig):
        tensors["conv1.weight"] = tensors["conv1.weight"] * gain
    write_weights(path, ConvertedWeights(config=config, origin=ORIGIN, tensors=tensors))
    return path


def heads(size: int = 512, **changes: object) -> Checkpoint:
    """A model on features, with random weights."""
    settings: dict[str, object] = {
        "classes": CLASSES, "sampling": SAMPLING, "features": FeatureInput(size=size),
        "method": WsgnConfig(weight_scale="per_frame"),
    }  # fmt: skip
    return random_checkpoint(ModelConfig(**(settings | changes)))  # type: ignore[arg-type]


@pytest.fixture(scope="module")
def weights(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return weights_file(tmp_path_factory.mktemp("weights") / "resnet18.safetensors")


@pytest.fixture(scope="module")
def joined(weights: Path) -> Exportable:
    return join(heads(), weights, FRAMES)


@pytest.fixture(scope="module")
def engine(joined: Exportable, tmp_path_factory: pytest.TempPathFactory) -> Path:
    path = tmp_path_factory.mktemp("engine") / "joined.onnx"
    save_graph(export_graph(joined), path)
    return path


@pytest.mark.parametrize("name", ["bikes.mp4", "video_90.mov"])
def test_the_engine_on_a_video_equals_features_then_heads(
    tmp_path: Path, weights: Path, engine: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    video = VIDEOS / name
    if not video.is_file():
        pytest.skip(f"needs the shared data in {VIDEOS}")
    monkeypatch.setitem(BACKBONES, "resnet34", RESNET)
    arguments = ["--backbone", "resnet34", "--weights", str(weights), *SIZES_IN_USE, "-q"]
    sampling = ["--snippet-length", "4", "--snippet-stride", "4"]
    assert extract([str(video), "-o", str(tmp_path), *arguments, *sampling]) == 0
    _, features = read_feature_file(tmp_path / f"{video.stem}.safetensors")
    model = heads().build()
    with torch.inference_mode():
        output = model(torch.from_numpy(features))
        logits = output.selection_logits.numpy()
        probabilities = class_probabilities(output.class_logits, "softmax").numpy()
    with open_engine(engine, num_threads=1) as opened:
        seen: list[np.ndarray] = []
        infer = opened.infer

        def recorded(inputs: np.ndarray) -> object:
            outputs = infer(inputs)
            seen.append(np.concatenate([outputs.selection_logits, outputs.class_probabilities], 1))
            return outputs

        monkeypatch.setattr(opened, "infer", recorded)
        list(Detection(video, opened).events())
    expected = np.concatenate([logits, probabilities], axis=1)
    assert len(expected) > 1 or name == "video_90.mov"
    assert np.abs(logits).max() > 0.1
    np.testing.assert_allclose(np.concatenate(seen), expected, atol=1e-4)


def test_the_manifest_says_what_a_host_must_do(joined: Exportable, weights: Path) -> None:
    assert joined.manifest.features is None
    assert joined.manifest.frames == FrameInput(height=48, width=48, resize="centre_crop")
    assert joined.manifest.sampling == SAMPLING
    assert joined.manifest.provenance["backbone"].startswith("resnet18 (weights sha256 ")


def test_the_crop_is_the_middle() -> None:
    frames = torch.arange(2 * 3 * 10 * 10 * 3).view(2, 3, 10, 10, 3)
    front = CroppedBackbone(torch.nn.Identity(), short_side=10, crop_size=4)
    assert torch.equal(front(frames), frames[:, :, 3:7, 3:7])


@pytest.mark.parametrize(
    ("checkpoint", "config", "words"),
    [
        (heads(size=1024), RESNET, "1024 channels, resnet18 gives 512"),
        (heads(streams=("rgb", "flow")), RESNET, "the streams rgb, flow, resnet18 gives rgb"),
        (
            random_checkpoint(
                ModelConfig(
                    classes=CLASSES, sampling=SAMPLING, frames=FrameInput(height=16, width=16)
                )
            ),
            RESNET,
            "a backbone of its own",
        ),
    ],
)
def test_what_does_not_fit_is_refused(
    tmp_path: Path, checkpoint: Checkpoint, config: BackboneConfig, words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        join(checkpoint, weights_file(tmp_path / "w.safetensors", config))


def types_of(document: onnx.ModelProto) -> dict[str, set[int]]:
    """Element types of the weights of each kind of node."""
    constants = {tensor.name: tensor.data_type for tensor in document.graph.initializer}
    found: dict[str, set[int]] = {}
    for node in document.graph.node:
        kinds = {constants[name] for name in node.input if name in constants}
        found.setdefault(node.op_type, set()).update(kinds)
    return found


def test_half_convolutions_are_half_and_the_heads_are_not(
    tmp_path: Path, joined: Exportable, engine: Path
) -> None:
    document = export_graph(joined, half=True)
    kinds = types_of(document)
    assert kinds["Conv"] == {TensorProto.FLOAT16}
    assert kinds["Gemm"] == {TensorProto.FLOAT}
    # One on the way in, at most two at a branch on the way out, and the frames' own.
    assert sum(node.op_type == "Cast" for node in document.graph.node) <= 4
    for value in document.graph.output:
        assert value.type.tensor_type.elem_type == TensorProto.FLOAT
    save_graph(document, tmp_path / "half.onnx")
    assert (tmp_path / "half.onnx").stat().st_size < 0.6 * engine.stat().st_size
    rows = check_parity(joined, tmp_path / "half.onnx", (1, 3), HALF_TOLERANCE)
    # It does differ, or nothing would have been in float16.
    assert all(row.largest_difference > 1e-7 for row in rows)


def test_weights_too_large_for_half_fail_the_export(tmp_path: Path) -> None:
    path = weights_file(tmp_path / "w.safetensors", gain=1e7)
    subject = join(heads(), path, FRAMES)
    save_graph(export_graph(subject, half=True), tmp_path / "half.onnx")
    with pytest.raises(EngineError, match="off"):
        check_parity(subject, tmp_path / "half.onnx", (1,), HALF_TOLERANCE)


def test_the_compact_backbone_in_half(tmp_path: Path) -> None:
    config = ModelConfig(classes=CLASSES, sampling=SAMPLING, frames=FrameInput(height=16, width=24))
    subject = exportable(random_checkpoint(config))
    document = export_graph(subject, half=True)
    assert types_of(document)["Conv"] == {TensorProto.FLOAT16}
    # The backbone's own fully connected layer is half, the four of the heads are not.
    gemms = types_of(document)["Gemm"]
    assert gemms == {TensorProto.FLOAT16, TensorProto.FLOAT}
    save_graph(document, tmp_path / "half.onnx")
    check_parity(subject, tmp_path / "half.onnx", (1, 5), HALF_TOLERANCE)


def test_the_command_joins(
    tmp_path: Path, weights: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    save_checkpoint(tmp_path / "heads.safetensors", heads())
    output = tmp_path / "engine.onnx"
    arguments = [str(tmp_path / "heads.safetensors"), "-o", str(output), "--half"]
    assert main([*arguments, "--backbone", str(weights), *SIZES_IN_USE]) == 0
    assert "convolutions in float16" in capsys.readouterr().out
    with open_engine(output) as opened:
        assert opened.manifest.frames == FrameInput(height=48, width=48, resize="centre_crop")
    assert main([*arguments, "--backbone", str(tmp_path / "none"), "--overwrite"]) == 3


def test_large_networks_are_compared_on_few_snippets(joined: Exportable) -> None:
    manifest = joined.manifest
    assert parity_sizes(manifest) == SIZES
    large = replace(
        manifest,
        frames=FrameInput(height=256, width=256),
        sampling=replace(SAMPLING, snippet_length=16),
    )
    assert parity_sizes(large) == (1, 2, 3)
