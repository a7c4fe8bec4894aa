"""What holds for every test, however the tests were started."""

from __future__ import annotations

import importlib.util
import signal


def pytest_configure() -> None:
    """Ctrl-C as at a prompt, and properties that hold however slow a machine is."""
    # A job in the background ignores it.
    if signal.getsignal(signal.SIGINT) is signal.SIG_IGN:
        signal.signal(signal.SIGINT, signal.default_int_handler)
    # A GPU machine may do without it.
    if importlib.util.find_spec("hypothesis") is not None:
        from hypothesis import HealthCheck, settings

        settings.register_profile(
            "any machine", deadline=None, suppress_health_check=[HealthCheck.too_slow]
        )
        settings.load_profile("any machine")
