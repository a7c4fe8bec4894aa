"""A cluster that was joined and has ended on this machine; Ray itself is made here."""

from __future__ import annotations

import socket
from pathlib import Path
from types import SimpleNamespace

import pytest

from wsgn.errors import EngineError
from wsgn.workers.ray_cluster import Cluster


def _joined(store: str | None, head: str) -> Cluster:
    node = None if store is None else SimpleNamespace(plasma_store_socket_name=store)
    made = SimpleNamespace(
        _private=SimpleNamespace(worker=SimpleNamespace(_global_node=node)),
        get_runtime_context=lambda: SimpleNamespace(gcs_address=head),
    )
    return Cluster(made, "head:6379")


def test_the_end_of_ray_on_this_machine_is_a_sentence(tmp_path: Path) -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:
        address = f"127.0.0.1:{head.getsockname()[1]}"
        with socket.socket(socket.AF_UNIX) as daemon:
            daemon.bind(str(tmp_path / "store"))
            daemon.listen()
            cluster = _joined(str(tmp_path / "store"), address)
            cluster.require()
        # The head still answers.
        with pytest.raises(EngineError, match="has ended on this machine: run it again"):
            cluster.require()
        with pytest.raises(EngineError):
            cluster.require_daemon()


@pytest.mark.parametrize("store", [None, "tcp://127.0.0.1:1"])
def test_where_ray_names_no_socket_the_head_alone_is_looked_at(store: str | None) -> None:
    with socket.create_server(("127.0.0.1", 0)) as head:
        _joined(store, f"127.0.0.1:{head.getsockname()[1]}").require()
