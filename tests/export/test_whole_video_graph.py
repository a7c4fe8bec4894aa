"""Scores of whole videos in ONNX Runtime against the paper's equations in float64.

Tolerances are absolute for values up to 1, else relative to the largest. The graph computes in
float32, whose numbers are 6e-8 apart at worst, relatively: a score is a few roundings away (2e-6),
and so is a mean over 1,000 snippets, which ONNX Runtime adds up one after the other.
"""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import numpy as np
import onnxruntime
import pytest
import torch
from plain_scores import plain_probabilities, plain_scores
from selection_sessions import (
    AVERAGE_RULES,
    NUM_CLASSES,
    OTHER_RULES,
    RULES,
    frame_selection_session,
    rule_name,
)
from toy import ToySource, feature_model, short_training

from wsgn.checkpoint import load_checkpoint
from wsgn.export.graphs.document import export_graph, exportable
from wsgn.manifest import COMPONENTS, SOFTMAX_SCALES, SelectionRule, VideoScore
from wsgn.prediction.predict import predict_videos
from wsgn.selection.api import frame_selection
from wsgn.support.arrays import AnyArray
from wsgn.training.run import run_training
from wsgn.training.trainer import Trainer

TOLERANCE = 2e-6
SIZES = ((1, 1), (3, 2), (2, 63), (1, 1000))


NEW_RULES = [*AVERAGE_RULES, *OTHER_RULES]


def expected(
    logits: AnyArray, class_logits: AnyArray, rule: SelectionRule
) -> tuple[AnyArray, AnyArray]:
    """Scores (B, T, C) and video scores (B, C)."""
    p = plain_probabilities(class_logits, rule.class_activation)
    videos = [plain_scores(*video, rule) for video in zip(logits, p, strict=True)]
    scores, video_scores = zip(*videos, strict=True)
    return np.stack(scores), np.stack(video_scores)


def assert_close(found: AnyArray, wanted: AnyArray, tolerance: float = TOLERANCE) -> None:
    assert found.dtype == np.float32
    np.testing.assert_allclose(
        found, wanted, rtol=0, atol=tolerance * max(1.0, np.abs(wanted).max())
    )


def random_logits(
    shape: tuple[int, ...], scale: float = 2.0, seed: int = 0
) -> tuple[AnyArray, AnyArray]:
    random = np.random.default_rng([seed, *shape])
    x, h = random.normal(size=(2, *shape, NUM_CLASSES)) * scale
    return x.astype(np.float32), h.astype(np.float32)


@pytest.mark.parametrize("rule", [*RULES, *NEW_RULES], ids=rule_name)
def test_every_rule_on_every_size(rule: SelectionRule) -> None:
    session = frame_selection_session(rule)
    for shape in SIZES:
        x, h = random_logits(shape)
        scores, video_scores = session.run(None, {"selection_logits": x, "class_logits": h})
        wanted, wanted_of_video = expected(x, h, rule)
        assert_close(scores, wanted)
        assert_close(video_scores, wanted_of_video)


def hostile_logits() -> dict[str, AnyArray]:
    """Logits (2, 65, C) that overflow, cancel or have no spread."""
    noise = np.random.default_rng(1).normal(size=(2, 65, NUM_CLASSES))
    one_peak = noise.copy()
    one_peak[:, 40] = 1e4
    values = {
        "huge": noise * 1e4,
        "far from zero": noise + 1e4,
        "far below zero": noise - 1e4,
        "constant": np.full_like(noise, 1234.567),
        "one peak": one_peak,
        "all equal but one": np.where(np.arange(65)[:, None] == 7, 3.0, 2.9) + 0 * noise,
    }
    return {name: value.astype(np.float32) for name, value in values.items()}


def hostile_rules() -> list[SelectionRule]:
    """All components in every scale, behind every gate that does not jump."""
    full = [rule for rule in [*RULES, *AVERAGE_RULES] if len(rule.components) == 3]
    return [rule for rule in [*full, *OTHER_RULES] if rule.gate != "hard"]


@pytest.mark.parametrize("name", hostile_logits())
@pytest.mark.parametrize("rule", hostile_rules(), ids=rule_name)
def test_hostile_logits(name: str, rule: SelectionRule) -> None:
    x = hostile_logits()[name]
    _, h = random_logits(x.shape[:2], scale=1e4)
    scores, video_scores = frame_selection_session(rule).run(
        None, {"selection_logits": x, "class_logits": h}
    )
    wanted, wanted_of_video = expected(x, h, rule)
    assert_close(scores, wanted)
    assert_close(video_scores, wanted_of_video)


@pytest.mark.parametrize("activation", ["softmax", "sigmoid"])
def test_logits_are_cut_as_a_host_cuts_probabilities(activation: str) -> None:
    """A host has float32 probabilities alone: one snippet of no end would outweigh all others."""
    rule = replace(
        OTHER_RULES[1],
        class_activation=activation,
        video_score=VideoScore(pooling="weighted", of="logits", activation="sigmoid"),
    )
    x, h = random_logits((1, 65))
    h[0, 3] = [-1e4, 1e4, 0]
    _, found = frame_selection_session(rule).run(None, {"selection_logits": x, "class_logits": h})
    wanted = expected(x, h, rule)[1]
    assert_close(found, wanted)
    assert wanted.min() > 0.01


def test_videos_of_a_batch_do_not_touch() -> None:
    rule = RULES[-1]
    session = frame_selection_session(rule)
    x, h = random_logits((3, 40))
    x[1] *= 1e4
    together = session.run(None, {"selection_logits": x, "class_logits": h})
    for video in range(3):
        one = slice(video, video + 1)
        alone = session.run(None, {"selection_logits": x[one], "class_logits": h[one]})
        for batch, single in zip(together, alone, strict=True):
            np.testing.assert_allclose(batch[one], single, rtol=1e-6, atol=1e-7)


@pytest.mark.parametrize("scale", SOFTMAX_SCALES)
def test_it_is_the_torch_operator(scale: str) -> None:
    (rule,) = [
        r for r in RULES
        if (r.components, r.softmax_scale, r.class_activation) == (COMPONENTS, scale, "softmax")
    ]  # fmt: skip
    x, h = random_logits((1, 200))
    found = frame_selection_session(rule).run(None, {"selection_logits": x, "class_logits": h})
    wanted = frame_selection(
        torch.from_numpy(x[0]),
        torch.from_numpy(h[0]),
        torch.tensor([0, 200]),
        torch.tensor(rule.global_mean),
        torch.tensor(rule.global_std),
        softmax_scale=scale,
    )
    assert_close(found[0][0], wanted.scores.numpy())
    assert_close(found[1], wanted.video_scores.numpy())


@pytest.mark.parametrize("scale", ["max_one", "soft_gate"])
def test_a_trained_model_scores_as_torch_does(tmp_path: Path, scale: str) -> None:
    source = ToySource(9)
    config = feature_model(scoring_softmax_scale=scale)
    path = run_training(Trainer(config, short_training(), source), tmp_path)
    checkpoint = load_checkpoint(path)
    document = export_graph(exportable(checkpoint), "whole-video").SerializeToString()
    session = onnxruntime.InferenceSession(document, providers=["CPUExecutionProvider"])
    for index, prediction in enumerate(predict_videos(checkpoint.build(), source)):
        features = source.load(index).inputs.numpy()
        scores, video_scores = session.run(None, {"features": features[None]})
        # Torch's logits are as far from ONNX Runtime's as two orders of adding up 16 products.
        assert_close(scores[0], prediction.scores, 1e-5)
        assert_close(video_scores[0], prediction.scores.mean(axis=0), 1e-5)
