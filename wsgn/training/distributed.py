"""Training in several processes, as torchrun starts them: each takes a share of every batch."""

from __future__ import annotations

import functools
import hashlib
import os
import signal
import socket
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timedelta
from types import FrameType
from typing import Any

import torch
from torch import Tensor, nn
from torch import distributed as processes
from torch.distributed.rendezvous import rendezvous

from wsgn.errors import UsageError, WsgnError
from wsgn.support.signals import TERMINATED, handle_signals, launched
from wsgn.torch_device import open_device
from wsgn.training.faults import PeerLostError, Place, Watch

# Whether all live is known otherwise (`wsgn.training.faults`): the first one may look at held-out
# videos for an hour, and the others wait for it.
_EXCHANGE_TIME = timedelta(days=1)
_STORE_TIME = timedelta(minutes=5)


@dataclass(frozen=True, kw_only=True)
class World:
    """The processes that train one model together; by default this one alone."""

    rank: int = 0
    size: int = 1
    # Where tensors are exchanged.
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    # None where there is one process.
    watch: Watch | None = None

    @property
    def is_first(self) -> bool:
        """Whether this process is the one that writes and prints."""
        return self.rank == 0

    def sum(self, value: Tensor) -> Tensor:
        """The sum of a value over all processes, which it becomes."""
        if self.size > 1:
            _exchanged(lambda: processes.all_reduce(value))
        return value

    def copy_from_first(self, tensors: Iterable[Tensor]) -> None:
        """Let tensors of all processes be those of the first."""
        if self.size == 1:
            return
        for tensor in tensors:
            there = tensor.detach().to(self.device).contiguous()
            _exchanged(functools.partial(processes.broadcast, there, src=0))
            with torch.no_grad():
                tensor.copy_(there)

    def from_first(self, make: Callable[[], Any]) -> Any:
        """What the first process makes, which the others do not; small, as it is pickled."""
        if self.size == 1:
            return make()
        made = [make() if self.is_first else None]
        _exchanged(lambda: processes.broadcast_object_list(made, src=0))
        return made[0]

    def tensors_from_first(self, tensors: Mapping[str, Tensor] | None) -> dict[str, Tensor]:
        """Named tensors of the first process, which alone gives them."""
        given = tensors or {}
        shapes = self.from_first(lambda: [(k, one.shape, one.dtype) for k, one in given.items()])
        if tensors is None:
            given = {name: torch.empty(shape, dtype=dtype) for name, shape, dtype in shapes}
        self.copy_from_first(given.values())
        return dict(given)

    def require_same(self, facts: Callable[[], dict[str, str]]) -> None:
        """Refuse to train where processes differ in one of the facts, which have names for people.

        Raises `UsageError` in all of them.
        """
        if self.size == 1:
            return
        found: list[Any] = [None] * self.size
        mine = {"host": socket.gethostname(), "facts": facts()}
        _exchanged(lambda: processes.all_gather_object(found, mine))
        for rank, one in enumerate(found):
            for name, value in found[0]["facts"].items():
                if one["facts"].get(name) != value:
                    raise UsageError(
                        f"rank {rank} on {one['host']} differs from rank 0 on {found[0]['host']} "
                        f"in {name}: start all processes with the same options on the same data."
                    )

    def conclude(self, result: str | None) -> str:
        """What the first process says at the end, once it has done its part; the others wait."""
        if self.watch is None:
            assert result is not None
            return result
        return self.watch.conclude(result)

    def leave(self) -> None:
        """Give up the connections: nothing is exchanged any more."""
        if self.size > 1:
            _disconnect()


class SharedGradients:
    """The gradients of a model in all processes, summed in one exchange after the last batch.

    One flat tensor holds them all, with zeros for what a process had no use for. Which parameters
    take part is settled at the first update: those that any process has a gradient of. The others
    have none, as in one process, and the optimiser leaves them alone.
    """

    def __init__(self, model: nn.Module, world: World) -> None:
        self._world = world
        self._parameters = [one for one in model.parameters() if one.requires_grad]
        self._used: list[nn.Parameter] | None = None

    def sum(self, loss: Tensor) -> Tensor:
        """The loss of all processes; all their gradients are in the parameters."""
        if self._world.size == 1:
            return loss
        if self._used is None:
            self._used = self._used_somewhere()
        used = self._used
        ours = {id(one) for one in self._parameters if one.grad is not None}
        assert ours <= {id(one) for one in used}, "a gradient of a parameter that had none before"
        parts = [torch.zeros_like(one) if one.grad is None else one.grad for one in used]
        flat = torch.cat([loss.reshape(1), *(part.reshape(-1) for part in parts)])
        self._world.sum(flat)
        sizes = [one.numel() for one in used]
        for one, part in zip(used, torch.split(flat[1:], sizes), strict=True):
            one.grad = part.view_as(one)
        # The flat tensor goes with the gradients.
        return flat[0].clone()

    def _used_somewhere(self) -> list[nn.Parameter]:
        has_some = [one.grad is not None for one in self._parameters]
        counts = self._world.sum(torch.tensor(has_some, dtype=torch.int64).to(self._world.device))
        return [one for one, n in zip(self._parameters, counts.tolist(), strict=True) if n > 0]


@contextmanager
def open_world(device: str) -> Iterator[tuple[World, torch.device]]:
    """This process's place among those of torchrun, and its device ('cpu', 'cuda', 'cuda:1').

    With several processes on 'cuda', each takes the GPU of its local rank. What ends one of them
    ends all, with one exit code: the others raise `wsgn.training.faults.PeerError`.
    """
    size = int(os.environ.get("WORLD_SIZE", "1"))
    if size == 1:
        yield World(), open_device(device)
        return
    store, place = _meeting_point(size)
    watch = Watch(store.clone(), place)

    def leave(number: int, frame: FrameType | None) -> None:
        # torchrun ends those that a fault has left over; they are about to say what happened.
        if not watch.is_ending:
            raise SystemExit(TERMINATED)

    with handle_signals(leave, (signal.SIGTERM,)), launched():
        try:
            watch.meet()
            chosen = open_device(device, int(os.environ.get("LOCAL_RANK", "0")))
            processes.init_process_group(
                "nccl" if chosen.type == "cuda" else "gloo",
                store=store,
                rank=place.rank,
                world_size=size,
                timeout=_EXCHANGE_TIME,
            )
            yield World(rank=place.rank, size=size, device=chosen, watch=watch), chosen
            _disconnect()
        except BaseException as error:
            ending = watch.ending(error, _disconnect)
            if ending is error:
                raise
            raise ending from error
        finally:
            watch.stop()


def digest(value: object) -> str:
    """What is the same for values that are written the same; for `World.require_same`."""
    return hashlib.sha256(repr(value).encode()).hexdigest()


def _meeting_point(size: int) -> tuple[Any, Place]:
    """The store that torchrun's first node holds, and who this process is."""
    where = f"{os.environ.get('MASTER_ADDR')}:{os.environ.get('MASTER_PORT')}"
    try:
        store, rank, _ = next(iter(rendezvous("env://", timeout=_STORE_TIME)))
    except (RuntimeError, ValueError) as error:
        raise WsgnError(
            f"the first node cannot be reached at {where}: start the processes with torchrun, and "
            f"open its port between the nodes ({str(error).splitlines()[0]})."
        ) from error
    host = socket.gethostname()
    node = os.environ.get("GROUP_RANK", host)
    return store, Place(rank=rank, size=size, node=node, host=host)


def _exchanged(work: Callable[[], object]) -> None:
    """Do what all processes do together; `PeerLostError` where one of them is gone."""
    try:
        work()
    except RuntimeError as error:
        raise PeerLostError(f"the other processes cannot be reached: {error}") from error


def _disconnect() -> None:
    if processes.is_initialized():
        processes.destroy_process_group()
