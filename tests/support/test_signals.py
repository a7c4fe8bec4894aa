"""Signals that wait, and SIGTERM as an orderly end."""

from __future__ import annotations

import signal
import subprocess
import sys
import threading

import pytest
from commands import HANG_SECONDS

from wsgn.support.signals import exit_on_termination, hold_signals

NUMBERS = (signal.SIGINT, signal.SIGTERM)


def handlers() -> list[object]:
    return [signal.getsignal(number) for number in NUMBERS]


def test_a_held_signal_comes_behind_the_block_with_the_old_handlers() -> None:
    before = handlers()
    steps: list[str] = []

    def work() -> None:
        with hold_signals() as held:
            signal.raise_signal(signal.SIGINT)
            steps.append(f"inside with {held.number}")

    with pytest.raises(KeyboardInterrupt):
        work()
    assert steps == [f"inside with {int(signal.SIGINT)}"]
    assert handlers() == before


def test_the_signal_comes_also_behind_an_error_and_through_nested_blocks() -> None:
    def work() -> None:
        with hold_signals(), hold_signals():
            signal.raise_signal(signal.SIGINT)
            raise ValueError

    with pytest.raises(KeyboardInterrupt):
        work()


def test_termination_leaves_in_order_with_143() -> None:
    before = handlers()
    with pytest.raises(SystemExit) as stop, exit_on_termination(), hold_signals():
        signal.raise_signal(signal.SIGTERM)
    assert stop.value.code == 143
    assert handlers() == before


def test_what_is_ignored_stays_ignored(monkeypatch: pytest.MonkeyPatch) -> None:
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        with hold_signals() as held:
            signal.raise_signal(signal.SIGINT)
        assert held.number is None
    finally:
        signal.signal(signal.SIGINT, before)


def test_outside_the_main_thread_nothing_is_held() -> None:
    before, found = handlers(), []

    def work() -> None:
        with exit_on_termination(), hold_signals() as held:
            found.append((handlers() == before, held.number))

    thread = threading.Thread(target=work)
    thread.start()
    thread.join()
    assert found == [(True, None)]


@pytest.mark.parametrize("number", NUMBERS)
def test_a_second_signal_ends_at_once(number: signal.Signals) -> None:
    program = (
        "import signal, sys; from wsgn.support.signals import hold_signals\n"
        "with hold_signals():\n"
        f"    signal.raise_signal({int(signal.SIGINT)}); print('one', flush=True)\n"
        f"    signal.raise_signal({int(number)}); print('two', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (128 + number, "one\n")


@pytest.mark.parametrize("number", NUMBERS)
def test_of_a_launcher_a_second_signal_waits_too(number: signal.Signals) -> None:
    program = (
        "import signal; from wsgn.support.signals import exit_on_termination, hold_signals\n"
        "from wsgn.support.signals import launched\n"
        "with exit_on_termination(), launched(), hold_signals():\n"
        f"    signal.raise_signal({int(signal.SIGTERM)}); print('one', flush=True)\n"
        f"    signal.raise_signal({int(number)}); print('two', flush=True)\n"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True)
    assert (done.returncode, done.stdout) == (128 + signal.SIGTERM, "one\ntwo\n")


IN_A_FINALISER = """
import signal, sys, threading, weakref
from wsgn.support.signals import exit_on_termination

class Held:
    def __del__(self):
        if sys.argv[1] == "del":
            stop()

def stop(reference=None):
    signal.raise_signal(int(sys.argv[2]))
    # The handler has its turn at the latest here.
    for _ in range(10):
        len("")

with exit_on_termination():
    held = Held()
    reference = weakref.ref(held, stop if sys.argv[1] == "weakref" else None)
    del held
    threading.Event().wait(float(sys.argv[3]))
print("it went on")
"""


@pytest.mark.parametrize("place", ["del", "weakref"])
@pytest.mark.parametrize("number", NUMBERS)
def test_a_signal_that_a_finaliser_swallows_ends_the_block(
    number: signal.Signals, place: str
) -> None:
    words = [sys.executable, "-c", IN_A_FINALISER, place, str(int(number)), str(HANG_SECONDS)]
    done = subprocess.run(words, capture_output=True, text=True)
    assert "it went on" not in done.stdout
    assert "Exception ignored" not in done.stderr
    # What Python itself ends with after Ctrl-C that nobody has caught.
    ends = {signal.SIGTERM: (128 + signal.SIGTERM,), signal.SIGINT: (-signal.SIGINT, 130)}
    assert done.returncode in ends[number]
