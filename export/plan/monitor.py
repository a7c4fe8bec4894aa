"""What ends a build: the library asks after every step whether it may go on."""

from __future__ import annotations

from typing import Any

from wsgn.engines.tensorrt.bindings import Bindings
from wsgn.support.signals import HeldSignal


def make_monitor(bindings: Bindings, held: HeldSignal) -> Any:
    """An IProgressMonitor of the module that ends the build once a signal has come."""
    base: Any = bindings.IProgressMonitor

    class Monitor(base):  # type: ignore[misc]
        def __init__(self) -> None:
            # pybind11 wants the base's own constructor, not super().
            base.__init__(self)

        def phase_start(self, phase_name: str, parent_phase: str, num_steps: int) -> None:
            """The base has none, and would fail."""

        def phase_finish(self, phase_name: str) -> None:
            """The base has none, and would fail."""

        def step_complete(self, phase_name: str, step: int) -> bool:
            """Called from C++, also from other threads: nothing may be raised here."""
            return held.number is None

    return Monitor()
