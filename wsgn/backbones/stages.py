"""A network as a row of stages, of which the first may be frozen, and memory saved in training."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from contextlib import AbstractContextManager, contextmanager, nullcontext
from typing import Self

from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm
from torch.utils.checkpoint import checkpoint

from wsgn.backbones.config import EfficientNetConfig, I3dConfig, ResNetConfig, VggConfig

# Modules that run one after the other; a network is a row of stages.
Stage = Sequence[nn.Module]


class StagedNetwork(nn.Module):
    """A network as a row of stages, of which the configuration freezes the first."""

    config: I3dConfig | ResNetConfig | VggConfig | EfficientNetConfig

    def stages(self) -> list[Stage]:
        """In the order in which they run."""
        raise NotImplementedError

    def train(self, mode: bool = True) -> Self:
        """Training mode for all but the frozen stages."""
        super().train(mode)
        freeze_stages(self.stages()[: self.config.frozen_stages])
        return self


def freeze_stages(stages: Sequence[Stage]) -> None:
    """Keep the weights of these stages, and use their running batch statistics as they are."""
    for stage in stages:
        for module in stage:
            module.eval().requires_grad_(False)


def run_stages(x: Tensor, stages: Sequence[Stage], *, checkpoint_gradients: bool) -> Tensor:
    """Run all stages; with `checkpoint_gradients` each keeps only its input for the way back."""
    for stage in stages:
        if checkpoint_gradients and any(p.requires_grad for m in stage for p in m.parameters()):
            x = _checkpointed(x, stage)
        else:
            x = _run(x, stage)
    return x


def _run(x: Tensor, stage: Stage) -> Tensor:
    for module in stage:
        x = module(x)
    return x


def _checkpointed(x: Tensor, stage: Stage) -> Tensor:
    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), statistics_kept(stage)

    result: Tensor = checkpoint(_run, x, stage, use_reentrant=False, context_fn=contexts)
    return result


@contextmanager
def statistics_kept(tops: Iterable[nn.Module]) -> Iterator[None]:
    """A second run must not count its batch into the running statistics again."""
    norms = [m for top in tops for m in top.modules() if isinstance(m, _BatchNorm) and m.training]
    momenta = [norm.momentum for norm in norms]
    counts = [norm.num_batches_tracked for norm in norms]
    for norm in norms:
        norm.momentum = 0.0
        norm.num_batches_tracked = None
    try:
        yield
    finally:
        for norm, momentum, count in zip(norms, momenta, counts, strict=True):
            norm.momentum = momentum
            norm.num_batches_tracked = count
