"""A Ray cluster: which one, how it is joined, and what it has room for."""

from __future__ import annotations

import os
import re
import secrets
import signal
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from tempfile import TemporaryDirectory
from typing import Any

from wsgn.errors import EngineError, MissingExtraError, UsageError
from wsgn.support.credentials import text_without_credentials
from wsgn.workers.options import check_address

_CONNECT_SECONDS = 10.0
# How often the head is looked at, and how often it may be silent in a row.
_LOOK_SECONDS, _MOST_UNANSWERED = 5.0, 6
# What opens a connection, and the first that a server of gRPC says, which is of the same kind.
_SETTINGS = b"\0\0\0\4\0\0\0\0\0"
_HTTP_2 = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n" + _SETTINGS
_VERSION = r"(?:Ray|Python): [\w.+-]+"
_MOST_LETTERS = 200
# wsgn-features has no such option and always skips, wsgn-predict begins anew.
_AGAIN = "run it again (wsgn-run with --resume, to skip what was done)."
# Ray would tell its makers of its use; who wants that sets it.
_QUIET = {"RAY_USAGE_STATS_ENABLED": "0"}


@dataclass(frozen=True, kw_only=True)
class Need:
    """What each actor takes of the cluster."""

    num_cpus: int = 1
    num_gpus: int = 0


class Cluster:
    """A cluster that was joined."""

    def __init__(self, ray: Any, address: str) -> None:
        # The package, and the cluster in words.
        self.ray = ray
        self.name = _name(address)
        self._place = _place(ray.get_runtime_context().gcs_address)
        # Where its daemon on this machine listens for processes like this one.
        node = getattr(ray._private.worker, "_global_node", None)
        store: str | None = getattr(node, "plasma_store_socket_name", None)
        # On Windows it is no file.
        self._store = store if store and os.path.isabs(store) else None  # noqa: PTH117
        self._num_unanswered = 0
        self._look_seconds = 0.0

    def require(self) -> None:
        """Raise `EngineError` where the cluster's head, or Ray on this machine, has gone.

        For the head Ray waits for a minute, and then ends this process as it stands.
        """
        self.require_daemon()
        now = time.monotonic()
        if now < self._look_seconds:
            return
        self._look_seconds = now + _LOOK_SECONDS
        try:
            socket.create_connection(self._place, _LOOK_SECONDS).close()
            self._num_unanswered = 0
        except OSError as error:
            self._num_unanswered += 1
            if self._num_unanswered > _MOST_UNANSWERED:
                raise EngineError(f"{self.name} has gone: {_AGAIN}") from error

    def require_daemon(self) -> None:
        """Raise `EngineError` where Ray has ended on this machine, as `ray stop` does it.

        Ray ends this process as it stands when it next needs its store of objects.
        """
        if self._store is None:
            return
        with socket.socket(socket.AF_UNIX) as connection:
            try:
                connection.connect(self._store)
            except OSError as error:
                raise EngineError(f"{self.name} has ended on this machine: {_AGAIN}") from error

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
def joined_cluster(address: str, num_cores: int | None) -> Iterator[Cluster]:
    """The cluster at an address, or RAY_ADDRESS, or one that is started and ended here.

    `num_cores` are those of one that is started here; None takes all.
    Raises `MissingExtraError`, `UsageError`, and `EngineError` where it cannot be joined.
    """
    origin = "--ray" if address else "RAY_ADDRESS"
    address = address or os.environ.get("RAY_ADDRESS", "")
    # What Ray itself calls one that it starts.
    address = "" if address == "local" else address
    # Before Ray is loaded, which looks once.
    with ExitStack() as stack:
        stack.enter_context(_environment(_QUIET if address else _QUIET | _new_token()))
        ray = _load()
        if address not in ("", "auto"):
            check_address(address, origin=origin)
            _knock(address)
        settings: dict[str, Any] = {"address": address}
        if not address:
            settings = _of_a_new_one(num_cores, stack.enter_context(_short_folder()))
        stack.enter_context(_results_alone(ray))
        stack.callback(ray.shutdown)
        _join(ray, address, settings)
        yield Cluster(ray, address)


def _new_token() -> dict[str, str]:
    """Of a cluster that nobody else joins; without one Ray would keep one below HOME."""
    return {"RAY_AUTH_MODE": "token", "RAY_AUTH_TOKEN": secrets.token_hex(32)}


def _of_a_new_one(num_cores: int | None, folder: str) -> dict[str, Any]:
    return {
        "address": "local",
        "num_cpus": num_cores,
        "include_dashboard": False,
        # Its logs, which would stay in a folder that all users share.
        "_temp_dir": folder,
    }


def _short_folder() -> TemporaryDirectory[str]:
    """One that goes: names of sockets in it may have a hundred letters in all."""
    place = "/tmp" if os.path.isdir("/tmp") else None  # noqa: PTH112
    return TemporaryDirectory(prefix="wsgn-", dir=place, ignore_cleanup_errors=True)


def _join(ray: Any, address: str, settings: dict[str, Any]) -> None:
    try:
        with _own_sigterm():
            ray.init(**settings, log_to_driver=False, configure_logging=False)
    except Exception as error:
        raise _refusal(error, address) from error


def _load() -> Any:
    try:
        import ray
    except ImportError as error:
        raise MissingExtraError("--ray", "ray") from error
    return ray


def _knock(address: str) -> None:
    """Raise `EngineError` where no server of Ray's kind listens: Ray itself tries for minutes."""
    try:
        with socket.create_connection(_place(address), _CONNECT_SECONDS) as connection:
            if os.environ.get("RAY_USE_TLS", "0") == "1":
                return
            connection.sendall(_HTTP_2)
            answer = connection.recv(len(_SETTINGS))
    except (OSError, OverflowError) as error:
        reason = getattr(error, "strerror", None) or str(error)
        raise EngineError(
            f"no Ray cluster answers at {address} ({reason}): check the address, and whether "
            "'ray start --head' runs there."
        ) from error
    # The kind of the frame.
    if answer[3:4] != _SETTINGS[3:4]:
        raise EngineError(
            f"what answers at {address} is no Ray cluster: give the address that 'ray start' says, "
            "with the port 6379 if nobody chose another."
        )


def _place(address: str) -> tuple[str, int]:
    host, _, port = address.rpartition(":")
    return host.strip("[]"), int(port)


def _refusal(error: Exception, address: str) -> EngineError:
    """Why Ray could not be joined or started, in a sentence."""
    words = " ".join(text_without_credentials(str(error)).split())
    if "Version mismatch" in words:
        return EngineError(
            f"{_name(address)} runs other versions than this command "
            f"({', '.join(re.findall(_VERSION, words))}): install the same on all machines."
        )
    short = re.split(r"\. |: \n", words)[0].rstrip(".")[:_MOST_LETTERS]
    if not address:
        return EngineError(f"Ray cannot be started on this machine ({short}).")
    return EngineError(
        f"{_name(address)} cannot be joined ({short}): run the command on one of its machines, "
        "where 'ray status' answers."
    )


def _name(address: str) -> str:
    if address == "auto":
        return "the Ray cluster that runs on this machine"
    return f"the Ray cluster at {address}" if address else "a Ray cluster started on this machine"


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
def _own_sigterm() -> Iterator[None]:
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
