"""A batch may be split into micro-batches, and shared by processes: its gradient stays the same."""

from __future__ import annotations

import pytest
import torch
from toy import ToySource, feature_model, short_training

from wsgn.config import ModelConfig
from wsgn.manifest import FeatureInput
from wsgn.methods.config import (
    MethodConfig,
    StpnConfig,
    UntrimmedNetsConfig,
    WsgnConfig,
    WtalcConfig,
)
from wsgn.training.overrides import METHODS as TRAINED
from wsgn.training.trainer import Trainer

METHODS: dict[str, MethodConfig] = {
    "complete": WsgnConfig(coactivity_weight=0.5),
    "naive": WsgnConfig(components=()),
    "untrimmednets": UntrimmedNetsConfig(),
    "stpn": StpnConfig(),
    "wtalc": WtalcConfig(dropout=0.0),
}


def gradients(trainer: Trainer) -> dict[str, torch.Tensor]:
    """The gradient of the first batch, before it is clipped."""
    trainer.model.train()
    trainer._update.accumulate(trainer._stream())
    trainer.close()
    return {
        name: parameter.grad.double()
        for name, parameter in trainer.model.named_parameters()
        if parameter.grad is not None
    }


def without_dropout(trainer: Trainer) -> Trainer:
    """The same, where some methods have dropout of their own."""
    for module in trainer.model.modules():
        if isinstance(module, torch.nn.Dropout):
            module.p = 0.0
    return trainer


def assert_same(found: dict[str, torch.Tensor], expected: dict[str, torch.Tensor]) -> None:
    assert found.keys() == expected.keys()
    assert any(value.abs().max() > 0 for value in expected.values())
    for name, value in expected.items():
        # Only the order of float32 sums differs.
        scale = max(1e-6, value.abs().max().item())
        torch.testing.assert_close(found[name], value, rtol=0, atol=2e-5 * scale, msg=name)


def model(method: object) -> ModelConfig:
    return feature_model(method=method, dropout=0.0)


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@pytest.mark.parametrize("supervision", ["video", "frame"])
def test_micro_batches_give_the_gradient_of_the_whole(method: object, supervision: str) -> None:
    if supervision == "frame" and not isinstance(method, WsgnConfig):
        pytest.skip("the baselines have no supervised variant")
    settings: dict[str, object] = {
        "batch_videos": 11, "batch_pairs": 2, "thinning": 1, "supervision": supervision,
    }  # fmt: skip
    whole = Trainer(model(method), short_training(**settings), ToySource(9))
    split = Trainer(model(method), short_training(accumulate_snippets=90, **settings), ToySource(9))
    assert len(whole._micro_batches(0)) == 1
    assert len(split._micro_batches(0)) > 3
    assert_same(gradients(split), gradients(whole))


# Every method of the command, and WSGN with pairs and with parameters that it has no use for; with
# batches that have more videos than four processes, and fewer.
ALL_METHODS: dict[str, tuple[MethodConfig, dict[str, object]]] = {
    **{
        f"{name}_{videos}": (method, {"batch_videos": videos, "batch_pairs": pairs, "thinning": 1})
        for name, method in (TRAINED | METHODS).items()
        for videos, pairs in ((11, 2), (3, 1))
    }
}


def test_half_precision_is_close_to_the_whole_one() -> None:
    train = {"batch_videos": 6, "thinning": 1}
    source = ToySource(6)
    features = FeatureInput(size=16)
    config = feature_model(dropout=0.0, features=features)
    exact = gradients(Trainer(config, short_training(**train), source))
    rough = gradients(Trainer(config, short_training(precision="bfloat16", **train), source))
    for name, value in exact.items():
        difference = (rough[name] - value).norm() / value.norm().clamp(min=1e-12)
        # bfloat16 keeps 8 bits; it must make a difference, and a small one.
        assert difference < 0.05, name
    assert any(not torch.equal(rough[name], value) for name, value in exact.items())
