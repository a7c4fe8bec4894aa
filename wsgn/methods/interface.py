"""What a method is: layers on shared features, and its loss; `wsgn.methods.rules` scores."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from torch import Tensor


@dataclass(frozen=True, kw_only=True)
class HeadOutput:
    """What a method's layers say of N snippets, each on its own; parts may be joined."""

    # (N, W) each: the first C columns count, W > C on a GPU only (`wsgn.methods.heads`); a method
    # with one attention for all classes repeats it.
    selection_logits: Tensor
    class_logits: Tensor
    # (N, H) hidden features, which the co-activity loss compares.
    hidden: Tensor


@dataclass(frozen=True, kw_only=True)
class Targets:
    """What a packed batch of B videos with N snippets is trained towards."""

    # (B, C) of 0 and 1.
    labels: Tensor
    # (N, C) of 0 and 1, for the supervised variant only.
    snippet_labels: Tensor | None = None
    # (P, 2) indices into the batch of videos that share a class, for co-activity.
    pairs: Tensor


@dataclass(frozen=True, kw_only=True)
class Losses:
    """Terms that are summed over a batch, so that a batch may be split anywhere between pairs.

    The loss of a batch is the sum of `per_video` over its videos divided by their number, plus the
    same for pairs.
    """

    # (B,) and (P,).
    per_video: Tensor
    per_pair: Tensor


class Method(Protocol):
    """A weakly supervised method; all tensors are of a packed batch (`wsgn.selection.packing`)."""

    def heads(self, features: Tensor) -> HeadOutput:
        """The layers on shared features (N, D)."""

    def losses(self, heads: HeadOutput, cu_seqlens: Tensor, targets: Targets) -> Losses:
        """The method's own loss."""
