"""Processes of a training hear of each other's faults through a store; here they share a dict."""

from __future__ import annotations

import threading

import pytest

from wsgn.errors import InputError, OutputError
from wsgn.training import faults
from wsgn.training.faults import PeerError, PeerLostError, Place, Watch


class SharedTexts:
    """A store as PyTorch's are; nothing is there once it is `lost`."""

    def __init__(self) -> None:
        self.values: dict[str, bytes] = {}
        self.lost = False
        self._lock = threading.Lock()

    def set(self, key: str, value: str) -> None:
        self._there()[key] = value.encode()

    def get(self, key: str) -> bytes:
        return self._there()[key]

    def check(self, keys: list[str]) -> bool:
        return all(key in self._there() for key in keys)

    def add(self, key: str, amount: int) -> int:
        with self._lock:
            total = int(self._there().get(key, b"0")) + amount
            self.values[key] = str(total).encode()
        return total

    def compare_set(self, key: str, expected: str, desired: str) -> bytes:
        assert expected == ""
        return self._there().setdefault(key, desired.encode())

    def _there(self) -> dict[str, bytes]:
        if self.lost:
            raise RuntimeError("connection reset by peer")
        return self.values


def watches(store: SharedTexts, size: int = 4) -> list[Watch]:
    """Of two nodes, all of them there; their threads do not run."""
    found = []
    for rank in range(size):
        node = rank // 2
        place = Place(rank=rank, size=size, node=str(node), host=f"host{node}")
        found.append(Watch(store, place))
        store.set(f"wsgn/host/{rank}", place.host)
        store.set(f"wsgn/beat/{rank}", "0")
        found[-1]._is_met = True
    return found


def close() -> None:
    """No connection is there."""


def test_the_first_fault_is_that_of_all() -> None:
    store = SharedTexts()
    one, two, three, four = watches(store)
    error = OutputError("the disk is full.")
    assert two.ending(error, close) is error
    later = [watch.ending(InputError("another."), close) for watch in (one, three)]
    later.append(four.ending(PeerLostError("gloo"), close))
    for found in later:
        assert isinstance(found, PeerError)
        assert found.exit_code == 6
        assert str(found) == "rank 1 on host0: the disk is full."
    # Said by rank 1 on its node, by the first that hears of it on the other.
    assert [one.is_said_here for one in later if isinstance(one, PeerError)] == [False, True, False]


def test_the_connections_are_closed_once_the_fault_can_be_seen() -> None:
    store = SharedTexts()
    (watch, *_) = watches(store)
    seen: list[bool] = []
    watch.ending(InputError("bad."), lambda: seen.append("wsgn/fault" in store.values))
    assert seen == [True]


@pytest.mark.parametrize(("looker", "silent"), [(0, 3), (2, 0)])
def test_who_shows_nothing_new_for_long_is_taken_for_gone(looker: int, silent: int) -> None:
    store = SharedTexts()
    all_watches = watches(store)
    for _ in range(faults._MOST_SILENT_LOOKS):
        for rank, watch in enumerate(all_watches):
            if rank != silent:
                assert watch._look() is None
    fault = all_watches[looker]._look()
    assert fault is not None
    assert fault.dead == [silent]
    assert f"rank {silent} on host{silent // 2} has ended without a word" in fault.sentence


def test_without_the_first_node_the_others_end() -> None:
    store = SharedTexts()
    watch = watches(store)[3]
    store.lost = True
    found = watch.ending(PeerLostError("gloo"), close)
    assert isinstance(found, PeerError)
    assert found.exit_code == 1
    assert "the first node" in str(found)
    own = InputError("bad.")
    assert watch.ending(own, close) is own


def test_a_main_thread_that_waits_for_the_dead_is_ended(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    store = SharedTexts()
    one, _, three, _ = watches(store)
    one.ending(InputError("the file is bad."), close)
    signals: list[int] = []
    codes: list[int] = []
    monkeypatch.setattr(faults, "_GRACE_SECONDS", 0.0)
    monkeypatch.setattr("signal.pthread_kill", lambda thread, number: signals.append(number))
    monkeypatch.setattr("os._exit", codes.append)
    fault = three._look()
    assert fault is not None
    three._end_work(fault)
    assert len(signals) == 1
    assert codes == [3]
    assert capsys.readouterr().err == "wsgn-train: rank 0 on host0: the file is bad.\n"
