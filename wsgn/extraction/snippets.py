"""Pictures to snippets: every `snippet_stride` pictures a run of `snippet_length`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from wsgn.manifest import Sampling
from wsgn.support.arrays import Float32Array, UInt8Array

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Picture:
    """What the networks see at one point of the time grid."""

    # (H, W, 3) RGB.
    image: UInt8Array
    # (H, W, 2) pixels to the right and down until the next picture; None where nobody looks.
    flow: Float32Array | None = None


def cut_snippets(items: Iterable[Item], sampling: Sampling) -> Iterator[list[Item]]:
    """Snippets of consecutive items; only those of one snippet are kept.

    A video shorter than a snippet is filled by repeating its last item, a tail that no further
    snippet fits is left out: F frames give max(1, floor((F - length) / stride) + 1) snippets.
    """
    length, stride = sampling.snippet_length, sampling.snippet_stride
    waiting: list[Item] = []
    num_to_skip, any_complete = 0, False
    for item in items:
        if num_to_skip > 0:
            num_to_skip -= 1
            continue
        waiting.append(item)
        if len(waiting) == length:
            any_complete = True
            yield list(waiting)
            num_to_skip = max(0, stride - length)
            del waiting[:stride]
    if waiting and not any_complete:
        yield waiting + waiting[-1:] * (length - len(waiting))


def in_batches(items: Iterable[Item], size: int) -> Iterator[list[Item]]:
    """Lists of `size` items, the last one of what is left."""
    batch: list[Item] = []
    for item in items:
        batch.append(item)
        if len(batch) == size:
            yield batch
            batch = []
    if batch:
        yield batch
