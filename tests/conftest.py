"""What holds for every test, however the tests were started."""

from __future__ import annotations

import importlib.util
import os
import signal

import ray_nodes
from places import ROOT

import wsgn  # noqa: F401 (before ONNX Runtime, whose telemetry it switches off)


def pytest_configure() -> None:
    """Ctrl-C as at a prompt, and properties that hold however slow a machine is."""
    # Kept for the next run of the tests, and not below the home folder.
    os.environ.setdefault("TRITON_CACHE_DIR", str(ROOT / ".pytest_cache" / "triton"))
    # Whichever test comes first in a process; those of pytest-xdist get them from this one.
    for name, value in ray_nodes.SETTINGS.items():
        os.environ.setdefault(name, value)
    # A job in the background ignores it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # So does one that nohup started.
    if hasattr(signal, "SIGHUP") and signal.getsignal(signal.SIGHUP) is signal.SIG_IGN:
        signal.signal(signal.SIGHUP, signal.SIG_DFL)
    # A GPU machine may do without it.
    if importlib.util.find_spec("hypothesis") is not None:
        from hypothesis import HealthCheck, settings

        slow = settings(deadline=None, suppress_health_check=[HealthCheck.too_slow])
        # Examples follow from each test, so that who changes one thing is not told of another.
        # Others than those: pytest --hypothesis-profile random
        settings.register_profile("any machine", slow, derandomize=True)
        settings.register_profile("random", slow)
        settings.load_profile("any machine")
