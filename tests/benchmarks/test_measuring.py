"""Spreads, budgets, turns, and what a process costs."""

from __future__ import annotations

import math
import sys

import pytest

from benchmarks.measuring import (
    Budget,
    CommandError,
    TooSlowError,
    Watch,
    mean_and_deviation,
    run_measured,
    spread_of,
    time_in_turn,
)

PYTHON = sys.executable


def test_a_spread_is_median_and_outer_tenths() -> None:
    spread = spread_of([float(value) for value in range(11)])
    assert (spread.low, spread.median, spread.high, spread.count) == (1.0, 5.0, 9.0, 11)
    assert str(spread.scaled(100)) == "500 (100-900)"


def test_works_take_turns_in_alternating_order() -> None:
    calls: list[str] = []
    works = {name: lambda name=name: calls.append(name) for name in "ab"}  # type: ignore[misc]
    found = time_in_turn(works, aim_seconds=0.0)
    assert "".join(calls) == "ab" + "ab" + "ba" + "ab"
    assert [found[name].count for name in "ab"] == [3, 3]


def test_the_deviation_is_that_of_a_sample_and_0_for_one() -> None:
    assert mean_and_deviation([1.0, 3.0], 2) == "2.00 ± 1.41"
    assert mean_and_deviation([5.0]) == "5.0 ± 0.0"


def test_a_budget_is_spent_by_its_clock() -> None:
    now = [100.0]
    budget = Budget(seconds=10.0, clock=lambda: now[0])
    assert budget.allows(10.0)
    assert not budget.allows(6.0, reserve=5.0)
    now[0] = 104.0
    assert (budget.used, budget.left) == (4.0, 6.0)
    assert not budget.allows(6.5)
    now[0] = 111.0
    assert budget.left < 0


def test_a_command_is_measured_without_what_its_parent_holds() -> None:
    held = bytearray(400_000_000)
    code = "print('first'); block = bytearray(60_000_000); sum(range(10**6)); print('last')"
    run = run_measured([PYTHON, "-c", code], what="a command")
    assert run.lines == ("first", "last")
    assert 0 < run.line_seconds[0] <= run.line_seconds[1] <= run.usage.seconds + 1
    assert 0 < run.usage.processor_seconds < math.inf
    assert 60 < run.usage.peak_megabytes < 300
    assert len(held) == 400_000_000


def test_a_command_that_fails_is_told_with_its_last_words() -> None:
    code = "import sys; print('much'); sys.exit('no such video')"
    with pytest.raises(CommandError, match="the part ended with exit code 1 and said: no such"):
        run_measured([PYTHON, "-c", code], what="the part")


def test_a_command_beyond_its_limit_is_ended_with_what_it_started() -> None:
    child = "import time; time.sleep(600)"
    code = f"import subprocess, sys; subprocess.call([sys.executable, '-c', {child!r}])"
    # The child writes to the same pipe: reading it ends when both have ended.
    with pytest.raises(TooSlowError, match="a command did not end in the 1 s that were left"):
        run_measured([PYTHON, "-c", code], what="a command", limit_seconds=1.0)


def test_a_watch_counts_the_work_since_it_was_made() -> None:
    watch = Watch()
    sum(range(10**6))
    usage = watch.usage()
    assert usage.seconds > 0
    assert usage.processor_seconds > 0
    assert usage.peak_megabytes > 1
