"""The rate at which a tool counts frames."""

from __future__ import annotations

from wsgn.errors import UsageError
from wsgn.interchange.exported import ExportedVideo
from wsgn.support.terminal import printable

_DECIMALS = 6
_MOST = 1000.0


def require_rate(video: ExportedVideo, why: str) -> float:
    """Frames per second of a video. Raises `UsageError` where nobody knows them."""
    if video.frame_rate is None:
        raise UsageError(
            f"{why}, and nothing says the rate of '{printable(video.name)}': give --videos with "
            "the folder of the videos, or --frame-rate."
        )
    rate = round(video.frame_rate, _DECIMALS)
    if not 0 < rate <= _MOST:
        raise UsageError(
            f"'{printable(video.name)}' is said to have {video.frame_rate:g} frames per second: "
            "give --frame-rate."
        )
    return rate
