"""One model through both doors: torch as in training, and the exported engine as `wsgn-run`."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import av
import numpy as np
import pytest
import torch

from wsgn.checkpoint import Checkpoint
from wsgn.config import ModelConfig, TrainConfig
from wsgn.data.annotations import VideoAnnotation
from wsgn.data.frames import FrameDataset
from wsgn.export.graphs.document import export_graph, exportable, save_graph
from wsgn.manifest import FrameInput, Sampling
from wsgn.methods.rules import selection_rule
from wsgn.methods.wsgn import Wsgn
from wsgn.model import WeakDetector
from wsgn.prediction.calibrate import calibrate
from wsgn.prediction.predict import predict_videos, predicted_segments
from wsgn.runtime import open_engine
from wsgn.runtime.events import SegmentEvent
from wsgn.runtime.pipeline import Detection

CLASSES = ("left", "right", "none")
SAMPLING = Sampling(frame_rate=10.0, snippet_length=8, snippet_stride=4)
FRAMES = FrameInput(height=16, width=24)


def write_moving_square(path: Path, num_frames: int) -> None:
    """A bright square that wanders at changing speed, at 13 frames per second."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate=13)
        stream.width, stream.height, stream.pix_fmt = 96, 64, "yuv420p"
        for index in range(num_frames):
            image = np.full((64, 96, 3), 40, dtype=np.uint8)
            x = int(36 + 34 * np.sin(index / 9) * np.cos(index / 31))
            image[20:44, x : x + 20] = 220
            for packet in stream.encode(av.VideoFrame.from_ndarray(image, format="rgb24")):
                container.mux(packet)
        for packet in stream.encode(None):
            container.mux(packet)


def untrained_checkpoint() -> Checkpoint:
    """Random weights whose outputs differ enough between snippets to give segments."""
    torch.manual_seed(5)
    config = ModelConfig(classes=CLASSES, sampling=SAMPLING, frames=FRAMES)
    model = WeakDetector(config)
    assert isinstance(model.method, Wsgn)
    with torch.no_grad():
        for head in (model.method.class_head, model.method.selection_head):
            head.output.weight *= 8
    return Checkpoint(
        model=config,
        train=TrainConfig(),
        step=0,
        weights=model.state_dict(),
        optimizer={},
        calibration=None,
    )


@pytest.mark.parametrize("num_frames", [9, 200])
def test_wsgn_run_equals_torch(tmp_path: Path, num_frames: int) -> None:
    write_moving_square(tmp_path / "square.mp4", num_frames)
    video = VideoAnnotation(
        name="square", subset="test", duration_seconds=None, labels=(), segments=()
    )
    source = FrameDataset(tmp_path, [video], CLASSES, SAMPLING, FRAMES, progress=False)
    checkpoint = untrained_checkpoint()
    model = checkpoint.build()
    (prediction,) = predict_videos(model, source)
    calibration = calibrate(
        [prediction], np.ones((1, 3)), rule=selection_rule(model), smoothing_snippets=5
    )
    checkpoint = replace(checkpoint, calibration=calibration)
    save_graph(export_graph(exportable(checkpoint)), tmp_path / "model.onnx")

    with open_engine(tmp_path / "model.onnx") as engine:
        detection = Detection(tmp_path / "square.mp4", engine)
        events = list(detection.events())
    scores = detection.frame_scores()
    assert scores is not None
    np.testing.assert_allclose(scores, prediction.scores, atol=1e-4)

    found = [e for e in events if isinstance(e, SegmentEvent) and e.final]
    expected = predicted_segments(prediction, CLASSES, calibration.detection)
    assert [e.label for e in found] == [s.label for s in expected]
    assert len(expected) > 0 or num_frames < 20
    for ours, theirs in zip(found, expected, strict=True):
        assert ours.start_seconds == pytest.approx(theirs.start_seconds, abs=1e-3)
        assert ours.end_seconds == pytest.approx(theirs.end_seconds, abs=1e-3)
        assert ours.score == pytest.approx(theirs.score, abs=1e-4)
