"""Where the videos of a training or a prediction lie, and what the user says of them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import ClassVar, Final, Literal

from wsgn.config import CACHES
from wsgn.data.annotations import VideoAnnotation
from wsgn.errors import UsageError
from wsgn.features.layouts import AUTO, native_sampling
from wsgn.features.reader import TimeBase
from wsgn.manifest import Sampling

# As a frame rate: each video has its own.
NATIVE: Final = "native"

FrameRate = float | Literal["native"]


@dataclass(frozen=True, kw_only=True)
class VideoOptions:
    """A folder of video files."""

    folder: Path
    # Bytes of decoded videos that are kept; others are decoded again.
    memory_bytes: int = 4 << 30
    # A video that is missing is an error.
    only_present: ClassVar[bool] = False


@dataclass(frozen=True, kw_only=True)
class FeatureOptions:
    """Features made elsewhere: a folder in any layout, or the .npy of a W-TALC bundle.

    A text may be the address of a folder of feature files or packs.
    """

    path: Path | str
    # One of LAYOUTS, or AUTO to go by what lies on disk.
    layout: str = AUTO
    # The time base, in frames per second and in frames: all three, or none where the files hold it.
    frame_rate: FrameRate | None = None
    snippet_length: int | None = None
    snippet_stride: int | None = None
    # Which streams, in their order; empty means all.
    streams: tuple[str, ...] = ()
    # Leave out videos that have no features, with a notice, where that is an error else.
    skip_missing: bool = False
    # Leave them out of scores too, where they count as missed else; it implies `skip_missing`.
    only_present: bool = False

    def __post_init__(self) -> None:
        given = (self.frame_rate, self.snippet_length, self.snippet_stride)
        if None in given and given != (None, None, None):
            raise UsageError(
                "give all three of --frame-rate, --snippet-length and --snippet-stride: nothing in "
                "such features tells their time base (I3D features are often 25, 16 and 16)."
            )

    def time_base(self, videos: Sequence[VideoAnnotation]) -> TimeBase | None:
        """The time base of these videos' features; None where the files are to say it."""
        rate, length, stride = self.frame_rate, self.snippet_length, self.snippet_stride
        if rate is None or length is None or stride is None:
            return None
        if rate == NATIVE:
            return native_sampling(videos, snippet_length=length, snippet_stride=stride)
        return Sampling(frame_rate=rate, snippet_length=length, snippet_stride=stride)


@dataclass(frozen=True, kw_only=True)
class CacheOptions:
    """Where the features of a training are kept once they were read and checked."""

    # 'none', 'ram' or 'device'; None: on the device where that is a GPU, in RAM else.
    place: str | None = None
    # Bytes of features that are kept, in each process; others are read anew in every step.
    limit_bytes: int = 4 << 30

    def __post_init__(self) -> None:
        if self.place not in (None, *CACHES):
            raise UsageError(f"cache must be one of {', '.join(CACHES)}, got '{self.place}'.")
        if self.limit_bytes < 0:
            raise UsageError(f"limit_bytes must not be negative, got {self.limit_bytes}.")


DataOptions = VideoOptions | FeatureOptions
