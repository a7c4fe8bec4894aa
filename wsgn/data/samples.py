"""Samples and packed batches: videos of different lengths behind each other, without padding."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt
import torch
from torch import Tensor

from wsgn.data.annotations import VideoAnnotation
from wsgn.segments import SnippetTimes


@dataclass(frozen=True, kw_only=True)
class VideoSample:
    """One video: its snippets (T, ...) as frames uint8 or features float32, and where they lie."""

    inputs: Tensor
    times: SnippetTimes


class VideoSource(Protocol):
    """A set of labelled videos whose snippets can be loaded one video at a time."""

    @property
    def classes(self) -> tuple[str, ...]:
        """Class names, in the order of the label columns."""

    @property
    def videos(self) -> tuple[VideoAnnotation, ...]:
        """The videos, in a fixed order."""

    def load(self, index: int) -> VideoSample:
        """Video `index`, all its snippets."""

    def load_for_training(
        self, index: int, random: np.random.Generator, *, thinning: int, augment: bool
    ) -> VideoSample:
        """Every `thinning`-th snippet of video `index` from a random start, perhaps augmented."""


@dataclass(frozen=True, kw_only=True)
class PackedBatch:
    """B videos with N snippets in all."""

    # (N, ...) and (B + 1).
    inputs: Tensor
    cu_seqlens: Tensor
    # (B, C) labels of the videos; (N, C) labels of the snippets, for the supervised variant only.
    labels: Tensor
    snippet_labels: Tensor | None = None


def pack(
    samples: Sequence[VideoSample],
    labels: Sequence[npt.NDArray[np.float32]],
    snippet_labels: Sequence[npt.NDArray[np.float32]] | None = None,
) -> PackedBatch:
    """Put videos behind each other."""
    lengths = torch.tensor([0, *(len(sample.inputs) for sample in samples)])
    return PackedBatch(
        inputs=torch.cat([sample.inputs for sample in samples]),
        cu_seqlens=lengths.cumsum(0),
        labels=torch.from_numpy(np.stack(labels)),
        snippet_labels=(
            None if snippet_labels is None else torch.from_numpy(np.concatenate(snippet_labels))
        ),
    )


def draw_videos(num_videos: int, batch_videos: int, step: int, seed: int) -> list[int]:
    """Indices of the videos of update `step`: every video once before any comes again.

    A function of its arguments alone, so that a resumed training goes on exactly.
    """
    positions = range(step * batch_videos, (step + 1) * batch_videos)
    orders: dict[int, npt.NDArray[np.int64]] = {}
    chosen = []
    for position in positions:
        epoch, offset = divmod(position, num_videos)
        if epoch not in orders:
            orders[epoch] = np.random.default_rng([seed, epoch]).permutation(num_videos)
        chosen.append(int(orders[epoch][offset]))
    return chosen
