"""Actors of a Ray cluster: how they leave, and what they say of where they are."""

from __future__ import annotations

import pickle
import socket
import threading
import weakref
from collections.abc import Callable, Iterator
from concurrent.futures import Future
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, cast

import pytest

from wsgn.errors import EngineError, InputError
from wsgn.workers import ray_actors
from wsgn.workers.ray_actors import Actor, RayTransport, Surroundings
from wsgn.workers.ray_cluster import Cluster, Need
from wsgn.workers.transport import Fatal, Ready, Result
from wsgn.workers.work import Opened, WorkerStop

# Only what hangs takes so long.
HANG_SECONDS = 60.0


@dataclass(frozen=True)
class Opener:
    """Work with a file that is there while it is open; a file `hold` keeps it from opening."""

    folder: Path

    @contextmanager
    def __call__(self, stop: WorkerStop) -> Iterator[Opened]:
        file = self.folder / "open"
        file.touch()
        try:
            while (self.folder / "hold").exists():
                threading.Event().wait(0.01)
            yield Opened(work=lambda job, tell: job + 1, info="ready")
        finally:
            file.unlink()


def test_an_actor_closes_what_it_has_opened_when_it_leaves(tmp_path: Path) -> None:
    actor = Actor(Surroundings(), pickle.dumps(Opener(tmp_path)), 0.01)
    assert actor.listen()[1] == [Ready(info="ready")]
    actor.give(pickle.dumps((0, 41)))
    assert actor.listen()[1] == [Result(result=42)]
    assert (tmp_path / "open").exists()
    actor.leave()
    assert not (tmp_path / "open").exists()


def test_an_actor_that_is_opening_closes_too(tmp_path: Path) -> None:
    (tmp_path / "hold").touch()
    actor = Actor(Surroundings(), pickle.dumps(Opener(tmp_path)), 0.01)
    leaving = threading.Thread(target=actor.leave, daemon=True)
    leaving.start()
    (tmp_path / "hold").unlink()
    leaving.join(HANG_SECONDS)
    assert not leaving.is_alive()
    assert not (tmp_path / "open").exists()


def _refuse(stop: WorkerStop) -> AbstractContextManager[Opened]:
    raise InputError("the features do not exist.")


def test_an_actor_says_where_it_cannot_go_on() -> None:
    report = Actor(Surroundings(), pickle.dumps(_refuse), 0.01).listen()[1][0]
    assert isinstance(report, Fatal)
    assert report.sentence == f"on {socket.gethostname()}: the features do not exist."
    assert report.exit_code == InputError.exit_code


@dataclass(eq=False)
class _Call:
    """What is answered when a test says so."""

    future: Future[Any] = field(default_factory=Future)


@dataclass(eq=False)
class _Method:
    call: Callable[[], _Call]

    def remote(self, *_: object) -> Any:
        return self.call()


class _Remote:
    """An actor as its caller sees it."""

    def __init__(self) -> None:
        self.there, self.left, self.heard = _Call(), _Call(), Future[Any]()
        self.was_asked_to_leave = False
        self.__ray_ready__ = _Method(lambda: self.there)
        self.leave = _Method(self._leave)
        self.listen = _Method(lambda: cast(_Call, _Heard(self.heard)))

    def _leave(self) -> _Call:
        self.was_asked_to_leave = True
        return self.left


@dataclass
class _Heard:
    heard: Future[Any]

    def future(self) -> Future[Any]:
        return self.heard


class _Object:
    """One that is in the store as long as somebody refers to it."""

    def __init__(self, ray: _Ray) -> None:
        weakref.finalize(self, _Object._gone, weakref.ref(ray))

    @staticmethod
    def _gone(ray: weakref.ref[_Ray]) -> None:
        if (there := ray()) is not None:
            there.num_put -= 1


class _Ray:
    """As much of Ray as the transport calls."""

    def __init__(self) -> None:
        self.actors: list[_Remote] = []
        self.killed: list[_Remote] = []
        # Objects in its store.
        self.num_put = 0

    def remote(self, **_: object) -> Callable[[type], Any]:
        return lambda _: _Method(cast(Callable[[], _Call], self._start))

    def _start(self) -> _Remote:
        self.actors.append(_Remote())
        return self.actors[-1]

    def put(self, value: object) -> _Object:
        self.num_put += 1
        return _Object(self)

    def kill(self, actor: _Remote) -> None:
        self.killed.append(actor)

    def wait(
        self, calls: list[_Call], *, num_returns: int, timeout: float
    ) -> tuple[list[_Call], list[_Call]]:
        answered = [call for call in calls if call.future.done()][:num_returns]
        return answered, [call for call in calls if call not in answered]


class _Cluster:
    name = "a made cluster"

    def __init__(self) -> None:
        self.ray = _Ray()
        self.has_ended = False

    def require(self) -> None:
        self.require_daemon()

    def require_daemon(self) -> None:
        if self.has_ended:
            raise EngineError("it has ended.")


@pytest.fixture
def cluster() -> _Cluster:
    return _Cluster()


@pytest.fixture
def made(cluster: _Cluster, monkeypatch: pytest.MonkeyPatch) -> tuple[RayTransport, _Ray]:
    monkeypatch.setattr(ray_actors, "_PATIENCE_SECONDS", 0.05)
    transport = RayTransport(
        cast(Cluster, cluster), Need(), Opener(Path()), surroundings=Surroundings(),
        gather_seconds=0.01, say=lambda words: None,
    )  # fmt: skip
    for worker in range(2):
        transport.start(worker)
    return transport, cluster.ray


def test_an_actor_that_is_there_is_asked_to_leave_and_ends_when_it_has(
    made: tuple[RayTransport, _Ray],
) -> None:
    transport, ray = made
    first, second = ray.actors
    first.there.future.set_result(None)
    transport.dismiss(0)
    assert (first.was_asked_to_leave, ray.killed) == (True, [])
    transport.wait(0.0)
    assert ray.killed == []
    first.left.future.set_result(None)
    transport.wait(0.0)
    assert ray.killed == [first]
    transport.close()
    assert (ray.killed, second.was_asked_to_leave) == ([first, second], False)


def test_an_actor_that_waits_for_room_is_not_waited_for(made: tuple[RayTransport, _Ray]) -> None:
    transport, ray = made
    transport.dismiss(0)
    assert (ray.actors[0].was_asked_to_leave, ray.killed) == (False, ray.actors[:1])


def test_an_actor_that_does_not_leave_is_killed_in_the_end(made: tuple[RayTransport, _Ray]) -> None:
    transport, ray = made
    ray.actors[0].there.future.set_result(None)
    transport.dismiss(0)
    transport.close()
    assert {id(one) for one in ray.killed} == {id(one) for one in ray.actors}
    assert len(ray.killed) == 2


def test_the_store_holds_nothing_when_all_have_started(made: tuple[RayTransport, _Ray]) -> None:
    """Ray ends the process that has lost an object, without a word."""
    transport, ray = made
    assert ray.num_put == 1
    ray.actors[0].heard.set_result(("there", [Ready(info="ready")]))
    assert transport.wait(HANG_SECONDS) == [(0, Ready(info="ready"))]
    assert ray.num_put == 1
    transport.kill(1)
    assert ray.num_put == 0
    transport.start(2)
    assert ray.num_put == 1


def test_nothing_is_put_into_a_store_that_has_ended(
    made: tuple[RayTransport, _Ray], cluster: _Cluster
) -> None:
    transport, ray = made
    for worker in range(2):
        transport.kill(worker)
    cluster.has_ended = True
    with pytest.raises(EngineError):
        transport.start(2)
    with pytest.raises(EngineError):
        transport.wait(0.0)
    assert ray.num_put == 0
