"""Cutting a video into snippets: the one rule of training, extraction and the runtime."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from itertools import groupby
from typing import Generic, TypeVar

import numpy as np

from wsgn.manifest import Sampling
from wsgn.support.arrays import IntArray

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class CutSnippet(Generic[Item]):
    """L consecutive items of one epoch."""

    items: list[Item]
    # Whether the last item was repeated to fill it, in an epoch shorter than one snippet.
    padded: bool = False


def _one_epoch(item: object) -> int:
    return 0


class SnippetCutter(Generic[Item]):
    """Cuts frames, or what stands for them, into overlapping snippets, in any chopping of them.

    F items of one epoch give max(1, floor((F - length) / stride) + 1) snippets, of which number t
    begins at item t * stride. An epoch shorter than a snippet is filled by repeating its last item,
    a rest that no further snippet fits is left out. Only the items of one snippet are held.
    `epoch_of` gives the epoch of an item, which no snippet leaves; without it there is one.
    """

    def __init__(self, sampling: Sampling, epoch_of: Callable[[Item], int] = _one_epoch) -> None:
        self._length = sampling.snippet_length
        self._stride = sampling.snippet_stride
        self._epoch_of = epoch_of
        self._epoch: int | None = None
        self._begin_epoch()

    def push(self, items: Iterable[Item]) -> list[CutSnippet[Item]]:
        """Take items in order, and return the snippets that they complete."""
        complete: list[CutSnippet[Item]] = []
        for epoch, run in groupby(items, self._epoch_of):
            if epoch != self._epoch:
                complete += self.flush()
                self._epoch = epoch
            complete += self._extend(run)
        return complete

    def flush(self) -> list[CutSnippet[Item]]:
        """End the epoch, and return the padded snippet if it was shorter than one."""
        waiting, any_complete = self._waiting, self._any_complete
        self._begin_epoch()
        if any_complete or not waiting:
            return []
        missing = self._length - len(waiting)
        return [CutSnippet(waiting + waiting[-1:] * missing, padded=True)]

    def _begin_epoch(self) -> None:
        # The items that a snippet may still need, and where among them the next one begins: behind
        # them where the stride is longer than a snippet.
        self._waiting: list[Item] = []
        self._start = 0
        self._any_complete = False

    def _extend(self, items: Iterable[Item]) -> list[CutSnippet[Item]]:
        complete: list[CutSnippet[Item]] = []
        self._waiting.extend(items)
        while self._start + self._length <= len(self._waiting):
            complete.append(CutSnippet(self._waiting[self._start : self._start + self._length]))
            self._start += self._stride
            self._any_complete = True
        num_done = min(self._start, len(self._waiting))
        del self._waiting[:num_done]
        self._start -= num_done
        return complete


def snippet_rows(epoch: IntArray, sampling: Sampling, offset: int = 0) -> IntArray:
    """The frames (T, L) of each snippet of a video whose F frames lie in the given epochs.

    The first snippet of an epoch begins at its frame `offset`, or earlier where that would leave
    none.
    """
    cutter: SnippetCutter[int] = SnippetCutter(sampling)
    rows = []
    for frames in np.split(np.arange(len(epoch)), np.flatnonzero(np.diff(epoch)) + 1):
        first = min(offset, max(0, len(frames) - sampling.snippet_length))
        snippets = cutter.push(frames[first:].tolist()) + cutter.flush()
        rows += [snippet.items for snippet in snippets]
    return np.array(rows, dtype=np.int64)
