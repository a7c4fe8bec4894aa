"""What reading a live source yields beside gaps and notices."""

from __future__ import annotations

from dataclasses import dataclass
from fractions import Fraction

from av.video.frame import VideoFrame

from wsgn.video.grid import SampledFrame


@dataclass(frozen=True, eq=False, kw_only=True)
class LiveFrame(SampledFrame):
    """The frame at one grid point of the media time of a live source."""

    # `time.monotonic()` when the picture came after which this grid point could be given out.
    arrival: float
    # Wall clock at its media time.
    unix_seconds: float


@dataclass(frozen=True, kw_only=True)
class Status:
    """A live source goes away, comes back, or is late."""

    # waiting (it never gave a picture) | lost | restored | late
    state: str
    # refused | unreachable | name_unknown | no_answer | unauthorized | not_found | rejected |
    # timeout | ended | broken | storm | undecodable | no_video_stream | late; None when restored.
    cause: str | None
    # Media time.
    seconds: float
    unix_seconds: float
    # Of waiting and lost: number of the attempt that comes next; of restored: of the one that
    # succeeded.
    attempt: int
    # Until the next attempt.
    retry_seconds: float | None
    # Of restored: how long there was no picture.
    lost_seconds: float | None
    epoch: int
    # A sentence for people, without the source's name.
    message: str


@dataclass(frozen=True, kw_only=True)
class Skipped:
    """Packets that were left out undecoded, because the source was late."""

    # Media time.
    from_seconds: float
    to_seconds: float
    pictures: int


@dataclass(frozen=True, kw_only=True)
class LivePosition:
    """How far a live source was read: what a later run goes on from."""

    # End of the last picture, and the wall clock there.
    media_seconds: float
    unix_seconds: float
    epoch: int


@dataclass(frozen=True, eq=False, kw_only=True)
class LastPicture:
    """The newest picture of a live source, as it was decoded."""

    frame: VideoFrame
    # Shape of its pixels, width to height; None: square.
    pixel_aspect: Fraction | None
    # How late it came, beside the fastest ones.
    lag_seconds: float
