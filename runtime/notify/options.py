"""What a run is asked to send, and to whom."""

from __future__ import annotations

from dataclasses import dataclass, field

from .addresses import Address


@dataclass(frozen=True, kw_only=True)
class NotifyOptions:
    """Where notifications go, and which."""

    addresses: tuple[Address, ...]
    # Signs what goes to web servers.
    secret: bytes | None = field(default=None, repr=False)
    # Of final segments; with it no `start` is sent.
    minimum_score: float | None = None
    # False where a `start` may be taken back.
    sends_starts: bool = True
    # Whether brokers keep what each source does: nobody would take away what is kept of files.
    keeps_states: bool = True
