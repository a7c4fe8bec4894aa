"""Workers that are actors of a Ray cluster."""

from __future__ import annotations

import os
import pickle
import queue
import socket
import threading
import time
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from functools import partial
from pathlib import Path
from typing import Any, TypeAlias

from wsgn import __version__
from wsgn.errors import EngineError, OutputError, WsgnError
from wsgn.support.files import AtomicFile, output_errors
from wsgn.workers.options import WorkerOptions
from wsgn.workers.pool import WorkerPool
from wsgn.workers.ray_cluster import Cluster, Need, joined_cluster
from wsgn.workers.transport import Ended, HungUpError, NumberedJob, Report, Said, sendable
from wsgn.workers.work import Opened, OpenWork, WorkerStop, serve

# News of a job that goes on travel together, which spares calls; a result never waits.
_GATHER_SECONDS = 1.0
# Of the time after which a silent worker is given up.
_GATHER_SHARE = 0.25
# Without any actor for so long, a user wants to know what is waited for.
_LONELY_SECONDS = 30.0
# For actors that close what they have opened, before they are killed.
_PATIENCE_SECONDS = 5.0
_LOST_MACHINE = ("node has died", "node died", "node was", "temporarily unavailable")
_MOST_LETTERS = 200


@dataclass(frozen=True, kw_only=True)
class Surroundings:
    """What actors have to find where they are, to do what this process would do."""

    # In which relative paths are meant.
    folder: str = field(default_factory=os.getcwd)
    version: str = __version__
    # Files that only those see who share the folder they are in.
    marks: tuple[Path, ...] = ()

    def enter(self) -> None:
        """Go there. Raises `EngineError` or `OutputError` where this is another place."""
        host = socket.gethostname()
        if __version__ != self.version:
            raise EngineError(
                f"wsgn is {__version__} on {host} and {self.version} here: install the same on all "
                "machines."
            )
        try:
            os.chdir(self.folder)
        except OSError as error:
            raise EngineError(
                f"the folder '{self.folder}', in which the command was started, is not on {host} "
                f"({error.strerror}): start it in one that all machines have, such as /tmp."
            ) from error
        for mark in self.marks:
            if not mark.exists():
                raise OutputError(
                    f"'{mark.parent}' on {host} is not the folder of that name here: choose an "
                    "--output that all machines share."
                )


@contextmanager
def _opened_there(
    surroundings: Surroundings, open_work: Callable[[], OpenWork], stop: WorkerStop
) -> Iterator[Opened]:
    surroundings.enter()
    try:
        with open_work()(stop) as opened:
            yield opened
    except WsgnError as error:
        # What is missing there may well be here.
        there = WsgnError(f"on {socket.gethostname()}: {error}")
        there.exit_code = error.exit_code
        raise there from error


# The name of the actor's machine, and what came, in its order.
_Heard: TypeAlias = tuple[str, list[Report]]


class Actor:
    """In the cluster: a worker in a thread, and calls by which it is reached."""

    def __init__(self, surroundings: Surroundings, open_work: bytes, gather_seconds: float) -> None:
        self._gather_seconds = gather_seconds
        self._stop = WorkerStop()
        # None is the end.
        self._jobs: queue.SimpleQueue[NumberedJob | None] = queue.SimpleQueue()
        self._reports: list[Report] = []
        self._changed = threading.Condition()
        opening = partial(_opened_there, surroundings, partial(pickle.loads, open_work))
        self._thread = threading.Thread(target=self._serve, args=(opening,), daemon=True)
        self._thread.start()

    def listen(self) -> _Heard:
        """Wait for reports, and hand them over."""
        with self._changed:
            self._changed.wait_for(lambda: self._reports)
            self._changed.wait_for(
                lambda: not isinstance(self._reports[-1], Said), self._gather_seconds
            )
            reports, self._reports = self._reports, []
        return socket.gethostname(), reports

    def give(self, job: bytes) -> None:
        """Take a job."""
        self._jobs.put(pickle.loads(job))

    def stop(self) -> None:
        """Come to an end with what it has."""
        self._stop.request()

    def leave(self) -> None:
        """Take no job any more, and return when all that was opened is closed.

        What an actor that is killed has opened stays where it is, such as files.
        """
        self._stop.request()
        self._jobs.put(None)
        self._thread.join()

    def _serve(self, opening: OpenWork) -> None:
        with suppress(HungUpError):
            serve(opening, self._stop, receive=self._receive, report=self._say)

    def _receive(self) -> NumberedJob:
        job = self._jobs.get()
        if job is None:
            raise HungUpError
        return job

    def _say(self, report: Report) -> None:
        with self._changed:
            self._reports.append(report)
            self._changed.notify_all()


@dataclass(kw_only=True)
class _Live:
    actor: Any
    # Of a call that is answered when the actor is there.
    there: Any
    # Empty until it was heard.
    host: str = ""


class RayTransport:
    """Calls to actors: one that listens is always under way to each."""

    def __init__(
        self,
        cluster: Cluster,
        need: Need,
        open_work: OpenWork,
        *,
        surroundings: Surroundings,
        gather_seconds: float,
        say: Callable[[str], None],
    ) -> None:
        self._cluster = cluster
        self._say = say
        # An actor that died is replaced by the pool, and its job is never tried again: one that
        # kills each actor would take the run with it.
        self._class = cluster.ray.remote(
            num_cpus=need.num_cpus,
            num_gpus=need.num_gpus,
            max_restarts=0,
            max_task_retries=0,
            # Listening, and what is said meanwhile.
            max_concurrency=4,
        )(Actor)
        self._pickled = pickle.dumps(open_work)
        # It goes once to each machine, whatever it holds. Kept only while actors start: Ray ends
        # this process where it has lost an object, as it does with the daemon on this machine.
        self._open_work: Any = None
        self._starting: set[int] = set()
        self._surroundings = surroundings
        self._gather_seconds = gather_seconds
        self._actors: dict[int, _Live] = {}
        # Actors that were dismissed, by the calls that are answered when they have closed all.
        self._leaving: dict[Any, Any] = {}
        self._came: queue.SimpleQueue[tuple[int, Future[_Heard]]] = queue.SimpleQueue()
        # Since when no actor has answered; None where one has, or the user knows.
        self._lonely_since: float | None = time.monotonic()

    def start(self, worker: int) -> None:
        """See `Transport.start`. Raises `EngineError` where the cluster has gone."""
        self._cluster.require_daemon()
        if self._open_work is None:
            self._open_work = self._cluster.ray.put(self._pickled)
        self._starting.add(worker)
        actor = self._class.remote(self._surroundings, self._open_work, self._gather_seconds)
        self._actors[worker] = _Live(actor=actor, there=actor.__ray_ready__.remote())
        self._listen(worker)

    def send(self, worker: int, job: NumberedJob) -> bool:
        """See `Transport.send`; of an actor that is gone `wait` tells. Raises `UsageError`."""
        with sendable("--ray"):
            data = pickle.dumps(job)
        self._actors[worker].actor.give.remote(data)
        return True

    def interrupt(self, worker: int) -> None:
        """See `Transport.interrupt`."""
        self._actors[worker].actor.stop.remote()

    def dismiss(self, worker: int) -> None:
        """See `Transport.dismiss`."""
        # One that waits for room would only come to leave.
        if not self._answered([self._actors[worker].there], 0.0):
            self.kill(worker)
            return
        actor = self._forget(worker)
        self._leaving[actor.leave.remote()] = actor

    def kill(self, worker: int) -> None:
        """See `Transport.kill`."""
        self._cluster.ray.kill(self._forget(worker))

    def wait(self, seconds: float) -> list[tuple[int, Report]]:
        """See `Transport.wait`. Raises `EngineError` where the cluster has gone."""
        self._cluster.require()
        self._end_leaving(0.0)
        reports: list[tuple[int, Report]] = []
        try:
            came = [self._came.get(timeout=seconds)]
        except queue.Empty:
            self._complain_of_loneliness()
            return reports
        while not self._came.empty():
            came.append(self._came.get())
        for worker, heard in came:
            if worker in self._actors:
                reports += [(worker, report) for report in self._reports(worker, heard)]
        return reports

    def close(self) -> None:
        """See `Transport.close`."""
        for worker in list(self._actors):
            self.kill(worker)
        limit = time.monotonic() + _PATIENCE_SECONDS
        while self._leaving and (left := limit - time.monotonic()) > 0:
            self._end_leaving(left)
        for actor in self._leaving.values():
            self._cluster.ray.kill(actor)
        self._leaving.clear()

    def _forget(self, worker: int) -> Any:
        self._has_started(worker)
        return self._actors.pop(worker).actor

    def _has_started(self, worker: int) -> None:
        self._starting.discard(worker)
        if not self._starting:
            self._open_work = None

    def _end_leaving(self, seconds: float) -> None:
        """Kill actors that have closed all, waiting at most `seconds` for the first."""
        for call in self._answered(list(self._leaving), seconds):
            self._cluster.ray.kill(self._leaving.pop(call))

    def _answered(self, calls: list[Any], seconds: float) -> list[Any]:
        """One call that is answered, or failed; none where that takes longer than `seconds`."""
        if not calls:
            return []
        answered: list[Any] = self._cluster.ray.wait(calls, num_returns=1, timeout=seconds)[0]
        return answered

    def _listen(self, worker: int) -> None:
        heard = self._actors[worker].actor.listen.remote().future()
        # In a thread of Ray's.
        heard.add_done_callback(lambda future: self._came.put((worker, future)))

    def _reports(self, worker: int, heard: Future[_Heard]) -> list[Report]:
        live = self._actors[worker]
        error = heard.exception()
        if error is None:
            live.host, reports = heard.result()
            self._has_started(worker)
            self._lonely_since = None
            self._listen(worker)
            return reports
        # Also one that cannot be reached for a while: nobody knows how far its job is.
        self.kill(worker)
        if not any(one.host for one in self._actors.values()):
            self._lonely_since = time.monotonic()
        return [_ended(str(error), live.host)]

    def _complain_of_loneliness(self) -> None:
        since = self._lonely_since
        if since is not None and time.monotonic() - since > _LONELY_SECONDS:
            self._lonely_since = None
            self._say(f"waiting for room in {self._cluster.name}: all of it is taken or starting.")


def _ended(words: str, host: str) -> Ended:
    """What Ray says of the end of an actor, in few words."""
    place = f"on {host}" if host else "before it was heard"
    if any(sign in words for sign in _LOST_MACHINE):
        return Ended(how=f"{host or 'its machine'} was lost", with_machine=True)
    if "out of memory" in words.lower() or "OutOfMemory" in words:
        return Ended(how=f"memory ran out {place}")
    last = " ".join(words.strip().splitlines()[-1].split())
    return Ended(how=place if "Worker exit type" in last else f"{place}: {last[:_MOST_LETTERS]}")


@contextmanager
def _marked(folder: Path | None) -> Iterator[tuple[Path, ...]]:
    """While the block runs, a file that only those see who share the folder."""
    if folder is None:
        yield ()
        return
    with output_errors(folder):
        file = AtomicFile(folder / "shared").open()
    try:
        yield (file.temporary,)
    finally:
        file.discard()


@contextmanager
def opened_ray_pool(
    open_work: OpenWork,
    options: WorkerOptions,
    *,
    num_jobs: int,
    num_threads: int,
    needs_gpu: bool,
    shared_folder: Path | None,
    stopping: Callable[[], bool],
    say: Callable[[str], None],
) -> Iterator[WorkerPool]:
    """The pool of a run as `opened_pool` has it, of actors.

    Raises `MissingExtraError`, `UsageError` and `EngineError`.
    """
    assert options.ray is not None
    need = Need(num_cpus=num_threads, num_gpus=int(needs_gpu))
    wanted = None if options.number is None else min(options.number, num_jobs)
    num_local_cores = None if wanted is None else wanted * num_threads
    with (
        _marked(shared_folder) as marks,
        joined_cluster(options.ray, num_local_cores) as cluster,
    ):
        cluster.check_room(need)
        num_workers = max(1, wanted or min(cluster.num_free(need), num_jobs))
        actors = "1 actor" if num_workers == 1 else f"{num_workers} actors"
        machines = cluster.num_machines()
        say(f"{actors} in {cluster.name}" + (f", {machines} machines." if machines > 1 else "."))
        transport = RayTransport(
            cluster,
            need,
            open_work,
            surroundings=Surroundings(marks=marks),
            gather_seconds=min(_GATHER_SECONDS, _GATHER_SHARE * options.stall_seconds),
            say=say,
        )
        with WorkerPool(
            transport, num_workers, stall_seconds=options.stall_seconds, stopping=stopping
        ) as pool:
            yield pool
