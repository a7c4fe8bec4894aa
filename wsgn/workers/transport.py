"""How a pool reaches its workers, and what it hears of them."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pickle import PicklingError
from typing import Any, Protocol, TypeAlias

from wsgn.errors import UsageError

# A job and its number in the run.
NumberedJob: TypeAlias = tuple[int, Any]


@dataclass(frozen=True, kw_only=True)
class Ready:
    """A worker has opened its work."""

    info: Any


@dataclass(frozen=True, kw_only=True)
class Said:
    """What a worker told of its job while it runs."""

    news: Any


@dataclass(frozen=True, kw_only=True)
class Result:
    """A worker has done its job."""

    result: Any
    # Whether it ends now: somebody has asked it to, perhaps another than the pool.
    is_last: bool = False


@dataclass(frozen=True, kw_only=True)
class Fatal:
    """An error in a worker that ends the whole run; errors themselves do not travel."""

    exit_code: int
    sentence: str
    trace: str


@dataclass(frozen=True, kw_only=True)
class Ended:
    """A worker is no more, and is not heard of again."""

    # In a few words, such as the name of a signal.
    how: str
    # Whether its machine was lost with it: then what it was opening is not to blame.
    with_machine: bool = False


Report: TypeAlias = Ready | Said | Result | Fatal | Ended


class HungUpError(Exception):
    """In a worker: nobody is there any more who gives out jobs and hears of them."""


class Transport(Protocol):
    """Starts workers, carries jobs to them and reports back.

    A worker is called by a number, which is never used again. After `dismiss`, `kill`, a `send`
    that returned False, or an `Ended`, it is forgotten: nothing more is reported of it.
    """

    def start(self, worker: int) -> None:
        """Start a worker, and return at once: a report says when it is ready."""
        ...

    def send(self, worker: int, job: NumberedJob) -> bool:
        """Give a job to a worker that has none; False where it has ended and cannot take it."""
        ...

    def interrupt(self, worker: int) -> None:
        """Ask a worker to come to an end with what it has."""
        ...

    def dismiss(self, worker: int) -> None:
        """Let a worker that has no job end, without waiting for it."""
        ...

    def kill(self, worker: int) -> None:
        """End a worker, whatever it does."""
        ...

    def wait(self, seconds: float) -> Sequence[tuple[int, Report]]:
        """What was reported, each with the worker, in the order of each; perhaps nothing.

        Waits at most `seconds` for the first. Of each worker that has reported something there is
        at least one report.
        """
        ...

    def close(self) -> None:
        """End all workers."""
        ...


@contextmanager
def sendable(option: str) -> Iterator[None]:
    """Turn what Python says of a job that it cannot pickle into a `UsageError` on the option."""
    try:
        yield
    # Such as an open file.
    except (TypeError, AttributeError, PicklingError) as error:
        raise UsageError(
            f"a source cannot be sent to a worker ({error}): leave {option} out."
        ) from error
