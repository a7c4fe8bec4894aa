"""What a user may choose of the workers of a run."""

from __future__ import annotations

import re
from dataclasses import dataclass

from wsgn.errors import UsageError
from wsgn.support.counts import MOST_SECONDS, checked_count
from wsgn.support.credentials import text_without_credentials

# Longer than a batch takes an engine, or a video the steps at its end.
STALL_SECONDS = 600.0
# Of a Ray cluster.
ADDRESS = re.compile(r"(?P<host>\[[0-9a-fA-F:.]+\]|[\w.-]+):(?P<port>\d{1,5})", re.ASCII)

_MOST_PORT = 65535


@dataclass(frozen=True, kw_only=True)
class WorkerOptions:
    """How several processes share a run."""

    # None, with `ray` only: as many as the cluster has room for.
    number: int | None
    # A job of which nothing came for so long is given up.
    stall_seconds: float
    # The address of a Ray cluster; empty for the one that RAY_ADDRESS names, or one that is started
    # on this machine. None for processes of this machine.
    ray: str | None = None


def worker_options(
    number: int | None, stall_seconds: float | None, ray: str | None, *, option: str = "--workers"
) -> WorkerOptions | None:
    """What the words of a command line mean; None of none of them, and each may be None.

    `option` is what the number is called. Raises `UsageError`.
    """
    if number is None and ray is None:
        if stall_seconds is not None:
            raise UsageError(
                f"--stall-limit needs {option} N or --ray: one process cannot end itself."
            )
        return None
    if stall_seconds is not None and not 1 <= stall_seconds <= MOST_SECONDS:
        raise UsageError(f"--stall-limit must be 1 to {MOST_SECONDS} s, got {stall_seconds:g}.")
    if ray is not None:
        check_address(ray)
    return WorkerOptions(
        number=None if number is None else checked_count(option, number),
        stall_seconds=STALL_SECONDS if stall_seconds is None else stall_seconds,
        ray=ray,
    )


def check_address(address: str, *, origin: str = "--ray") -> None:
    """Raise `UsageError` for what is no address of a Ray cluster: HOST:PORT, auto, or nothing.

    `origin` is the option, or the variable, that it was given by.
    """
    if address.startswith("ray://"):
        raise UsageError(
            f"{origin} takes no ray:// address: run the command on a machine of the cluster, and "
            "give HOST:PORT as 'ray start' says it, or auto."
        )
    if address in ("", "auto"):
        return
    found = ADDRESS.fullmatch(address)
    if found is None:
        advice = "say it as 'ray start' does."
        if origin == "--ray":
            advice = "write sources before --ray, or put another option between them."
        raise UsageError(
            f"{origin} takes HOST:PORT of a cluster, got '{text_without_credentials(address)}': "
            f"{advice}"
        )
    if not 1 <= int(found["port"]) <= _MOST_PORT:
        raise UsageError(
            f"{origin} takes HOST:PORT of a cluster, and {found['port']} is no port: they are 1 to "
            f"{_MOST_PORT}."
        )


def takes_gpu(device: str) -> bool:
    """Whether actors on this device need a GPU each.

    Raises `UsageError` for one that is chosen by its number: each actor has another one.
    """
    kind, _, number = device.partition(":")
    if kind == "cuda" and number not in ("", "0"):
        raise UsageError(
            f"--ray gives each actor a GPU of its own: say --device cuda, not {device}."
        )
    return kind == "cuda"
