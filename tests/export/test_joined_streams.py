"""Several backbones in one engine: equal to their features, then heads; and what does not fit."""

from __future__ import annotations

import sys
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from places import ROOT
from test_raw_frames import CLASSES
from test_to_onnx import random_checkpoint

from wsgn.checkpoint import Checkpoint, TrainedOn, load_checkpoint, save_checkpoint
from wsgn.config import ModelConfig
from wsgn.errors import UsageError
from wsgn.export.graphs.file import export_onnx
from wsgn.export.to_onnx import main
from wsgn.extraction.cli import main as extract
from wsgn.extraction.config import BACKBONES, ExtractionConfig, Network, frame_settings
from wsgn.features.file import read_feature_file, read_feature_info
from wsgn.features.layouts import open_features
from wsgn.manifest import FeatureInput, FrameInput, Sampling
from wsgn.runtime import open_engine
from wsgn.runtime.pipeline import Detection
from wsgn.selection.operator import class_probabilities

sys.path += [str(ROOT / "tests" / "extraction"), str(ROOT / "tests" / "backbones")]
from numbered_clips import steady, write_clip
from small_networks import network, written

SAMPLING = Sampling(frame_rate=10.0, snippet_length=4, snippet_stride=2)
WIDTH = 5 + 144
OPTIONS = [
    "--frame-rate", "10", "--snippet-length", "4", "--snippet-stride", "2", "--resize", "stretch",
    "--crop-size", "40", "-q",
]  # fmt: skip


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A clip, an ONNX network with maps for its output, features of both streams, and heads."""
    folder = tmp_path_factory.mktemp("streams")
    write_clip(folder / "clip.mp4", steady(60))
    # Opset 13, which is turned into the engines' own.
    written(folder / "net.onnx", network(("n", 3, "h", "w"), ending="maps", opset=13))
    backbone = f"onnx:{folder / 'net.onnx'},motion"
    arguments = [str(folder / "clip.mp4"), "-o", str(folder / "out"), "--backbone", backbone]
    assert extract([*arguments, *OPTIONS, "--image-frames", "2"]) == 0
    source = read_feature_info(folder / "out" / "clip.safetensors").source
    save_checkpoint(folder / "heads.safetensors", heads(source))
    return folder


def heads(source: str, **changes: object) -> Checkpoint:
    settings: dict[str, object] = {
        "classes": CLASSES, "sampling": SAMPLING, "features": FeatureInput(size=WIDTH)
    }  # fmt: skip
    checkpoint = random_checkpoint(ModelConfig(**(settings | changes)))  # type: ignore[arg-type]
    made = TrainedOn(dataset="clips", num_videos=1, features=source)
    return replace(checkpoint, trained_on=made)


def test_streams_stand_by_name_behind_each_other(folder: Path) -> None:
    info = read_feature_info(folder / "out" / "clip.safetensors")
    assert [(stream.name, stream.size) for stream in info.streams] == [("rgb", 5), ("motion", 144)]
    assert "maps, rgb, mean" in info.source
    assert info.source.endswith("+ motion, whole frame 40 x 40, 10 fps, 2 images of each snippet")
    assert frame_settings(info.source) == {
        "resize": "stretch", "crop_size": 40, "image_frames": 2
    }  # fmt: skip


def test_the_engine_equals_the_features_then_the_heads(
    folder: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # Sizes and images are those of the features: nobody has to say them twice.
    backbone = f"onnx:{folder / 'net.onnx'},motion"
    arguments = [str(folder / "heads.safetensors"), "-o", str(folder / "engine.onnx")]
    assert main([*arguments, "--backbone", backbone, "--onnx-output", "maps"]) == 0
    _, features = read_feature_file(folder / "out" / "clip.safetensors")
    with torch.inference_mode():
        output = load_checkpoint(folder / "heads.safetensors").build()(torch.from_numpy(features))
        probabilities = class_probabilities(output.class_logits, "softmax")
        expected = torch.cat([output.selection_logits, probabilities], 1).numpy()
    with open_engine(folder / "engine.onnx", num_threads=1) as engine:
        assert engine.manifest.frames == FrameInput(height=40, width=40, resize="stretch")
        assert "maps, rgb" in engine.manifest.provenance["backbone"]
        seen: list[np.ndarray] = []
        infer = engine.infer

        def recorded(inputs: np.ndarray) -> object:
            outputs = infer(inputs)
            seen.append(np.concatenate([outputs.selection_logits, outputs.class_probabilities], 1))
            return outputs

        monkeypatch.setattr(engine, "infer", recorded)
        list(Detection(folder / "clip.mp4", engine).events())
    assert len(expected) > 5
    assert np.ptp(expected, axis=0).max() > 0.01
    np.testing.assert_allclose(np.concatenate(seen), expected, rtol=1e-4, atol=1e-4)


def test_one_stream_is_read_and_joined_by_its_name(folder: Path, tmp_path: Path) -> None:
    reader = open_features(folder / "out", streams=("motion",))
    both = read_feature_file(folder / "out" / "clip.safetensors")[1]
    np.testing.assert_array_equal(reader.read("clip"), both[:, 5:])
    source = reader.info("clip").source
    checkpoint = heads(source, features=FeatureInput(size=144), streams=("motion",))
    report = export_onnx(checkpoint, tmp_path / "engine.onnx", backbone="motion")
    assert report.path.stat().st_size > 0
    np.save(tmp_path / "clip.npy", both)
    with pytest.raises(UsageError, match="layout 'npy' have no stream 'motion'"):
        open_features(tmp_path, layout="npy", sampling=SAMPLING, streams=("motion",))


@pytest.mark.parametrize("graph", ["whole-video", "streaming"])
def test_the_other_graphs_hold_the_network_too(folder: Path, tmp_path: Path, graph: str) -> None:
    backbone = [f"onnx:{folder / 'net.onnx'}", "motion"]
    report = export_onnx(
        folder / "heads.safetensors", tmp_path / "engine.onnx", graph=graph, backbone=backbone
    )
    assert report.parity


@pytest.mark.parametrize(
    ("backbone", "options", "words"),
    [
        (["motion", "onnx:NET"], {}, "not onnx|not motion"),
        (["onnx:NET", "motion"], {"crop_size": 48}, "whole frame 40 x 40.*not whole frame 48"),
        (["onnx:NET", "motion"], {"resize": "centre_crop"}, "not short side 256"),
        (["onnx:NET", "motion"], {"image_frames": 0}, "2 images of each snippet, not"),
        (["onnx:OTHER", "motion"], {}, "weights sha256"),
        (["motion"], {}, "149 channels, motion gives 144"),
        (["onnx:NET", "resnet18"], {}, "says no weights"),
        (["onnx:NET", "onnx:NET"], {}, "different streams"),
    ],
)
def test_what_did_not_make_the_features_is_refused(
    folder: Path, tmp_path: Path, backbone: list[str], options: dict[str, object], words: str
) -> None:
    other = written(tmp_path / "other.onnx", network(("n", 3, "h", "w"), ending="maps", opset=17))
    names = [
        name.replace("NET", str(folder / "net.onnx")).replace("OTHER", str(other))
        for name in backbone
    ]
    with pytest.raises(UsageError, match=words):
        export_onnx(
            folder / "heads.safetensors",
            tmp_path / "engine.onnx",
            backbone=names,
            **options,  # type: ignore[arg-type]
        )


def test_some_of_the_streams_are_enough() -> None:
    both = ExtractionConfig(
        networks=(
            Network(name="resnet18", config=BACKBONES["resnet18"], weights_sha256="ab"),
            Network(name="motion", config=BACKBONES["motion"]),
        )
    )
    one = replace(both, networks=both.networks[1:])
    assert both.differs_from(both.source) == ""
    assert one.differs_from(both.source, streams=True) == ""
    assert "not motion" in one.differs_from(both.source)
    assert both.differs_from("somebody else's, 25 fps") == ""


def test_options_of_no_network_are_refused(
    folder: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = [str(folder / "clip.mp4"), "-o", str(folder / "none"), *OPTIONS]
    assert extract([*arguments, "--backbone", "motion", "--onnx-output", "maps"]) == 2
    assert "--onnx-output goes with" in capsys.readouterr().err
    assert extract([*arguments, "--backbone", "mobilenet"]) == 2
    assert "there is no backbone 'mobilenet'" in capsys.readouterr().err
    assert extract([*arguments, "--backbone", "motion", "--snippet-length", "1"]) == 2
    assert "motion is seen between" in capsys.readouterr().err
    assert extract([*arguments, "--backbone", "motion", "--image-frames", "9"]) == 2
    assert "--image-frames must be 0" in capsys.readouterr().err
