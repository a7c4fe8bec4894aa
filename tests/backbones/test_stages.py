"""Gradient checkpointing computes the same things, and counts each batch once."""

from __future__ import annotations

from dataclasses import replace

import pytest
import torch
from torch import Tensor

from wsgn.backbones.build import build_backbone
from wsgn.backbones.config import I3dConfig, ResNetConfig
from wsgn.backbones.stages import run_stages

CONFIGS = [ResNetConfig(depth=18, frozen_stages=1), I3dConfig(frozen_stages=1)]


def trained(
    config: ResNetConfig | I3dConfig, *, checkpointed: bool
) -> tuple[dict[str, Tensor], dict[str, Tensor]]:
    """Gradients and running statistics after one pass back and forth."""
    torch.manual_seed(0)
    network = build_backbone(replace(config, checkpoint_gradients=checkpointed), 3).train()
    frames = torch.randint(0, 256, (2, 3, 24, 24, 3), dtype=torch.uint8)
    network(frames).square().sum().backward()
    gradients = {n: p.grad for n, p in network.named_parameters() if p.grad is not None}
    return gradients, dict(network.named_buffers())


@pytest.mark.parametrize("config", CONFIGS, ids=lambda config: config.name)
def test_gradients_and_statistics_are_those_without(config: ResNetConfig | I3dConfig) -> None:
    plain, plain_buffers = trained(config, checkpointed=False)
    saved, saved_buffers = trained(config, checkpointed=True)
    assert len(plain) > 20
    torch.testing.assert_close(saved, plain)
    torch.testing.assert_close(saved_buffers, plain_buffers, rtol=0, atol=0)


def test_only_the_borders_of_stages_are_kept() -> None:
    kept: list[int] = []

    def pack(tensor: Tensor) -> Tensor:
        kept.append(tensor.numel())
        return tensor

    # Without, every sigmoid keeps its output; with, each stage keeps its input only.
    stages = [[torch.nn.Linear(8, 8), *[torch.nn.Sigmoid()] * 6] for _ in range(2)]
    x = torch.zeros(5, 8)
    sizes = {}
    for checkpointed in (False, True):
        kept.clear()
        with torch.autograd.graph.saved_tensors_hooks(pack, lambda tensor: tensor):
            run_stages(x, stages, checkpoint_gradients=checkpointed)
        sizes[checkpointed] = sum(kept)
    assert sizes[True] < sizes[False] / 5
