"""Two nodes of two processes each, on one machine, as torchrun starts them."""

from __future__ import annotations

import os
import socket
import subprocess
import sys
from collections.abc import Sequence

from commands import HANG_SECONDS
from places import ROOT

NUM_NODES = 2


def torchrun(words_of_node: Sequence[Sequence[object]]) -> None:
    """Run `-m` a module on each node with its own words; what it says where it fails."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    nodes = [
        subprocess.Popen(
            [
                sys.executable, "-m", "torch.distributed.run", "--nnodes", str(NUM_NODES),
                "--nproc-per-node", "2", "--node-rank", str(number),
                "--master-addr", "127.0.0.1", "--master-port", str(port),
                "-m", *map(str, words),
            ],
            cwd=ROOT,
            env=os.environ | {"OMP_NUM_THREADS": "1"},
            stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE,
            text=True,
        )
        for number, words in enumerate(words_of_node)
    ]  # fmt: skip
    try:
        said = [node.communicate(timeout=HANG_SECONDS)[1] for node in nodes]
    finally:
        for node in nodes:
            node.kill()
    assert [node.returncode for node in nodes] == [0] * len(nodes), said
