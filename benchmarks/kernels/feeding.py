"""Three ways in which features reach the GPU."""

from __future__ import annotations

import itertools
from collections.abc import Iterator, Sequence
from typing import Protocol

import torch
from torch import Tensor

FEEDS = ("resident", "copied", "streamed")


class Feed(Protocol):
    """Features (N, D) of one training step after the other, in turn and without an end."""

    def next(self) -> Tensor:
        """Ready to be read on the current stream, until the next call."""
        ...


def make_feed(name: str, batches: Sequence[Tensor], device: torch.device) -> Feed:
    """One of FEEDS over batches in host memory."""
    if name == "resident":
        return ResidentFeed(batches, device)
    return CopiedFeed(batches, device) if name == "copied" else StreamedFeed(batches, device)


class ResidentFeed:
    """Everything lies on the GPU."""

    def __init__(self, batches: Sequence[Tensor], device: torch.device) -> None:
        self._batches: Iterator[Tensor] = itertools.cycle([b.to(device) for b in batches])

    def next(self) -> Tensor:
        """The next batch."""
        return next(self._batches)


class CopiedFeed:
    """Copied when it is needed, from ordinary memory; the host waits for the end of the copy."""

    def __init__(self, batches: Sequence[Tensor], device: torch.device) -> None:
        self._batches: Iterator[Tensor] = itertools.cycle(batches)
        self._device = device

    def next(self) -> Tensor:
        """The next batch."""
        return next(self._batches).to(self._device)


class StreamedFeed:
    """Copied one step ahead from pinned memory on a stream of its own, into two buffers in turn."""

    def __init__(self, batches: Sequence[Tensor], device: torch.device) -> None:
        self._batches: Iterator[Tensor] = itertools.cycle([b.pin_memory() for b in batches])
        self._stream = torch.cuda.Stream(device)  # type: ignore[no-untyped-call]
        # NaN, so that a step which does not wait for its copy shows in the loss.
        self._buffers = [
            torch.full_like(batches[0], torch.nan, device=device) for _ in range(2)
        ]  # (N, D) each
        self._copied: list[torch.cuda.Event] = [
            torch.cuda.Event()  # type: ignore[no-untyped-call]
            for _ in range(2)
        ]
        self._step = 0
        self._copy_into(0)

    def next(self) -> Tensor:
        """The batch whose copy was started one step ago; starts that of the following one."""
        now, following = self._step % 2, (self._step + 1) % 2
        self._step += 1
        self._copy_into(following)
        torch.cuda.current_stream().wait_event(self._copied[now])
        return self._buffers[now]

    def _copy_into(self, slot: int) -> None:
        # Everything enqueued so far may still read the buffer: it held the step before this one.
        self._stream.wait_stream(torch.cuda.current_stream())
        with torch.cuda.stream(self._stream):
            self._buffers[slot].copy_(next(self._batches), non_blocking=True)
            self._copied[slot].record()
