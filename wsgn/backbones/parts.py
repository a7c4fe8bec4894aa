"""A backbone over more snippets than memory has room for at once, in training too."""

from __future__ import annotations

import math
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from wsgn.backbones.stages import statistics_kept


def features_in_parts(backbone: nn.Module, frames: Tensor, part_snippets: int) -> Tensor:
    """Features (N, D) of frames (N, L, H, W, 3), so many snippets at a time; 0: all at once.

    In training nothing but the features of a part is kept, and on the way back the part is run
    again: for about a third more computation the activations of one part are in memory, whatever N
    is. Gradients are those of all at once, but for batch normalisation in training mode, whose
    statistics are of a part.
    """
    if part_snippets <= 0 or len(frames) <= part_snippets:
        whole: Tensor = backbone(frames)
        return whole
    # Parts of about one size: batch statistics of a rest of one frame would be poor.
    parts = frames.tensor_split(math.ceil(len(frames) / part_snippets))
    trained = torch.is_grad_enabled() and any(p.requires_grad for p in backbone.parameters())
    if not trained:
        return torch.cat([backbone(part) for part in parts])

    def contexts() -> tuple[AbstractContextManager[None], AbstractContextManager[None]]:
        return nullcontext(), statistics_kept([backbone])

    return torch.cat(
        [checkpoint(backbone, part, use_reentrant=False, context_fn=contexts) for part in parts]
    )
