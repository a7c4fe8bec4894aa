"""One peer on one batch, ready to be called again and again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from benchmarks.kernels.baselines import Peer
from benchmarks.kernels.shapes import Batch

GRADIENTS = ("dx", "dh", "dmu", "dsigma")


@dataclass(frozen=True, kw_only=True)
class Outcome:
    """What one peer computed, packed: y (B, C), dx and dh (N, C), dmu and dsigma (C)."""

    video_scores: Tensor
    # Empty after a forward alone.
    gradients: tuple[Tensor, ...] = ()

    def named(self) -> dict[str, Tensor]:
        """Every tensor by its symbol."""
        return {"y": self.video_scores, **dict(zip(GRADIENTS, self.gradients, strict=False))}


class Workload:
    """Forward, and forward with backward, of one peer; inputs are arranged once."""

    def __init__(self, peer: Peer, batch: Batch, softmax_scale: str) -> None:
        self._peer = peer
        self._layout = batch.layout
        self._softmax_scale = softmax_scale
        x, h = (peer.arranged(value, batch.layout) for value in (batch.x, batch.h))
        self._leaves = [v.detach().requires_grad_() for v in (x, h, batch.mu, batch.sigma)]
        self._gradient = batch.gradient

    def forward(self) -> tuple[Tensor, ...]:
        """Video scores, with everything kept that a backward would need."""
        return (self._video_scores().detach(),)

    def both(self) -> tuple[Tensor, ...]:
        """Video scores, and gradients in the peer's own arrangement."""
        y = self._video_scores()
        return y.detach(), *torch.autograd.grad(y, self._leaves, self._gradient)

    def outcome(self, computed: Sequence[Tensor]) -> Outcome:
        """What `forward` or `both` gave, packed."""
        y, *gradients = computed
        packed = [self._peer.packed(value, self._layout) for value in gradients[:2]]
        return Outcome(video_scores=y, gradients=(*packed, *gradients[2:]))

    def _video_scores(self) -> Tensor:
        x, h, mu, sigma = self._leaves
        return self._peer.video_scores(x, h, mu, sigma, self._layout, self._softmax_scale)


def evaluate(peer: Peer, batch: Batch, softmax_scale: str) -> Outcome:
    """One forward and backward of a peer."""
    workload = Workload(peer, batch, softmax_scale)
    return workload.outcome(workload.both())
