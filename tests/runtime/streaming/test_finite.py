"""The guard against an engine whose outputs are not numbers."""

from __future__ import annotations

import numpy as np
import pytest

from wsgn.engines.engine import EngineOutputs
from wsgn.errors import EngineError
from wsgn.runtime.streaming.finite import FiniteGuard


def outputs(num_good: int, num_bad: int = 0) -> EngineOutputs:
    logits = np.zeros((num_good + num_bad, 2), np.float32)
    logits[num_good:, 1] = np.inf
    return EngineOutputs(selection_logits=logits, class_probabilities=np.zeros_like(logits))


def test_the_guard_judges_while_a_long_source_plays() -> None:
    guard = FiniteGuard("engine")
    assert guard.usable(outputs(100)).all()
    assert not guard.usable(outputs(0, 1)).any()
    assert not guard.usable(outputs(0, 1)).any()
    with pytest.raises(EngineError, match="3 of 203 snippets"):
        guard.usable(outputs(100, 1))


def test_it_judges_from_two_hundred_snippets_on() -> None:
    guard = FiniteGuard("engine")
    guard.usable(outputs(196, 3))
    with pytest.raises(EngineError, match="3 of 200 snippets"):
        guard.usable(outputs(1))


def test_a_hundredth_is_not_too_much() -> None:
    guard = FiniteGuard("engine")
    guard.usable(outputs(198, 2))
    guard.judge()
    with pytest.raises(EngineError, match="3 of 201 snippets"):
        guard.usable(outputs(0, 1))
