"""The outputs of a model taken apart make its scores again, whatever weighs and gates them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy import ToySource, feature_model

from wsgn.checkpoint import Checkpoint
from wsgn.config import TrainConfig
from wsgn.errors import UsageError
from wsgn.manifest import AVERAGE, COMPONENTS, PER_FRAME, MultiThresholdRule
from wsgn.methods.config import SCORINGS, WsgnConfig
from wsgn.model import WeakDetector
from wsgn.prediction.predict import predict_videos
from wsgn.prediction.separate_outputs import (
    segments_of_each_output,
    separate_outputs,
    weights_rule,
)


def model_of(**settings: object) -> WeakDetector:
    torch.manual_seed(0)
    return WeakDetector(feature_model(method=WsgnConfig(**settings))).eval()


@pytest.mark.parametrize(
    ("weight_scale", "scoring"), [(PER_FRAME, "product"), *((AVERAGE, one) for one in SCORINGS)]
)
def test_probabilities_times_weights_are_the_scores(weight_scale: str, scoring: str) -> None:
    model = model_of(weight_scale=weight_scale, scoring=scoring)
    for prediction in predict_videos(model, ToySource(2)):
        found = separate_outputs(prediction, weights_rule(model))
        assert list(found) == ["class_probabilities", *COMPONENTS, "selection", "scores"]
        weights = 1.0 if scoring == "probabilities" else found["selection"]
        expected = weights * found["class_probabilities"]
        np.testing.assert_allclose(found["scores"], expected, rtol=1e-9)
        # The logits as the paper's equations have them, over the mean where they are averaged.
        x = prediction.selection_logits
        z = np.exp(-((x - x.mean(axis=0)) ** 2) / (x.var(axis=0) + 1e-6))
        if scoring in ("cut", "probabilities"):
            z = z / z.mean(axis=0)
        if scoring == "cut":
            z = np.minimum(z, 1)
        if scoring != "soft_gate":
            np.testing.assert_allclose(found["local_gaussian"], z, rtol=1e-9)
        if scoring == "product":
            mean = np.mean([found[name] for name in COMPONENTS], axis=0)
            np.testing.assert_allclose(found["selection"], mean, rtol=1e-9)


def test_weights_over_1_stay_apart() -> None:
    model = model_of(class_activation="sigmoid", scoring="probabilities")
    with torch.no_grad():
        model.method.selection_head.output.weight.mul_(30)  # type: ignore[union-attr]
    checkpoint = Checkpoint(
        model=model.config,
        train=TrainConfig(),
        step=1,
        weights=model.state_dict(),
        optimizer={},
    )
    predictions = list(predict_videos(model, ToySource(3)))
    rule = MultiThresholdRule(video_score_gate=0.0)
    found = segments_of_each_output(checkpoint, predictions, rule)["temporal_softmax"]
    scores = [one.score for segments in found.values() for one in segments]
    assert sum(score > 1 for score in scores) > 5
    assert scores.count(1.0) == 0


def test_the_naive_model_has_nothing_to_take_apart() -> None:
    with pytest.raises(UsageError, match="one output only"):
        weights_rule(model_of(components=()))
