"""Which videos an update sees, in which shards and micro-batches: from the seed and step alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from wsgn.errors import UsageError
from wsgn.support.arrays import Float32Array, IntArray

# Tells the draw of pairs from those of epochs and of indices into a batch, which are small numbers.
_PAIR_STREAM = 2**31


@dataclass(frozen=True, kw_only=True)
class Batch:
    """The videos of one update."""

    # (B,) numbers of videos; the pairs come first.
    videos: tuple[int, ...]
    # Pairs of neighbours that share a class.
    num_pairs: int

    def units(self) -> list[tuple[int, ...]]:
        """Indices into the batch that must stay together: pairs and single videos."""
        behind = 2 * self.num_pairs
        pairs = [(index, index + 1) for index in range(0, behind, 2)]
        return [*pairs, *((index,) for index in range(behind, len(self.videos)))]


def draw_batch(
    labels: Float32Array, *, batch_videos: int, batch_pairs: int, step: int, seed: int
) -> Batch:
    """The videos of update `step`, out of those with labels (V, C).

    Pairs are drawn as in W-TALC: a class, then two of its videos. All other videos come once before
    any comes again.
    """
    pairs = draw_pairs(labels, batch_pairs, step, seed)
    singles = draw_videos(len(labels), batch_videos - len(pairs), step, seed)
    return Batch(videos=(*pairs, *singles), num_pairs=batch_pairs)


def draw_videos(num_videos: int, batch_videos: int, step: int, seed: int) -> list[int]:
    """Numbers of the videos of update `step`: every video once before any comes again."""
    positions = range(step * batch_videos, (step + 1) * batch_videos)
    orders: dict[int, IntArray] = {}
    chosen = []
    for position in positions:
        epoch, offset = divmod(position, num_videos)
        if epoch not in orders:
            orders[epoch] = np.random.default_rng([seed, epoch]).permutation(num_videos)
        chosen.append(int(orders[epoch][offset]))
    return chosen


def draw_pairs(labels: Float32Array, num_pairs: int, step: int, seed: int) -> list[int]:
    """Numbers of 2 `num_pairs` videos; neighbours share a class."""
    if num_pairs == 0:
        return []
    classes = np.flatnonzero((labels > 0).sum(axis=0) >= 2)
    if len(classes) == 0:
        raise UsageError("no class occurs in two videos, so there are no pairs for co-activity.")
    random = np.random.default_rng([seed, step, _PAIR_STREAM])
    chosen: list[int] = []
    for label in random.choice(classes, size=num_pairs):
        videos = np.flatnonzero(labels[:, label] > 0)
        chosen.extend(random.choice(videos, size=2, replace=False).tolist())
    return chosen


def shard(
    units: Sequence[tuple[int, ...]], lengths: Sequence[int], num_shards: int
) -> list[list[tuple[int, ...]]]:
    """Units in `num_shards` shards of about the same number of snippets.

    The longest unit goes first, each to the shard that is shortest so far; with fewer units than
    shards the last ones are empty.
    """
    shards: list[list[tuple[int, ...]]] = [[] for _ in range(num_shards)]
    totals = [0] * num_shards
    for unit in _longest_first(units, lengths):
        shortest = min(range(num_shards), key=lambda one: (totals[one], len(shards[one])))
        shards[shortest].append(unit)
        totals[shortest] += max(1, _size(unit, lengths))
    return shards


def micro_batches(
    units: Sequence[tuple[int, ...]], lengths: Sequence[int], limit: int
) -> list[tuple[int, ...]]:
    """Indices in micro-batches of at most `limit` snippets (a longer unit is alone); 0: in one.

    Of no units it is one without indices.
    The longest unit goes first, each to the first micro-batch that has room, so that few do.
    """
    if limit == 0:
        return [tuple(sorted(index for unit in units for index in unit))]
    found: list[list[int]] = []
    totals: list[int] = []
    for unit in _longest_first(units, lengths):
        size = _size(unit, lengths)
        fitting = (number for number, total in enumerate(totals) if total + size <= limit)
        chosen = next(fitting, len(found))
        if chosen == len(found):
            found.append([])
            totals.append(0)
        found[chosen].extend(unit)
        totals[chosen] += size
    return [tuple(sorted(one)) for one in found] or [()]


def _longest_first(
    units: Sequence[tuple[int, ...]], lengths: Sequence[int]
) -> list[tuple[int, ...]]:
    return sorted(units, key=lambda unit: (-_size(unit, lengths), unit))


def _size(unit: tuple[int, ...], lengths: Sequence[int]) -> int:
    return sum(lengths[index] for index in unit)
