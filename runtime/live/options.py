"""What may be chosen of a run over live sources."""

from __future__ import annotations

from dataclasses import dataclass, field

from wsgn.errors import UsageError
from wsgn.localization.online.alarms import WINDOW_SECONDS
from wsgn.video.live.options import LiveOptions

from ..streaming.rules import DetectorOptions


def live_detector_options() -> DetectorOptions:
    """What is looked for where nothing ends.

    Sources change over days: scores that look back over more than this would not get over it.
    """
    return DetectorOptions(scores="window", window_seconds=WINDOW_SECONDS)


@dataclass(frozen=True, kw_only=True)
class StreamOptions:
    """What a user may choose of a run over live sources; the same for all of them."""

    detector: DetectorOptions = field(default_factory=live_detector_options)
    live: LiveOptions = field(default_factory=LiveOptions)
    # Most snippets in one call of the engine. What waits is sent at once, however few.
    batch_size: int = 16

    def __post_init__(self) -> None:
        if self.batch_size < 1:
            raise UsageError(f"batch_size must be at least 1, got {self.batch_size}.")
