"""What the loss sees: logits averaged over seconds, of every n-th snippet."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch
from toy import SIZE, ToySource, feature_model, short_training

from wsgn.errors import UsageError
from wsgn.methods.interface import Targets
from wsgn.methods.pooling import running_mean
from wsgn.methods.wsgn import Wsgn
from wsgn.model import WeakDetector
from wsgn.training.objective import Objective
from wsgn.training.trainer import Trainer

LENGTHS = (1, 4, 2, 23)
OFFSETS = torch.tensor([0, 1, 5, 7, 30])


def plain_mean(values: np.ndarray, reach: int) -> np.ndarray:
    rows = []
    for time in range(len(values)):
        near = [values[t] for t in range(time - reach, time + reach + 1) if 0 <= t < len(values)]
        rows.append(np.mean(near, axis=0))
    return np.array(rows)


@pytest.mark.parametrize("num_snippets", [1, 3, 9])
def test_neighbours_of_a_video_are_averaged(num_snippets: int) -> None:
    values = torch.randn(30, 3, dtype=torch.float64, requires_grad=True)
    found = running_mean(values, OFFSETS, num_snippets)
    parts = np.split(values.detach().numpy(), OFFSETS[1:-1].tolist())
    expected = np.concatenate([plain_mean(part, num_snippets // 2) for part in parts])
    np.testing.assert_allclose(found.detach(), expected, rtol=1e-12)
    # The operator takes rows of adjacent columns.
    assert found.stride(1) == 1
    # Means of everything alike leave their sum alone but for the ends, which count for more.
    found.sum().backward()
    assert values.grad is not None
    assert values.grad.sum().item() == pytest.approx(90)


@pytest.mark.parametrize(("thinning", "num_snippets"), [(1, 5), (2, 3), (8, 1)])
def test_seconds_count_with_the_thinning(thinning: int, num_snippets: int) -> None:
    """Of 0.4 s a snippet, 2 s are 5 of them, 2.5 of every second one, 0.6 of every eighth."""
    torch.manual_seed(0)
    model = WeakDetector(feature_model(components=(), dropout=0.0))
    assert isinstance(model.method, Wsgn)
    train = short_training(loss_smoothing_seconds=2.0, thinning=thinning)
    objective = Objective(model, train, compile_layers=False)
    features = torch.randn(30, SIZE)
    labels = torch.tensor([[1.0, 0, 0], [0, 1, 1], [0, 0, 0], [1, 0, 1]])
    targets = Targets(labels=labels, pairs=torch.zeros(0, 2, dtype=torch.int64))
    found = objective(features, OFFSETS, targets).per_video
    logits = model(features).class_logits.detach().double().numpy()
    for video, h in enumerate(np.split(logits, OFFSETS[1:-1].tolist())):
        smooth = plain_mean(h, num_snippets // 2)
        p = np.exp(smooth) / np.exp(smooth).sum(axis=1, keepdims=True)
        y, score = labels[video].numpy(), p.mean(axis=0)
        expected = -(y * np.log(score) + (1 - y) * np.log(1 - score)).mean()
        assert found[video].item() == pytest.approx(expected, rel=1e-5)


def test_seconds_that_are_none_are_refused() -> None:
    with pytest.raises(UsageError, match="loss_smoothing_seconds"):
        short_training(loss_smoothing_seconds=float("nan"))


def test_a_compiled_training_has_the_losses_of_the_plain_one(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Batches of several sizes; layers and selection both come from the compiler."""
    asked: list[object] = []
    real = torch.compile

    def quick(function: Any, **options: Any) -> Any:
        asked.append(function)
        # The same traces, without the minutes of a C++ compiler.
        return real(function, backend="aot_eager", **options)

    monkeypatch.setattr(torch, "compile", quick)
    losses = []
    for compiled in (False, True):
        torch._dynamo.reset()
        trainer = Trainer(
            feature_model(dropout=0.0, weight_scale="average"),
            short_training(thinning=1),
            ToySource(9),
            compile_layers=compiled,
        )
        losses.append([trainer.run_step().loss for _ in range(6)])
        trainer.close()
    assert len(asked) == 2
    for plain, other in zip(*losses, strict=True):
        torch.testing.assert_close(other, plain, rtol=1e-4, atol=1e-6)
