"""Every backbone under heads goes through the export and computes the same in ONNX Runtime.

VGG16 is left out here: its document of 0.67 GB takes 4.4 GB of memory to make.
"""

from __future__ import annotations

import numpy as np
import onnxruntime
import pytest
import torch

from wsgn.backbones.config import BackboneConfig, I3dConfig, ResNetConfig
from wsgn.checkpoint import Calibration, Checkpoint
from wsgn.config import ModelConfig, TrainConfig
from wsgn.export.graphs.document import example_input, export_graph, exportable
from wsgn.manifest import DetectionRule, FrameInput, Prior, Sampling
from wsgn.model import WeakDetector

CLASSES = ("wave", "jump", "bow")


def trained_model(backbone: BackboneConfig, length: int, height: int, width: int) -> Checkpoint:
    """Random weights and statistics, of a size at which the signal lives to the end."""
    config = ModelConfig(
        classes=CLASSES,
        sampling=Sampling(frame_rate=25.0, snippet_length=length, snippet_stride=length),
        frames=FrameInput(height=height, width=width),
        backbone=backbone,
    )
    torch.manual_seed(0)
    model = WeakDetector(config)
    for name, value in model.state_dict().items():
        if name.endswith("running_mean"):
            value.normal_(0, 0.1)
        elif name.endswith("running_var"):
            value.uniform_(0.1, 0.3)
    zeros, ones = (0.0,) * 3, (1.0,) * 3
    prior = Prior(
        count=1, mean=zeros, variance=ones, log_mean_exponential=zeros, maximum=ones,
        mean_local=ones, mean_global=ones,
    )  # fmt: skip
    rule = DetectionRule(open_thresholds=ones, close_thresholds=zeros)
    return Checkpoint(
        model=config,
        train=TrainConfig(),
        step=1,
        weights=model.state_dict(),
        calibration=Calibration(prior=prior, detection=rule),
        optimizer={},
    )


@pytest.mark.parametrize(
    ("backbone", "size"),
    [(I3dConfig(), (9, 37, 34)), (ResNetConfig(depth=18), (2, 33, 40))],
    ids=["i3d", "resnet"],
)
def test_engine_equals_torch(backbone: BackboneConfig, size: tuple[int, int, int]) -> None:
    checkpoint = trained_model(backbone, *size)
    subject = exportable(checkpoint)
    document = export_graph(subject).SerializeToString()
    session = onnxruntime.InferenceSession(document, providers=["CPUExecutionProvider"])
    # One snippet, and another number than that of the export's example.
    for num_snippets in (1, 3):
        frames = example_input(subject.manifest, num_snippets)
        got = session.run(None, {"frames": frames.numpy()})
        with torch.inference_mode():
            expected = subject.graph(frames)
        assert float(expected[0].std()) > 0.01
        for engine, network in zip(got, expected, strict=True):
            np.testing.assert_allclose(engine, network.numpy(), atol=1e-4)
