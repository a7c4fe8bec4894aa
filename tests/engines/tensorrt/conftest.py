"""A stand-in for the GPU and its library, under the sessions of a test."""

from __future__ import annotations

import pytest
from stand_in import Machine, install


@pytest.fixture
def machine(monkeypatch: pytest.MonkeyPatch) -> Machine:
    """A machine that sessions find."""
    machine = Machine()
    install(machine, monkeypatch)
    return machine
