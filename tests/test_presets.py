"""Presets: the paper's numbers are in them, and options replace what they set."""

from __future__ import annotations

import pytest

from wsgn.errors import UsageError
from wsgn.manifest import FeatureInput, Sampling
from wsgn.methods.config import StpnConfig, WsgnConfig
from wsgn.presets import PRESETS, Preset, preset
from wsgn.training.arguments import train_options


def chosen(*options: str) -> Preset:
    return train_options(["a.json", "-o", "x", "--features", "f", *options]).preset


def test_the_literal_paper() -> None:
    """Section 4 of the paper, as docs/training.md repeats it."""
    paper = preset("paper-thumos14-casl")
    train, model, method = paper.train, paper.model, paper.model.method
    assert isinstance(method, WsgnConfig)
    # 80 epochs of 200 videos in batches of 128 are 160 updates.
    assert (train.num_steps, train.batch_videos, train.batch_pairs) == (160, 128, 3)
    assert (train.thinning, train.start_range, model.time_unit) == (5, 15, "frame")
    assert (train.learning_rate, train.weight_decay, model.dropout) == (1e-4, 5e-4, 0.8)
    assert (train.schedule, train.warmup_steps, train.gradient_clip) == ("constant", 0, 0)
    assert (method.softmax_scale, method.scoring_softmax_scale) == ("sum_one", "sum_one")
    assert method.coactivity_weight == 0.5
    assert (method.initial_mean, method.initial_std, method.hidden_layer) == (0, 1, True)
    assert method.weight_scale == "per_frame"
    assert (model.smoothing_seconds, model.peak_gate, model.proposals) == (0, 0, None)
    # 7,985 videos in batches of 128 are 63 updates.
    assert preset("paper-charades").train.num_steps == 80 * 63


def test_every_preset_makes_a_model() -> None:
    for one in PRESETS.values():
        model = one.model.on(
            classes=("a", "b"),
            sampling=Sampling(frame_rate=25, snippet_length=16, snippet_stride=16),
            features=FeatureInput(size=8),
        )
        assert model.method == one.model.method
        assert one.description


def test_options_replace_what_a_preset_sets() -> None:
    found = chosen(
        "--preset", "wsgn+", "--steps", "7", "--dropout", "0.25", "--softmax-scale", "sum_one",
        "--supervised", "--components", "local_gaussian,temporal_softmax",
    )  # fmt: skip
    assert found.train.num_steps == 7
    assert found.train.supervision == "frame"
    assert found.model.dropout == 0.25
    assert isinstance(found.model.method, WsgnConfig)
    assert found.model.method.softmax_scale == "sum_one"
    assert found.model.method.components == ("local_gaussian", "temporal_softmax")
    kept = preset("wsgn+")
    assert found.train.learning_rate == kept.train.learning_rate
    assert isinstance(kept.model.method, WsgnConfig)
    assert found.model.method.hidden_layer == kept.model.method.hidden_layer


def test_a_baseline_and_an_option_that_it_does_not_have() -> None:
    assert chosen("--method", "stpn").model.method == StpnConfig()
    with pytest.raises(UsageError, match="--softmax-scale has no meaning for the method 'stpn'"):
        chosen("--method", "stpn", "--softmax-scale", "max_one")


def test_an_option_that_would_be_left_unused_is_refused() -> None:
    with pytest.raises(UsageError, match="scoring has no meaning under weight_scale per_frame"):
        chosen("--weight-scale", "per_frame", "--scoring", "cut")
    with pytest.raises(UsageError, match="softmax_scale has no meaning under weight_scale average"):
        chosen("--softmax-scale", "sum_one")
    # p alone needs no weights.
    method = chosen("--weight-scale", "per_frame", "--scoring", "probabilities").model.method
    assert isinstance(method, WsgnConfig)
    assert (method.weight_scale, method.scoring) == ("per_frame", "probabilities")


def test_the_default_goes_with_the_data() -> None:
    assert chosen() == preset("wsgn")
    assert train_options(["a.json", "-o", "x", "--videos", "v"]).preset == preset("wsgn")
    backbone = train_options(["a.json", "-o", "x", "--videos", "v", "--backbone", "compact"])
    assert backbone.preset == preset("videos")
    assert chosen("--preset", "videos") == preset("videos")


def test_naive_has_no_components() -> None:
    method = chosen("--components", "none").model.method
    assert isinstance(method, WsgnConfig)
    assert method.components == ()


def test_an_unknown_preset_is_answered_with_the_known_ones() -> None:
    with pytest.raises(UsageError, match="paper-thumos14"):
        preset("thumos15")
