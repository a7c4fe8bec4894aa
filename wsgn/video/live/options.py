"""What may be chosen of reading live sources."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from wsgn.errors import UsageError
from wsgn.video.grid import MAXIMUM_FRAME_RATE, MINIMUM_FRAME_RATE

RTSP_TRANSPORTS = ("tcp", "udp")
DROPS = ("oldest", "never")


@dataclass(frozen=True, kw_only=True)
class LiveOptions:
    """How long to wait for sources that film now, and what to leave out when they are late."""

    # Silence after which a source counts as lost.
    timeout_seconds: float = 10.0
    open_timeout_seconds: float = 10.0
    # Attempts in a row without a picture; None: for ever.
    reconnect: int | None = None
    # One of RTSP_TRANSPORTS.
    rtsp_transport: str = "tcp"
    # One of DROPS: what has waited longest when a source is late, or nothing.
    drop: str = "oldest"
    # A source that is later than this is late.
    max_lag_seconds: float = 3.0
    # Options of libavformat, over those that are set here.
    source_options: Mapping[str, str] = field(default_factory=dict)
    # Index of the video stream; None takes the first.
    stream: int | None = None
    # Frames per second, for sources whose own times are missing or wrong.
    input_rate: float | None = None
    # Media time at which reading ends.
    end_seconds: float | None = None

    def __post_init__(self) -> None:
        for name in ("timeout_seconds", "open_timeout_seconds", "max_lag_seconds"):
            require_seconds(name, getattr(self, name))
        require_choice("rtsp_transport", self.rtsp_transport, RTSP_TRANSPORTS)
        require_choice("drop", self.drop, DROPS)
        if self.reconnect is not None and self.reconnect < 0:
            raise UsageError(f"reconnect must not be negative, got {self.reconnect}.")
        rate = self.input_rate
        if rate is not None and not MINIMUM_FRAME_RATE <= rate <= MAXIMUM_FRAME_RATE:
            raise UsageError(
                f"the input rate must be {MINIMUM_FRAME_RATE:g} to {MAXIMUM_FRAME_RATE:g} frames "
                f"per second, got {rate}."
            )
        if self.end_seconds is not None:
            require_seconds("end_seconds", self.end_seconds)


def require_seconds(name: str, seconds: float) -> None:
    """Raise `UsageError` for what is not a positive, finite time."""
    if not 0 < seconds < float("inf"):
        raise UsageError(f"{name} must be a positive number of seconds, got {seconds}.")


def require_choice(name: str, value: str, choices: tuple[str, ...]) -> None:
    """Raise `UsageError` for what is none of the choices."""
    if value not in choices:
        raise UsageError(f"{name} must be {' or '.join(choices)}, got '{value}'.")
