"""How the processes of a training end together: who lives, and who has failed of what.

An exchange of gradients says at best that somebody is gone (gloo), and else waits (NCCL). So each
process has a thread beside it that shows, in the key-value store by which torchrun brings them
together, that it lives, and looks there for the first fault of any of them.
"""

from __future__ import annotations

import json
import os
import signal
import threading
import time
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import asdict, dataclass
from typing import Protocol, TypeVar

from wsgn.errors import WsgnError
from wsgn.support.command import INTERRUPTED, ending_of, say
from wsgn.support.signals import TERMINATED

Value = TypeVar("Value")

_BEAT_SECONDS = 0.5
# Who shows nothing new for so many looks is taken for gone: a minute.
_MOST_SILENT_LOOKS = 120
# Those that live answer within a beat, and much later on a busy machine; below the half minute
# after which torchrun kills.
_ANSWER_SECONDS = 15.0
# Those that have heard of the end are gone at once.
_LEAVING_SECONDS = 5.0
# What is written last, and what waits in C++, is given so long after a fault.
_GRACE_SECONDS = 30.0
# Until all that torchrun has started are there.
_MEETING_SECONDS = 600.0
_POLL_SECONDS = 0.05
# The store is PyTorch's too.
_KEY = "wsgn/{}"
_GO_ON = "--resume goes on from the last checkpoint"


class Store(Protocol):
    """Texts by their names, the same for all processes: what PyTorch's stores are."""

    def set(self, key: str, value: str, /) -> None:
        """Write one."""

    def get(self, key: str, /) -> bytes:
        """Read one, waiting for it."""

    def check(self, keys: list[str], /) -> bool:
        """Whether they are all there."""

    def add(self, key: str, amount: int, /) -> int:
        """Count up from 0."""

    def compare_set(self, key: str, expected: str, desired: str, /) -> bytes:
        """Write one that is as expected, or not there where that is empty; what is there then."""


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What ends a training, as all its processes hear of it."""

    rank: int
    # The host of that process.
    host: str
    # The exit code of all.
    code: int
    # Empty where nothing is to be said.
    sentence: str
    # The ranks that have ended without a word, if any.
    dead: Sequence[int] = ()


class PeerError(WsgnError):
    """Another process of the training has failed; the exit code is that of its fault."""

    def __init__(self, fault: Fault, *, is_said_here: bool) -> None:
        """`is_said_here`: whether this is the process of its node that tells the user."""
        super().__init__(fault.sentence or f"another process has ended with code {fault.code}.")
        self.exit_code = fault.code
        self.is_said_here = is_said_here and bool(fault.sentence)


class PeerLostError(WsgnError):
    """An exchange with the other processes has failed; `Watch.ending` finds out why."""


class StoreLostError(WsgnError):
    """The first node, which holds the store, cannot be reached."""


@dataclass(frozen=True, kw_only=True)
class Place:
    """A process among those of a training."""

    rank: int
    size: int
    # Its node's number (or, without torchrun, its host) and host.
    node: str
    host: str


class Watch:
    """A thread beside a process's work that sees the faults of others, and shows its own."""

    def __init__(self, store: Store, place: Place) -> None:
        self._store = store
        self._place = place
        self._others = [rank for rank in range(place.size) if rank != place.rank]
        # One at a time speaks with the store; whether the process is ending is told under it too.
        self._lock = threading.RLock()
        self._is_ending = False
        self._stop = threading.Event()
        # What each of the others has shown last, and for how many looks; none before all are there.
        self._silent: dict[int, tuple[bytes, int]] = {}
        self._is_met = False
        self._thread = threading.Thread(target=self._run, name="wsgn-watch", daemon=True)

    @property
    def is_ending(self) -> bool:
        """Whether the process is on its way out, and no signal is to hurry it."""
        return self._is_ending

    def meet(self) -> None:
        """Wait until all processes are there; raises `PeerError` where one has failed by then."""
        self._show("host", self._place.host)
        self._show("beat", "0")
        self._thread.start()
        deadline = time.monotonic() + _MEETING_SECONDS
        while lacking := self._lacking("beat"):
            if self._posted() is not None:
                raise PeerLostError("a process has failed before all were there.")
            if time.monotonic() > deadline:
                raise WsgnError(
                    f"of {self._place.size} processes {_ranks(lacking)} did not come: look what "
                    "torchrun says on the other nodes."
                )
            time.sleep(_POLL_SECONDS)
        self._is_met = True

    def stop(self) -> None:
        """Watch no longer: this process has done its part.

        The store may end with the first node, so its processes wait for those of higher rank.
        """
        with self._lock:
            self._is_ending = True
        self._stop.set()
        if self._thread.is_alive():
            self._thread.join()
        with suppress(StoreLostError):
            fault = self._posted()
            dead = () if fault is None else fault.dead
            higher = range(self._place.rank + 1, self._place.size)
            self._await("gone", [rank for rank in higher if rank not in dead], _LEAVING_SECONDS)
            self._show("gone")

    def conclude(self, result: str | None) -> str:
        """What the first process has ended with; it alone gives it, and the others wait for it."""
        if result is not None:
            self._set("result", result)
            return result
        while not self._has("result"):
            if self._posted() is not None:
                raise PeerLostError("the first process has failed.")
            time.sleep(_BEAT_SECONDS)
        return self._get("result").decode()

    def ending(self, error: BaseException, close: Callable[[], None]) -> BaseException:
        """What ends this process in the place of `error`: the first fault of all is that of all.

        `close` gives up the connections to the others, which wakes those that wait for this one.
        """
        with self._lock:
            self._is_ending = True
        try:
            fault = self._fault_behind(error, close)
        except StoreLostError:
            fault = self._without_store()
            if not isinstance(error, PeerLostError | StoreLostError):
                return error
            return PeerError(fault, is_said_here=self._speaks_for_node())
        finally:
            close()
        if fault.rank == self._place.rank:
            # What went wrong here is said by whoever raised it; a lost connection has no words.
            lost = isinstance(error, PeerLostError)
            return PeerError(fault, is_said_here=True) if lost else error
        return PeerError(fault, is_said_here=self._is_first_to_say())

    def _fault_behind(self, error: BaseException, close: Callable[[], None]) -> Fault:
        is_terminated = isinstance(error, SystemExit) and error.code == TERMINATED
        if is_terminated or isinstance(error, PeerLostError):
            # Before the connections are closed: who loses them knows then that this one lives.
            if is_terminated:
                self._set("terminated", "1")
            self._set("roll", "1")
            self._show("here")
            close()
            return self._found_out(is_terminated=is_terminated)
        ending = ending_of(error)
        sentence = ending.sentence
        if ending.code == INTERRUPTED:
            sentence = "interrupted."
        return self._post(self._own_fault(ending.code, sentence))

    def _found_out(self, *, is_terminated: bool) -> Fault:
        """Call the roll: who does not answer, and has posted no fault, has died without a word."""
        deadline = time.monotonic() + _ANSWER_SECONDS
        while True:
            fault = self._posted()
            if fault is not None:
                return fault
            lacking, is_late = self._lacking("here"), time.monotonic() > deadline
            # Who closes a connection has answered before, so that the first loss was of one who has
            # not; unless that was somebody's end by a signal.
            is_last = len(lacking) == 1 and not self._has("terminated")
            if lacking and (is_late or is_last):
                return self._post(self._death_of(lacking))
            if not lacking and is_terminated:
                return self._post(self._own_fault(TERMINATED, "terminated."))
            if is_late:
                return self._post(
                    self._own_fault(
                        WsgnError.exit_code,
                        f"the connection to the other processes was lost: {_GO_ON}.",
                    )
                )
            time.sleep(_POLL_SECONDS)

    def _own_fault(self, code: int, sentence: str) -> Fault:
        """Of this process; the sentence is one for the others too."""
        place = self._place
        is_whole = not sentence or sentence.startswith("rank ")
        words = sentence if is_whole else f"rank {place.rank} on {place.host}: {sentence}"
        return Fault(rank=place.rank, host=place.host, code=code, sentence=words)

    def _death_of(self, ranks: list[int]) -> Fault:
        host = self._get(f"host/{ranks[0]}").decode()
        return Fault(
            rank=ranks[0],
            host=host,
            code=WsgnError.exit_code,
            dead=ranks,
            sentence=f"{_ranks(ranks)} on {host} has ended without a word (killed, or out of "
            f"memory), or cannot be reached: {_GO_ON}.",
        )

    def _post(self, fault: Fault) -> Fault:
        """Show a fault to all; the first one of any process, which may be another."""
        key, text = _KEY.format("fault"), json.dumps(asdict(fault))
        first = Fault(**json.loads(self._call(lambda: self._store.compare_set(key, "", text))))
        if first.rank == self._place.rank:
            # It is said here by whoever raised it.
            self._is_first_to_say()
        return first

    def _is_first_to_say(self) -> bool:
        key = _KEY.format(f"said/{self._place.node}")
        return self._call(lambda: self._store.add(key, 1)) == 1

    def _run(self) -> None:
        while not self._stop.wait(_BEAT_SECONDS):
            try:
                fault = self._look()
            except StoreLostError:
                fault = self._without_store()
            if fault is not None:
                self._end_work(fault)
                return

    def _look(self) -> Fault | None:
        """Show that this process lives; the fault of all, if there is one."""
        self._call(lambda: self._store.add(_KEY.format(f"beat/{self._place.rank}"), 1))
        if self._has("roll"):
            self._show("here")
        fault = self._posted()
        if fault is None and self._is_met:
            silent = self._silent_ranks()
            fault = self._post(self._death_of(silent)) if silent else None
        return fault

    def _silent_ranks(self) -> list[int]:
        """Of whom nothing was seen for long; the first process looks at all, they at it alone."""
        ranks = self._others if self._place.rank == 0 else [0]
        for rank in ranks:
            beat = self._get(f"beat/{rank}")
            last, looks = self._silent.get(rank, (beat, 0))
            self._silent[rank] = (beat, looks + 1 if last == beat else 0)
        return [rank for rank in ranks if self._silent[rank][1] > _MOST_SILENT_LOOKS]

    def _without_store(self) -> Fault:
        return Fault(
            rank=0,
            host="",
            code=WsgnError.exit_code,
            sentence="the first node, by which the processes know of each other, has ended or "
            f"cannot be reached: {_GO_ON}.",
        )

    def _end_work(self, fault: Fault) -> None:
        """Interrupt the main thread, and end the process where that waits in C++ for the dead."""
        with self._lock:
            if not self._is_ending:
                signal.pthread_kill(threading.main_thread().ident or 0, signal.SIGTERM)
        if self._stop.wait(_GRACE_SECONDS):
            return
        try:
            is_said_here = self._is_first_to_say()
        except StoreLostError:
            is_said_here = self._speaks_for_node()
        if is_said_here and fault.sentence:
            say("wsgn-train", fault.sentence)
        os._exit(fault.code)

    def _speaks_for_node(self) -> bool:
        """Where nobody can be asked who says it."""
        return os.environ.get("LOCAL_RANK", "0") == "0"

    def _await(self, name: str, ranks: list[int], seconds: float) -> None:
        """Wait until these have shown it, but not for ever: they may be dead."""
        deadline = time.monotonic() + seconds
        while self._lacking(name, ranks) and time.monotonic() < deadline:
            time.sleep(_POLL_SECONDS)

    def _lacking(self, name: str, ranks: Sequence[int] | None = None) -> list[int]:
        """Which of the processes (by default all) have not shown it."""
        wanted = range(self._place.size) if ranks is None else ranks
        return [rank for rank in wanted if not self._has(f"{name}/{rank}")]

    def _posted(self) -> Fault | None:
        return Fault(**json.loads(self._get("fault"))) if self._has("fault") else None

    def _show(self, name: str, value: str = "1") -> None:
        self._set(f"{name}/{self._place.rank}", value)

    def _set(self, key: str, value: str) -> None:
        self._call(lambda: self._store.set(_KEY.format(key), value))

    def _has(self, key: str) -> bool:
        return self._call(lambda: self._store.check([_KEY.format(key)]))

    def _get(self, key: str) -> bytes:
        """The value of a key that is there."""
        return self._call(lambda: self._store.get(_KEY.format(key)))

    def _call(self, work: Callable[[], Value]) -> Value:
        try:
            with self._lock:
                return work()
        except RuntimeError as error:
            raise StoreLostError(str(error)) from error


def _ranks(ranks: Sequence[int]) -> str:
    return ("rank " if len(ranks) == 1 else "ranks ") + ", ".join(map(str, ranks))
