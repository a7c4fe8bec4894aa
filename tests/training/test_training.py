"""Training: it learns, it is a function of its seed, and it resumes bit for bit."""

from __future__ import annotations

import csv
import os
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch
from toy import SIZE, ToySource, feature_model, short_training

from wsgn.checkpoint import load_checkpoint, save_checkpoint
from wsgn.errors import InputError, UsageError
from wsgn.methods.wsgn import Wsgn
from wsgn.prediction.evaluate import evaluate
from wsgn.training.run import resume_from, run_training
from wsgn.training.trainer import Trainer, scheduled_rate


def weights(trainer: Trainer) -> dict[str, torch.Tensor]:
    return {name: value.clone() for name, value in trainer.model.state_dict().items()}


def test_it_finds_segments_from_video_level_labels(tmp_path: Path) -> None:
    train = short_training(num_steps=150, batch_videos=8, learning_rate=5e-3, thinning=1)
    path = run_training(Trainer(feature_model(), train, ToySource(45)), tmp_path)
    result = evaluate(load_checkpoint(path), ToySource(30, seed=1)).detection
    # A detector that knew nothing would stay in the single figures.
    assert result.map_percent[1] > 60
    losses = [float(line["loss"]) for line in csv.DictReader((tmp_path / "losses.csv").open())]
    assert np.mean(losses[-10:]) < 0.8 * np.mean(losses[:10])


def test_the_same_seed_gives_the_same_weights_and_another_does_not() -> None:
    def train(seed: int) -> dict[str, torch.Tensor]:
        trainer = Trainer(feature_model(), short_training(seed=seed), ToySource(6))
        for _ in range(3):
            trainer.run_step()
        return weights(trainer)

    first, again, other = train(0), train(0), train(1)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)


@pytest.mark.parametrize(
    ("method", "train"),
    [
        ({}, {}),
        (
            {"coactivity_weight": 0.5, "standardise": True},
            {"batch_videos": 7, "batch_pairs": 2, "accumulate_snippets": 60},
        ),
        ({}, {"precision": "bfloat16"}),
    ],
    ids=["plain", "pairs in parts", "bfloat16"],
)
def test_resuming_is_bit_exact(
    tmp_path: Path, method: dict[str, object], train: dict[str, object]
) -> None:
    model, config, source = feature_model(**method), short_training(**train), ToySource(7)
    whole = Trainer(model, config, source)
    run_training(whole, tmp_path / "whole")

    broken = Trainer(model, config, source)
    for _ in range(3):
        broken.run_step()
    half = tmp_path / "half"
    save_checkpoint(half / "last.safetensors", broken.checkpoint())
    broken.close()
    resumed = Trainer(model, config, source)
    resume_from(half, resumed)
    assert resumed.step == 3
    run_training(resumed, half)
    expected = weights(whole)
    assert all(torch.equal(value, expected[name]) for name, value in weights(resumed).items())


def test_the_loss_log_has_one_line_per_step_also_after_resuming(tmp_path: Path) -> None:
    config, source = short_training(num_steps=4), ToySource(6)
    run_training(Trainer(feature_model(), config, source), tmp_path)
    longer = Trainer(feature_model(), short_training(num_steps=6), source)
    resume_from(tmp_path, longer)
    run_training(longer, tmp_path)
    lines = list(csv.DictReader((tmp_path / "losses.csv").open()))
    assert [int(line["step"]) for line in lines] == [1, 2, 3, 4, 5, 6]


def test_a_training_that_is_cut_off_while_it_resumes_keeps_its_loss_log(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    source, log = ToySource(6), tmp_path / "losses.csv"
    run_training(Trainer(feature_model(), short_training(num_steps=4), source), tmp_path)
    before = log.read_bytes()
    longer = Trainer(feature_model(), short_training(num_steps=6), source)
    resume_from(tmp_path, longer)

    def cut_off(descriptor: int) -> None:
        raise KeyboardInterrupt

    monkeypatch.setattr(os, "fsync", cut_off)
    with pytest.raises(KeyboardInterrupt):
        run_training(longer, tmp_path)
    assert log.read_bytes() == before


@pytest.mark.parametrize(
    ("part", "name", "value"),
    [
        ("weights", "surplus", torch.zeros(1)),
        ("weights", None, torch.zeros(1)),
        ("weights", "", None),
        ("optimizer", "nothing/exp_avg", torch.zeros(1)),
        ("optimizer", "exp_avg", torch.zeros(1)),
        ("optimizer", None, torch.zeros(7, 7)),
        ("optimizer", None, torch.tensor(torch.nan)),
    ],
)
def test_a_damaged_checkpoint_is_refused_before_anything_changes(
    part: str, name: str | None, value: torch.Tensor | None
) -> None:
    """A tensor too many (by name), another one in the place of the first (None), or one lacks."""
    source, train = ToySource(6), short_training()
    first = Trainer(feature_model(), train, source)
    first.run_step()
    good = first.checkpoint()
    first.close()
    tensors = dict(getattr(good, part))
    some = next(key for key in tensors if not key.endswith("/step"))
    if value is None:
        del tensors[some]
    else:
        tensors[name or some] = value
    torch.manual_seed(1)
    other = Trainer(feature_model(), train, source)
    before = {key: tensor.clone() for key, tensor in other.model.state_dict().items()}
    with pytest.raises(InputError, match="does not hold what its model needs"):
        other.resume(replace(good, **{part: tensors}))
    assert other.step == 0
    after = other.model.state_dict()
    assert all(torch.equal(after[key], before[key]) for key in before)
    other.close()


def test_a_finished_model_and_a_foreign_one_cannot_be_resumed(tmp_path: Path) -> None:
    source = ToySource(6)
    path = run_training(Trainer(feature_model(), short_training(num_steps=2), source), tmp_path)
    with pytest.raises(UsageError, match="finished"):
        Trainer(feature_model(), short_training(), source).resume(load_checkpoint(path))
    other = Trainer(feature_model(components=()), short_training(), source)
    with pytest.raises(UsageError, match="another model"):
        other.resume(load_checkpoint(tmp_path / "last.safetensors"))


def test_the_supervised_variant_uses_the_segments() -> None:
    def loss(supervision: str) -> float:
        trainer = Trainer(feature_model(), short_training(supervision=supervision), ToySource(6))
        return trainer.run_step().loss.item()

    assert loss("frame") > loss("video") + 0.01


def test_no_weight_decay_on_the_global_gaussian() -> None:
    trainer = Trainer(feature_model(), short_training(weight_decay=0.1), ToySource(3))
    decays = {
        id(parameter): group["weight_decay"]
        for group in trainer._update.optimizer.param_groups
        for parameter in group["params"]
    }
    method = trainer.model.method
    assert isinstance(method, Wsgn)
    assert decays[id(method.global_mean)] == 0
    assert decays[id(method.global_log_std)] == 0
    assert decays[id(method.class_head.hidden.weight)] == 0.1


def test_the_learning_rate_warms_up_and_falls() -> None:
    config = short_training(num_steps=100, warmup_steps=10, learning_rate=1.0, schedule="cosine")
    rates = [scheduled_rate(config, step) for step in range(100)]
    assert rates[0] == pytest.approx(0.1)
    assert max(rates) > 0.95
    assert rates[50] == pytest.approx(0.5)
    assert rates[99] < 0.001


def test_a_diverging_training_stops_with_a_sentence(tmp_path: Path) -> None:
    source = ToySource(3)
    source._features[0][:] = np.nan
    trainer = Trainer(feature_model(), short_training(batch_videos=3), source)
    with pytest.raises(InputError, match="learning rate"):
        run_training(trainer, tmp_path)
    assert not (tmp_path / "last.safetensors").exists()


def test_standardised_features_have_mean_0_and_deviation_1() -> None:
    source = ToySource(6)
    model = Trainer(feature_model(standardise=True), short_training(), source).model
    assert model.standardise is not None
    features = torch.cat([source.load(index).inputs for index in range(6)])
    found = model.standardise(features).double()
    torch.testing.assert_close(found.mean(dim=0), torch.zeros(SIZE).double(), atol=1e-5, rtol=0)
    torch.testing.assert_close(
        found.std(dim=0, unbiased=False), torch.ones(SIZE).double(), atol=1e-4, rtol=0
    )


def test_resuming_with_fewer_steps_than_are_done_is_refused() -> None:
    source = ToySource(6)
    trainer = Trainer(feature_model(), short_training(num_steps=3), source)
    for _ in range(3):
        trainer.run_step()
    with pytest.raises(UsageError, match="3 steps are done"):
        Trainer(feature_model(), short_training(num_steps=2), source).resume(trainer.checkpoint())
