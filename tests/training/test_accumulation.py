"""A batch may be split into micro-batches, and shared by processes: its gradient stays the same."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from torchrun import torchrun
from toy import ToySource, feature_model, short_training

from wsgn.config import ModelConfig
from wsgn.manifest import FeatureInput
from wsgn.methods.config import StpnConfig, UntrimmedNetsConfig, WsgnConfig, WtalcConfig
from wsgn.training.trainer import Trainer

METHODS = {
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


# Methods, and the most snippets that go through the network at once.
IN_TWO_PROCESSES = {"complete": 90, "naive": 0}
_PROCESS = """
import sys, torch
from test_accumulation import IN_TWO_PROCESSES, METHODS, gradients, model
from toy import ToySource, short_training
from wsgn.training.distributed import open_world
from wsgn.training.trainer import Trainer

with open_world("cpu") as (world, device):
    assert world.size == 2
    for name, limit in IN_TWO_PROCESSES.items():
        train = short_training(
            batch_videos=11, batch_pairs=2, thinning=1, accumulate_snippets=limit
        )
        config = model(METHODS[name])
        trainer = Trainer(config, train, ToySource(9), device=device, world=world)
        found = gradients(trainer)
        assert len(trainer._micro_batches(0)) >= 1
        torch.save(found, f"{sys.argv[1]}/{name}_{world.rank}.pt")
"""


@pytest.fixture(scope="module")
def of_two_processes(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder with the gradients that each of two processes has in the end."""
    folder = tmp_path_factory.mktemp("processes")
    script = folder / "process.py"
    script.write_text(_PROCESS)
    tests = Path(__file__).parent
    torchrun(script, folder, environment={"PYTHONPATH": f"{tests}:{tests.parent}"})
    return folder


@pytest.mark.parametrize("method", IN_TWO_PROCESSES)
def test_two_processes_give_the_gradient_of_one(of_two_processes: Path, method: str) -> None:
    train = short_training(batch_videos=11, batch_pairs=2, thinning=1)
    expected = gradients(Trainer(model(METHODS[method]), train, ToySource(9)))
    for rank in (0, 1):
        found = torch.load(of_two_processes / f"{method}_{rank}.pt", weights_only=True)
        assert_same(found, expected)


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
