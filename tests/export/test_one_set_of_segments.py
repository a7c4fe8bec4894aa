"""What training, prediction and the engine find in a video is one set of segments, by any method.

On the same outputs both are equal. Prediction and engine differ by the rounding of two float32
networks: where a curve is nearly level that moves the place at which it crosses a threshold, and a
probability near 1 tells its logit, which a video's score may be pooled of, to few digits.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
from places import SHARED
from toy import ToySource, feature_model, short_training

import wsgn
from wsgn.checkpoint import Checkpoint
from wsgn.config import ModelConfig
from wsgn.data.samples import VideoSample, VideoSource
from wsgn.dataset import open_data
from wsgn.engines.engine import EngineOutputs
from wsgn.export.graphs.document import export_graph, exportable, save_graph
from wsgn.features.options import FeatureOptions
from wsgn.localization.segments import Segment
from wsgn.manifest import FeatureInput, Manifest, MultiThresholdRule, Sampling
from wsgn.methods.config import (
    BasnetConfig,
    Co2netConfig,
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.methods.rules import selection_rule
from wsgn.prediction.evaluate import evaluate, trained_rule
from wsgn.prediction.predict import predict_videos, predicted_segments
from wsgn.presets import PRESETS
from wsgn.runtime import Detector, SnippetLogits, open_engine
from wsgn.runtime.events import SegmentEvent
from wsgn.training.trainer import Trainer

METHODS: dict[str, MethodConfig] = {
    "wsgn": PRESETS["wsgn"].model.method,
    "complete": WsgnConfig(),
    "untrimmednets": UntrimmedNetsConfig(),
    "stpn": StpnConfig(),
    "wtalc": WtalcConfig(coactivity_weight=0),
}
# These have a background behind their classes, which stays out of the engine.
_WITH_BACKGROUND: dict[str, MethodConfig] = {"basnet": BasnetConfig(), "co2net": Co2netConfig()}
_FOLDER = SHARED / "data" / "real" / "features"
# Of utkinect's, whose snippets are all alike.
_SAMPLING = Sampling(frame_rate=15, snippet_length=8, snippet_stride=4)


def trained(config: ModelConfig, source: VideoSource, num_steps: int) -> Checkpoint:
    """After a short training, which leaves curves that go up and down."""
    trainer = Trainer(config, short_training(num_steps=num_steps, learning_rate=3e-3), source)
    for _ in range(num_steps):
        trainer.run_step()
    return trainer.finished()


def engine_segments(
    manifest: Manifest, outputs: EngineOutputs, sample: VideoSample
) -> list[SegmentEvent]:
    """The final segments of a detector that plays a video."""
    detector = Detector(manifest)
    snippets = SnippetLogits(
        start_seconds=sample.times.start_seconds, epoch=sample.times.epoch, **vars(outputs)
    )
    events = [*detector.push(snippets), *detector.flush()]
    return [event for event in events if isinstance(event, SegmentEvent) and event.final]


def assert_one_set(
    found: list[SegmentEvent], wanted: list[Segment], *, seconds: float, score: float
) -> None:
    assert [event.label for event in found] == [segment.label for segment in wanted]
    for name, tolerance in (("start_seconds", seconds), ("end_seconds", seconds), ("score", score)):
        values = [[getattr(one, name) for one in segments] for segments in (found, wanted)]
        np.testing.assert_allclose(*values, rtol=0, atol=tolerance, err_msg=name)


def check(checkpoint: Checkpoint, source: VideoSource, folder: Path) -> int:
    """Of every video of a source; the number of segments that were compared."""
    save_graph(export_graph(exportable(checkpoint)), folder / "m.onnx")
    printed = evaluate(checkpoint, source).segments
    rule, classes = trained_rule(checkpoint), checkpoint.model.classes
    selection = selection_rule(checkpoint.build())
    pools_logits = selection.is_bounded and selection.video_score.of == "logits"
    with open_engine(folder / "m.onnx") as engine:
        for index, prediction in enumerate(predict_videos(checkpoint.build(), source)):
            sample = source.load(index)
            wanted = predicted_segments(prediction, classes, rule)
            assert printed[prediction.name] == wanted
            own = EngineOutputs(
                selection_logits=prediction.selection_logits.astype(np.float32),
                class_probabilities=prediction.class_probabilities.astype(np.float32),
            )
            exact = engine_segments(engine.manifest, own, sample)
            assert_one_set(exact, wanted, seconds=1e-9, score=1e-12)
            outputs = engine.infer(sample.inputs.numpy())
            found = engine_segments(engine.manifest, outputs, sample)
            assert_one_set(found, wanted, seconds=1e-3, score=1e-4 if pools_logits else 1e-5)
    return sum(map(len, printed.values()))


def with_rule(checkpoint: Checkpoint, proposals: MultiThresholdRule | None) -> Checkpoint:
    assert checkpoint.calibration is not None
    return replace(checkpoint, calibration=replace(checkpoint.calibration, proposals=proposals))


@pytest.mark.parametrize("name", METHODS | _WITH_BACKGROUND)
def test_on_random_features(tmp_path: Path, name: str) -> None:
    method = (METHODS | _WITH_BACKGROUND)[name]
    config = feature_model(method=method, standardise=True, smoothing_seconds=1.2)
    checkpoint = trained(config, ToySource(12), 20)
    for proposals in (None, MultiThresholdRule(smoothing_snippets=3)):
        assert check(with_rule(checkpoint, proposals), ToySource(4, seed=1), tmp_path) > 4


@pytest.mark.parametrize("name", METHODS)
def test_on_real_features(tmp_path: Path, name: str) -> None:
    if not (_FOLDER / "utkinect.json").is_file():
        pytest.skip(f"{_FOLDER} is not there: real features are no part of the project")
    annotations = wsgn.read_annotations(_FOLDER / "utkinect.json")
    data = open_data(FeatureOptions(path=_FOLDER / "utkinect"), annotations)
    config = ModelConfig(
        classes=annotations.classes,
        sampling=_SAMPLING,
        features=FeatureInput(size=180),
        method=METHODS[name],
        standardise=True,
        dropout=0.5,
        proposals=MultiThresholdRule(),
    )
    checkpoint = trained(config, data.source("validation", config), 60)
    for proposals in (None, trained_rule(checkpoint)):
        assert check(with_rule(checkpoint, proposals), data.source("test", config), tmp_path) > 10
