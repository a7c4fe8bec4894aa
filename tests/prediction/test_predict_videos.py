"""What a model says of videos: by parts as in one piece, with the video scores of its method."""

from __future__ import annotations

import math
from dataclasses import replace

import numpy as np
import pytest
import torch
from torch import Tensor
from toy import SAMPLING, ToySource, feature_model, frame_model

from wsgn.data.samples import VideoSample
from wsgn.methods.config import StpnConfig, UntrimmedNetsConfig, WtalcConfig
from wsgn.methods.interface import Method
from wsgn.methods.stpn import Stpn
from wsgn.methods.untrimmednets import UntrimmedNets
from wsgn.model import WeakDetector
from wsgn.prediction import predict
from wsgn.prediction.predict import predict_videos


def model_with(**changes: object) -> WeakDetector:
    torch.manual_seed(0)
    return WeakDetector(feature_model(**changes)).eval()


def video_scores(method: Method, x: Tensor, h: Tensor) -> Tensor:
    """Of one video with selection logits x and class logits h (T, C), as the papers have them."""
    if isinstance(method, Stpn):
        return ((x.sigmoid() * h).mean(dim=0) + method.class_bias).sigmoid()
    if isinstance(method, UntrimmedNets):
        return (x.softmax(dim=0) * h.softmax(dim=1)).sum(dim=0)
    picks = math.ceil(len(h) / 8)
    return h.sort(dim=0, descending=True).values[:picks].mean(dim=0).softmax(dim=0)


@pytest.mark.parametrize("method", [StpnConfig(), UntrimmedNetsConfig(), WtalcConfig()])
def test_a_method_s_own_video_scores_are_those_of_the_prediction(method: object) -> None:
    model, source = model_with(method=method), ToySource(2)
    if isinstance(model.method, Stpn):
        torch.nn.init.normal_(model.method.class_bias)
    for index, prediction in enumerate(predict_videos(model, source)):
        with torch.inference_mode():
            heads = model(source.load(index).inputs)
            expected = video_scores(model.method, heads.selection_logits, heads.class_logits)
        np.testing.assert_allclose(prediction.pooled_scores(), expected.numpy(), atol=1e-6)
        # They are not the mean of the frame scores, or nothing would have been shown.
        assert np.abs(prediction.scores.mean(axis=0) - expected.numpy()).max() > 1e-3


def test_of_the_paper_s_method_they_are_the_mean_of_the_frame_scores() -> None:
    for prediction in predict_videos(model_with(), ToySource(2)):
        assert prediction.video_scores is None
        np.testing.assert_allclose(prediction.pooled_scores(), prediction.scores.mean(axis=0))


class OneClip(ToySource):
    """Its one video is frames."""

    def load(self, index: int) -> VideoSample:
        length = SAMPLING.snippet_length
        generator = torch.Generator().manual_seed(0)
        frames = torch.randint(0, 256, (30, length, 16, 24, 3), generator=generator)
        sample = super().load(index)
        times = {name: values[:30] for name, values in vars(sample.times).items()}
        return VideoSample(inputs=frames.to(torch.uint8), times=replace(sample.times, **times))


@pytest.mark.parametrize("pixels_at_once", [1, 2 * 8 * 16 * 24])
def test_a_video_goes_through_the_network_by_parts(
    monkeypatch: pytest.MonkeyPatch, pixels_at_once: int
) -> None:
    """One snippet at a time where a single one is already more than fits."""
    torch.manual_seed(0)
    model = WeakDetector(frame_model()).eval()
    (whole,) = predict_videos(model, OneClip(1))
    monkeypatch.setattr(predict, "_CHUNK_PIXELS", pixels_at_once)
    (parts,) = predict_videos(model, OneClip(1))
    np.testing.assert_allclose(parts.scores, whole.scores, atol=1e-5)
