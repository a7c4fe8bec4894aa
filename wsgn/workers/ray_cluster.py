"""A Ray cluster: which one, how it is joined, and what it has room for."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

from wsgn.errors import EngineError, MissingExtraError, UsageError
from wsgn.support.credentials import text_without_credentials
from wsgn.workers.options import ADDRESS, check_address

_CONNECT_SECONDS = 10.0
_MOST_LETTERS = 200
# What Ray would send to its makers, a switch that users may set, and its words on stderr.
_QUIET = {
    "RAY_USAGE_STATS_ENABLED": "0",
    "RAY_BACKEND_LOG_LEVEL": "fatal",
    "RAY_DISABLE_IMPORT_WARNING": "1",
}


@dataclass(frozen=True, kw_only=True)
class Need:
    """What each actor takes of the cluster."""

    num_cpus: int = 1
    num_gpus: int = 0


@dataclass(frozen=True, kw_only=True)
class Cluster:
    """A cluster that was joined."""

    # The package.
    ray: Any
    # In words.
    name: str

    def check_room(self, need: Need) -> None:
        """Raise `UsageError` where no machine could ever hold an actor."""
        machines = [one["Resources"] for one in self.ray.nodes() if one["Alive"]]
        if not any(one.get("GPU", 0) >= need.num_gpus for one in machines):
            raise UsageError(f"{self.name} has no GPU: leave --device out, or say --device cpu.")
        most = max((int(one.get("CPU", 0)) for one in machines), default=0)
        if most < need.num_cpus:
            raise UsageError(
                f"no machine of {self.name} has {need.num_cpus} cores for an actor, the largest "
                f"has {most}: give fewer --threads."
            )

    def num_free(self, need: Need) -> int:
        """How many actors find room now; at least 1, which then waits for it."""
        free = self.ray.available_resources()
        rooms = [free.get("CPU", 0) // need.num_cpus]
        if need.num_gpus:
            rooms.append(free.get("GPU", 0) // need.num_gpus)
        return max(1, int(min(rooms)))

    def num_machines(self) -> int:
        """How many machines it has."""
        return sum(bool(one["Alive"]) for one in self.ray.nodes())


@contextmanager
def joined_cluster(address: str, num_workers: int | None) -> Iterator[Cluster]:
    """The cluster at an address, or RAY_ADDRESS, or one that is started and ended here.

    `num_workers` is how many cores one that is started here gets, where its user has said so.
    Raises `MissingExtraError`, `UsageError`, and `EngineError` where it cannot be joined.
    """
    with _environment(_QUIET):
        ray = _load()
        address = address or os.environ.get("RAY_ADDRESS", "")
        is_local = address in ("", "local")
        if not is_local and address != "auto":
            check_address(address)
            _knock(address)
        # Of a cluster that nobody else joins; without it Ray would keep one below HOME.
        token = {"RAY_AUTH_TOKEN": secrets.token_hex(32)} if is_local else {}
        with _environment(token), _results_alone(ray):
            settings: dict[str, Any] = {"address": "local" if is_local else address}
            if is_local:
                settings |= {"num_cpus": num_workers, "include_dashboard": False}
            try:
                with _own_signals():
                    ray.init(
                        **settings,
                        log_to_driver=False,
                        configure_logging=False,
                        namespace=f"wsgn-{secrets.token_hex(8)}",
                    )
            except Exception as error:
                raise _refusal(error, address) from error
            place = "this machine" if is_local else ray.get_runtime_context().gcs_address
            try:
                yield Cluster(ray=ray, name=f"the Ray cluster on {place}")
            finally:
                ray.shutdown()


def _load() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--ray", "ray") from error
    return ray


def _knock(address: str) -> None:
    """Raise `EngineError` where nobody listens: Ray itself tries for minutes."""
    found = ADDRESS.fullmatch(address)
    assert found is not None
    try:
        socket.create_connection(
            (found["host"].strip("[]"), int(found["port"])), _CONNECT_SECONDS
        ).close()
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise EngineError(
            f"no Ray cluster answers at {address} ({reason}): check the address, and whether "
            "'ray start --head' runs there."
        ) from error


def _refusal(error: Exception, address: str) -> EngineError:
    """Why Ray could not be joined or started, in a sentence."""
    words = " ".join(text_without_credentials(str(error)).split())
    if "Version mismatch" in words:
        found = re.findall(r"(Ray|Python): ([\w.+-]+)", words)
        versions = [" and ".join(f"{name} {version}" for name, version in found[:2])]
        versions.append(" and ".join(f"{name} {version}" for name, version in found[2:4]))
        return EngineError(
            f"the Ray cluster at {address} runs {versions[0]}, this command {versions[1]}: "
            "install the same on all machines."
        )
    short = words if len(words) <= _MOST_LETTERS else f"{words[:_MOST_LETTERS]}..."
    if not address or address == "local":
        return EngineError(f"Ray cannot be started on this machine ({short}).")
    return EngineError(
        f"the Ray cluster at {address} cannot be joined ({short}): run the command on one of its "
        "machines, where 'ray status' answers."
    )


@contextmanager
def _environment(values: dict[str, str]) -> Iterator[None]:
    """Variables for the block, where the user has not set them."""
    new = {name: value for name, value in values.items() if name not in os.environ}
    os.environ.update(new)
    try:
        yield
    finally:
        for name in new:
            os.environ.pop(name, None)


@contextmanager
def _own_signals() -> Iterator[None]:
    """Ray takes SIGTERM for itself; whoever had it before gets it back."""
    before = signal.getsignal(signal.SIGTERM)
    try:
        yield
    finally:
        if before is not None and signal.getsignal(signal.SIGTERM) is not before:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _results_alone(ray: Any) -> Iterator[None]:
    """Ray prints on stdout, between results, which worker has died; the run says so itself."""
    module = ray._private.worker
    before: Callable[..., None] = module.print_to_stdstream
    module.print_to_stdstream = lambda *words, **options: None
    try:
        yield
    finally:
        module.print_to_stdstream = before
