"""Ranks of a training on two nodes, forked off a process that has loaded PyTorch: that takes longer
than all they do.

They find what torchrun gives its processes in their environment, and a store that outlives them.
"""

from __future__ import annotations

import os
import signal
import sys
import traceback
from collections.abc import Callable
from dataclasses import asdict, dataclass
from datetime import timedelta
from pathlib import Path

from torch.distributed import TCPStore

NUM_RANKS = 4
RANKS_OF_A_NODE = 2


@dataclass(frozen=True, kw_only=True)
class RankEnd:
    """How a rank has ended: its exit code, or minus the signal, and what it said."""

    code: int
    out: str
    err: str

    def document(self) -> dict[str, object]:
        """As JSON takes it."""
        return asdict(self)


def run_ranks(
    folder: Path, work: Callable[[int], int], *, own_store: bool = False
) -> list[RankEnd]:
    """What four ranks do at once, each by its number; `own_store` lets the first one hold it."""
    folder.mkdir()
    ready, port = os.pipe()
    keeper = _fork(lambda: _keep_store(port, serves=not own_store))
    os.close(port)
    with os.fdopen(ready) as file:
        address = file.readline().strip()
    ranks = [
        _fork(lambda rank=rank: _be_rank(rank, address, folder, work, own_store))  # type: ignore[misc]
        for rank in range(NUM_RANKS)
    ]
    codes = [os.waitstatus_to_exitcode(os.waitpid(one, 0)[1]) for one in ranks]
    os.kill(keeper, signal.SIGKILL)
    os.waitpid(keeper, 0)
    return [
        RankEnd(
            code=code,
            out=(folder / f"{rank}.out").read_text(),
            err=(folder / f"{rank}.err").read_text(),
        )
        for rank, code in enumerate(codes)
    ]


def _fork(work: Callable[[], int]) -> int:
    child = os.fork()
    if child:
        return child
    code = 1
    try:
        code = work()
    except BaseException:
        traceback.print_exc()
    finally:
        for stream in (sys.stdout, sys.stderr):
            stream.flush()
        os._exit(code)


def _keep_store(port: int, *, serves: bool) -> int:
    store = TCPStore("127.0.0.1", 0, is_master=True, timeout=timedelta(minutes=5))
    number = store.port
    if not serves:
        del store
    os.write(port, f"{number}\n".encode())
    signal.pause()
    return 0


def _be_rank(
    rank: int, port: str, folder: Path, work: Callable[[int], int], own_store: bool
) -> int:
    for number, name in ((1, "out"), (2, "err")):
        file = os.open(folder / f"{rank}.{name}", os.O_WRONLY | os.O_CREAT)
        os.dup2(file, number)
    os.environ |= {
        "RANK": str(rank),
        "LOCAL_RANK": str(rank % RANKS_OF_A_NODE),
        "GROUP_RANK": str(rank // RANKS_OF_A_NODE),
        "WORLD_SIZE": str(NUM_RANKS),
        "MASTER_ADDR": "127.0.0.1",
        "MASTER_PORT": port,
        "TORCHELASTIC_USE_AGENT_STORE": str(not own_store),
    }
    return work(rank)
