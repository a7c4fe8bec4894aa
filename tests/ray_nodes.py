"""A Ray cluster of two machines, both of them this one."""

from __future__ import annotations

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import Any

_NODE = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 * 2**20}
# Of helpers, which a node waits for: 15 s where they choose their ports, and else
# as long as the settings below say. Both are too short on a machine that does much else.
_PORTS = ("metrics_agent_port", "dashboard_agent_listen_port", "runtime_env_agent_port")
_PATIENCE_SECONDS = 600
_MOST_OTHER_TRIES = 4
# Ray looks at these once in a process: all that tests start there has the same.
SETTINGS = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_AUTH_MODE": "token",
    # Else Ray writes one below HOME.
    "RAY_AUTH_TOKEN": os.urandom(32).hex(),
    "RAY_raylet_start_wait_time_s": str(_PATIENCE_SECONDS),
    "RAY_agent_register_timeout_ms": str(1000 * _PATIENCE_SECONDS),
}


class TwoNodes:
    """Two nodes of one core each; the second can be lost."""

    def __init__(self, cluster_class: Any) -> None:
        """Start both."""
        self._cluster = _patiently(
            lambda: cluster_class(initialize_head=True, head_node_args=_node())
        )
        self._second = self._started_second()

    @property
    def address(self) -> str:
        """HOST:PORT for --ray."""
        return str(self._cluster.address)

    def lose_second(self) -> None:
        """End it as a machine ends that loses its power."""
        self._cluster.remove_node(self._second, allow_graceful=False)

    def replace_second(self) -> None:
        """Start another, where it was lost, and wait until there are two.

        The head counts one that was lost until it has asked it in vain a few times.
        """
        self._second = self._started_second()
        self._cluster.wait_for_nodes(_PATIENCE_SECONDS)

    def shut_down(self) -> None:
        """End both."""
        self._cluster.shutdown()

    def _started_second(self) -> Any:
        return _patiently(lambda: self._cluster.add_node(**_node()))


@contextmanager
def two_nodes(python_path: str) -> Iterator[TwoNodes]:
    """A cluster whose actors find their modules on this path, and an environment that may join it.

    Raises `ImportError` where Ray is not installed.
    """
    settings = SETTINGS | {name: os.environ[name] for name in SETTINGS if name in os.environ}
    settings["PYTHONPATH"] = python_path
    before = {name: os.environ.get(name) for name in settings}
    os.environ.update(settings)
    try:
        from ray.cluster_utils import Cluster

        nodes = TwoNodes(Cluster)
        try:
            yield nodes
        finally:
            nodes.shut_down()
    finally:
        for name, value in before.items():
            if value is None:
                del os.environ[name]
            else:
                os.environ[name] = value


def _node() -> dict[str, Any]:
    """What a node is started with; its ports are free now."""
    return _NODE | {name: _free_port() for name in _PORTS}


def _free_port() -> int:
    with socket.create_server(("", 0)) as server:
        return int(server.getsockname()[1])


def _patiently(start: Callable[[], Any]) -> Any:
    """What `start` gives at last: Ray gives up nodes that are slow, and leaves their processes."""
    for _ in range(_MOST_OTHER_TRIES):
        before = _children()
        try:
            return start()
        except Exception:
            for process in _children() - before:
                with suppress(ProcessLookupError):
                    os.kill(process, signal.SIGKILL)
    return start()


def _children() -> set[int]:
    """Processes that this one has started."""
    tasks = Path("/proc/self/task").glob("*/children")
    return {int(number) for task in tasks for number in task.read_text().split()}
