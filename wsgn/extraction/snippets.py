"""Frames to snippets: every `snippet_stride` frames a run of `snippet_length`."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import TypeVar

from wsgn.manifest import Sampling
from wsgn.support.arrays import Float32Array, UInt8Array
from wsgn.video.snippets import SnippetCutter

Item = TypeVar("Item")


@dataclass(frozen=True, eq=False)
class Frame:
    """What the networks see at one point of the time grid."""

    # (H, W, 3) RGB.
    image: UInt8Array
    # (H, W, 2) pixels to the right and down until the next frame; None where nobody looks.
    flow: Float32Array | None = None


def cut_snippets(items: Iterable[Item], sampling: Sampling) -> Iterator[list[Item]]:
    """Snippets of consecutive items; only those of one snippet are kept."""
    cutter: SnippetCutter[Item] = SnippetCutter(sampling)
    for item in items:
        for snippet in cutter.push([item]):
            yield snippet.items
    for snippet in cutter.flush():
        yield snippet.items


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
