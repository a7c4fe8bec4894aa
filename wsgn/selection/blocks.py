"""A packed batch cut into blocks of rows that stay in a core's cache."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from wsgn.selection.packing import Packing

# Elements of a block for each thread: six temporaries of 128 KiB in float32 fit a level-2 cache.
BLOCK_ELEMENTS = 32768
# Fewer rows than this would only cost calls, however many classes there are.
_MINIMUM_ROWS = 16


@dataclass(frozen=True, kw_only=True)
class Block:
    """Rows [start, end) of V videos: whole short ones, or a piece of a long one (V = 1)."""

    start: int
    end: int
    # Index of the first of the videos.
    first: int
    # Rows of each video in the block.
    lengths: tuple[int, ...]
    device: torch.device

    @property
    def rows(self) -> slice:
        """Where the block lies in (N, C)."""
        return slice(self.start, self.end)

    @property
    def videos(self) -> slice:
        """Where its videos lie in (B, C)."""
        return slice(self.first, self.first + len(self.lengths))

    @cached_property
    def counts(self) -> Tensor:
        """Rows of each video, (V, 1) int64."""
        return torch.tensor(self.lengths, device=self.device)[:, None]

    def sum(self, values: Tensor) -> Tensor:
        """(R, C) -> (V, C)."""
        return values.sum(0, keepdim=True) if self._packing is None else self._packing.sum(values)

    def max(self, values: Tensor) -> Tensor:
        """(R, C) -> (V, C)."""
        return values.amax(0, keepdim=True) if self._packing is None else self._packing.max(values)

    def spread(self, per_video: Tensor) -> Tensor:
        """(V, C) -> (R, C), or (1, C), which broadcasts, for a block of one video."""
        return per_video if self._packing is None else self._packing.spread(per_video)

    @cached_property
    def _packing(self) -> Packing | None:
        """Its rows as a packed batch; None for one video, which is reduced faster."""
        if len(self.lengths) == 1:
            return None
        offsets = torch.tensor([0, *itertools.accumulate(self.lengths)], device=self.device)
        return Packing(offsets, self.end - self.start)


def block_groups(cu_seqlens: Tensor, num_classes: int) -> Iterator[tuple[Block, ...]]:
    """All blocks in order: a group is one block of short videos, or all pieces of one long video.

    Reads the offsets, which on an accelerator costs a synchronisation.
    """
    offsets = cu_seqlens.tolist()
    device = cu_seqlens.device
    limit = max(_MINIMUM_ROWS, torch.get_num_threads() * BLOCK_ELEMENTS // num_classes)
    first, num_videos = 0, len(offsets) - 1
    while first < num_videos:
        last = first + 1
        while last < num_videos and offsets[last + 1] - offsets[first] <= limit:
            last += 1
        start, end = offsets[first], offsets[last]
        if end - start <= limit:
            bounds = offsets[first : last + 1]
            lengths = tuple(b - a for a, b in itertools.pairwise(bounds))
            yield (Block(start=start, end=end, first=first, lengths=lengths, device=device),)
        else:
            yield tuple(_pieces(start, end, first, limit, device))
        first = last


def _pieces(start: int, end: int, video: int, limit: int, device: torch.device) -> Iterator[Block]:
    """One long video in pieces of nearly one size, none longer than the limit."""
    size = -(-(end - start) // -(-(end - start) // limit))
    for begin in range(start, end, size):
        stop = min(begin + size, end)
        yield Block(start=begin, end=stop, first=video, lengths=(stop - begin,), device=device)
