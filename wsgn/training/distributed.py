"""Training in several processes, as torchrun starts them: each takes a share of every batch."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor
from torch import distributed as processes

from wsgn.torch_device import open_device


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes that train one model together; by default this one alone."""

    rank: int = 0
    size: int = 1

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a value over all processes."""
        if self.size > 1:
            processes.all_reduce(value)
        return value

    def leave(self) -> None:
        """Leave the others: nothing is done together any more."""
        if self.size > 1 and processes.is_initialized():
            processes.destroy_process_group()


@contextmanager
def open_world(device: str) -> Iterator[tuple[World, torch.device]]:
    """This process's place among those of torchrun, and its device ('cpu', 'cuda', 'cuda:1').

    With several processes on 'cuda', each takes the GPU of its local rank.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    chosen = open_device(device, int(os.environ.get("LOCAL_RANK", "0")) if size > 1 else None)
    if size == 1:
        yield World(), chosen
        return
    processes.init_process_group("nccl" if chosen.type == "cuda" else "gloo")
    world = World(rank=processes.get_rank(), size=size)
    try:
        yield world, chosen
    finally:
        world.leave()
