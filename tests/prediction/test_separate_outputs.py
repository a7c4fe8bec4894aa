"""The outputs of a model taken apart make its scores again, whatever weighs and gates them."""

from __future__ import annotations

import numpy as np
import pytest
import torch
from toy import ToySource, feature_model

from wsgn.errors import UsageError
from wsgn.manifest import AVERAGE, COMPONENTS, PER_FRAME
from wsgn.methods.config import SCORINGS, WsgnConfig
from wsgn.model import WeakDetector
from wsgn.prediction.predict import predict_videos
from wsgn.prediction.separate_outputs import separate_outputs, weights_rule


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


def test_the_naive_model_has_nothing_to_take_apart() -> None:
    with pytest.raises(UsageError, match="one output only"):
        weights_rule(model_of(components=()))
