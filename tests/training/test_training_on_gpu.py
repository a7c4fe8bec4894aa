"""Training on a GPU: the losses of the CPU, by the fused kernels and a copy stream."""

from __future__ import annotations

import pytest
import torch
from toy import ToySource, feature_model, short_training

from wsgn.methods.config import WsgnConfig
from wsgn.training.trainer import Trainer

pytestmark = pytest.mark.skipif(not torch.cuda.is_available(), reason="needs an NVIDIA GPU")

METHODS = {
    "complete": WsgnConfig(coactivity_weight=0.5),
    "naive": WsgnConfig(components=()),
    "wsgn+": WsgnConfig(
        components=("temporal_softmax",), softmax_scale="mean_one", hidden_layer=False
    ),
}


def losses(method: WsgnConfig, device: str, **train: object) -> list[float]:
    settings: dict[str, object] = {
        "num_steps": 8, "batch_videos": 8, "batch_pairs": 2, "accumulate_snippets": 120,
        "precision": "float32",
    }  # fmt: skip
    trainer = Trainer(
        feature_model(method=method, dropout=0.0),
        short_training(**(settings | train)),
        ToySource(12),
        device=torch.device(device),
    )
    found = [trainer.run_step().loss.item() for _ in range(8)]
    trainer.close()
    return found


@pytest.mark.parametrize("method", METHODS.values(), ids=METHODS.keys())
@pytest.mark.parametrize("supervision", ["video", "frame"])
def test_the_losses_are_those_of_the_cpu(method: WsgnConfig, supervision: str) -> None:
    expected = losses(method, "cpu", supervision=supervision)
    found = losses(method, "cuda", supervision=supervision)
    assert found == pytest.approx(expected, rel=2e-3)


def test_half_precision_learns_as_well() -> None:
    method = METHODS["complete"]
    expected = losses(method, "cpu")
    assert losses(method, "cuda", precision="bfloat16") == pytest.approx(expected, rel=0.05)
