"""A video's segments as other tools are given them: in a player's time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from wsgn.localization.segments import Segment
from wsgn.support.file_names import file_stems


@dataclass(frozen=True, kw_only=True)
class PlayedSegment:
    """A segment in the time of a player, which counts from the file's beginning."""

    label: str
    start_seconds: float
    end_seconds: float
    score: float


@dataclass(frozen=True, kw_only=True)
class ExportedVideo:
    """What an export is told of one video."""

    # As results call it.
    name: str
    # In seconds from the first frame.
    segments: tuple[Segment, ...]
    # Path, address or name of the file; empty where nobody knows.
    media: str = ""
    # What the tool is to call it, word for word; empty leaves that to the format.
    address: str = ""
    # From the file's beginning to the first frame.
    start_offset_seconds: float = 0.0
    duration_seconds: float | None = None
    # Pictures per second; None where nobody knows.
    frame_rate: float | None = None

    @property
    def is_on_disk(self) -> bool:
        """Whether it is known where the file lies on this machine."""
        return not self.address and Path(self.media).is_absolute()

    def played(self) -> tuple[PlayedSegment, ...]:
        """The segments by their start."""
        offset = self.start_offset_seconds
        return tuple(
            PlayedSegment(
                label=one.label,
                start_seconds=max(0.0, one.start_seconds + offset),
                end_seconds=max(0.0, one.end_seconds + offset),
                score=one.score,
            )
            for one in sorted(self.segments, key=lambda one: (one.start_seconds, one.label))
        )


def labels_of(videos: Iterable[ExportedVideo]) -> tuple[str, ...]:
    """All labels of an export, sorted: what a tool offers for each of its videos."""
    return tuple(sorted({one.label for video in videos for one in video.segments}))


def media_name(media: str) -> str:
    """The name of the file that a path or an address ends in."""
    return media.replace("\\", "/").rpartition("/")[2]


def file_names(videos: Sequence[ExportedVideo], suffix: str) -> list[str]:
    """Relative paths of one file per video, all different, none of which leads out of a folder."""
    return [f"{stem}{suffix}" for stem in file_stems(video.name for video in videos)]
