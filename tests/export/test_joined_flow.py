"""Networks on frames and optical flow before heads: the engine computes what features, heads do."""

from __future__ import annotations

import json
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from places import ROOT, SHARED
from test_raw_frames import ORIGIN, heads
from torch import Tensor, nn

from wsgn.backbones import build
from wsgn.backbones.config import I3dConfig
from wsgn.backbones.pixels import SymmetricInput
from wsgn.checkpoint import TrainedOn, load_checkpoint, save_checkpoint
from wsgn.engines.engine import EngineInputs
from wsgn.errors import EngineError, UsageError
from wsgn.export.graphs.file import export_onnx
from wsgn.export.to_onnx import main
from wsgn.extraction.cli import main as extract
from wsgn.features.file import read_feature_file, read_feature_info
from wsgn.manifest import FlowInput, FrameInput, Manifest
from wsgn.runtime import open_engine
from wsgn.runtime.cli.main import main as run
from wsgn.runtime.pipeline import Detection
from wsgn.selection.operator import class_probabilities
from wsgn.weights.converted import ConvertedWeights, write_weights

sys.path.append(str(ROOT / "tests" / "runtime" / "live"))
import standins

VIDEO = SHARED / "data" / "videos" / "bikes.mp4"
SIZES = [
    "--short-side", "48", "--crop-size", "32", "--snippet-length", "4", "--snippet-stride", "4"
]  # fmt: skip


class OneLayer(nn.Module):
    """In place of I3D's 57: the way to it matters here, and exporting those takes minutes."""

    def __init__(self, config: I3dConfig) -> None:
        super().__init__()
        channels = 3 if config.stream == "rgb" else 2
        self.pixels = SymmetricInput(channels)
        self.layer = nn.Conv3d(channels, config.feature_size, (2, 3, 3), (2, 4, 4))

    def forward(self, frames: Tensor) -> Tensor:
        return torch.relu(self.layer(self.pixels(frames))).mean(dim=(2, 3, 4))


@pytest.fixture(scope="module", autouse=True)
def _small_networks() -> Iterator[None]:
    pytest.importorskip("cv2", reason="needs the extra 'flow' (OpenCV)")
    if not VIDEO.is_file():
        pytest.skip(f"needs the shared data in {VIDEO.parent}")
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(build, "I3dBackbone", OneLayer)
        yield


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Weights of both streams, features of a real video by them, and heads on the features."""
    folder = tmp_path_factory.mktemp("flow")
    backbones = []
    for seed, stream in enumerate(("rgb", "flow")):
        config = I3dConfig(stream=stream)
        torch.manual_seed(seed)
        tensors = build.build_backbone(config, 4).state_dict()
        path = folder / f"{stream}.safetensors"
        write_weights(path, ConvertedWeights(config=config, origin=ORIGIN, tensors=tensors))
        backbones += ["--backbone", f"i3d-{stream}", "--weights", str(path)]
    arguments = [str(VIDEO), "-o", str(folder / "out"), *backbones, "--flow", "dis", "-q"]
    assert extract([*arguments, *SIZES]) == 0
    source = read_feature_info(folder / "out" / "bikes.safetensors").source
    made = TrainedOn(dataset="clips", num_videos=1, features=source)
    checkpoint = heads(size=2048, streams=("rgb", "flow"))
    save_checkpoint(folder / "heads.safetensors", replace(checkpoint, trained_on=made))
    return folder


def backbones(folder: Path) -> list[str]:
    return [str(folder / f"{stream}.safetensors") for stream in ("rgb", "flow")]


@pytest.fixture(scope="module")
def engine_path(folder: Path) -> Path:
    """Sizes and method are those of the features: nobody has to say them twice."""
    path = folder / "engine.onnx"
    joined = ",".join(backbones(folder))
    assert main([str(folder / "heads.safetensors"), "-o", str(path), "--backbone", joined]) == 0
    return path


def test_the_engine_on_a_video_equals_features_then_heads(
    folder: Path, engine_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _, features = read_feature_file(folder / "out" / "bikes.safetensors")
    with torch.inference_mode():
        output = load_checkpoint(folder / "heads.safetensors").build()(torch.from_numpy(features))
        probabilities = class_probabilities(output.class_logits, "softmax")
        expected = torch.cat([output.selection_logits, probabilities], 1).numpy()
    with open_engine(engine_path, num_threads=1) as engine:
        assert engine.manifest.frames == FrameInput(height=48, width=48, resize="centre_crop")
        assert engine.manifest.flow == FlowInput(method="dis")
        given: list[Any] = []
        infer = engine.infer

        def recorded(inputs: EngineInputs) -> object:
            given.append((inputs, infer(inputs)))
            return given[-1][1]

        monkeypatch.setattr(engine, "infer", recorded)
        list(Detection(VIDEO, engine).events())
        found = [np.concatenate([o.selection_logits, o.class_probabilities], 1) for _, o in given]
        assert len(expected) > 50
        np.testing.assert_allclose(np.concatenate(found), expected, atol=1e-4)
        # And the flow does matter.
        inputs, outputs = given[0]
        still = infer(inputs | {"flow": np.zeros_like(inputs["flow"])})
        assert np.abs(still.selection_logits - outputs.selection_logits).max() > 1e-3
        with pytest.raises(EngineError, match="takes frames and flow, got frames"):
            infer(inputs["frames"])


def test_a_live_stream_gives_the_same_flow_and_makes_none_up(engine_path: Path) -> None:
    """Two connections of 8 and 5 frames: the last of each has no flow, and completes no snippet."""
    rng = np.random.default_rng(0)
    images = rng.integers(0, 256, (13, 48, 48, 3), dtype=np.uint8)
    sampled = [
        replace(frame, image=image, epoch=int(index >= 8))
        for index, (frame, image) in enumerate(
            zip(standins.frames(("red", 1.3)), images, strict=True)
        )
    ]
    with open_engine(engine_path, num_threads=1) as engine:
        seen: list[np.ndarray] = []
        infer = engine.infer

        def recorded(inputs: EngineInputs) -> object:
            assert not isinstance(inputs, np.ndarray)
            seen.extend(inputs["flow"])
            return infer(inputs)

        engine.infer = recorded  # type: ignore[method-assign]
        events = list(standins.streams({"a": [standins.INFO, *sampled]}, engine).events())
    assert [event.snippets for event in events if event.type == "end"] == [2]
    assert [flow.shape for flow in seen] == [(4, 48, 48, 2)] * 2
    assert all(np.abs(flow).max(axis=(1, 2, 3)).min() > 0 for flow in seen)


def test_without_opencv_the_extra_is_named_before_anything_is_read(
    engine_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(sys.modules, "cv2", None)
    for source in ("none.mp4", "rtsp://127.0.0.1:9/none"):
        assert run([source, "--engine", str(engine_path)]) == 2
        assert "pip install 'wsgn[flow]'" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"flow": "tvl1"}, "flow dis, not short side 48, centre crop 32, flow tvl1"),
        ({"graph": "whole-video"}, "whole-video graph takes no optical flow"),
        ({"graph": "streaming"}, "streaming graph takes no optical flow"),
    ],
)
def test_what_does_not_fit_is_refused(
    folder: Path, tmp_path: Path, options: dict[str, Any], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        export_onnx(
            folder / "heads.safetensors",
            tmp_path / "engine.onnx",
            backbone=backbones(folder),
            **options,
        )


def test_the_manifest_says_what_flow_is(engine_path: Path) -> None:
    with open_engine(engine_path, num_threads=1) as engine:
        manifest = engine.manifest
    document = json.loads(manifest.to_json())
    assert document["flow"] == {"method": "dis", "limit_pixels": 20.0}
    assert manifest.snippet_bytes == 4 * 48 * 48 * (3 + 8)
    without = replace(manifest, flow=None).to_json()
    assert "flow" not in json.loads(without)
    for change in ({"method": "farneback"}, {"limit_pixels": 0.0}, {"limit_pixels": 1e9}):
        with pytest.raises(UsageError, match=r"method of flow|limit_pixels"):
            Manifest.from_json(json.dumps(document | {"flow": document["flow"] | change}))
    with pytest.raises(UsageError, match="snippet graph"):
        replace(manifest, graph="streaming")
