"""OpenTimelineIO: a timeline of the whole video with a marker for each segment, and edit lists.

https://opentimelineio.readthedocs.io
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from wsgn.errors import MissingExtraError
from wsgn.interchange.exported import ExportedVideo, file_names, labels_of, media_name
from wsgn.interchange.rates import require_rate

SUFFIX = ".otio"
# The colours that OpenTimelineIO knows, those that differ most first.
_COLOURS = ("GREEN", "BLUE", "RED", "YELLOW", "PURPLE", "CYAN", "ORANGE", "MAGENTA", "PINK")


def otio_files(videos: Sequence[ExportedVideo]) -> dict[str, str]:
    """A timeline per video. Raises `MissingExtraError` and `UsageError`."""
    otio = load_otio()
    colours = colours_of(videos)
    names = file_names(videos, SUFFIX)
    return {
        name: otio.adapters.write_to_string(_timeline(otio, video, colours), "otio_json")
        for name, video in zip(names, videos, strict=True)
    }


def load_otio() -> Any:
    """OpenTimelineIO. Raises `MissingExtraError`."""
    try:
        import opentimelineio
    except ImportError as error:
        raise MissingExtraError("writing OpenTimelineIO and edit lists", "interchange") from error
    return opentimelineio


def colours_of(videos: Sequence[ExportedVideo]) -> dict[str, str]:
    """The same colour for a class in all videos."""
    return {label: _COLOURS[i % len(_COLOURS)] for i, label in enumerate(labels_of(videos))}


def frame_range(otio: Any, start_seconds: float, end_seconds: float, rate: float) -> Any:
    """The frames nearest to both times, at least one."""
    start = round(start_seconds * rate)
    length = max(1, round(end_seconds * rate) - start)
    time = otio.opentime
    return time.TimeRange(time.RationalTime(start, rate), time.RationalTime(length, rate))


def reference(otio: Any, video: ExportedVideo, rate: float) -> Any:
    """Where the file is."""
    media = video.address or video.media
    if not media:
        return otio.schema.MissingReference(name=video.name)
    address = Path(media).as_uri() if video.is_on_disk else media
    return otio.schema.ExternalReference(address, frame_range(otio, 0.0, _length(video), rate))


def _length(video: ExportedVideo) -> float:
    """Seconds of the file, or as much of it as is known."""
    ends = [one.end_seconds for one in video.played()]
    declared = (video.duration_seconds or 0.0) + video.start_offset_seconds
    return max([declared, *ends])


def _timeline(otio: Any, video: ExportedVideo, colours: dict[str, str]) -> Any:
    schema = otio.schema
    rate = require_rate(video, "a timeline counts frames")
    clip = schema.Clip(
        name=media_name(video.media) or video.name,
        media_reference=reference(otio, video, rate),
        source_range=frame_range(otio, 0.0, _length(video), rate),
    )
    for one in video.played():
        clip.markers.append(
            schema.Marker(
                name=one.label,
                marked_range=frame_range(otio, one.start_seconds, one.end_seconds, rate),
                color=colours[one.label],
                metadata={"wsgn": {"score": round(one.score, 6)}},
            )
        )
    timeline = schema.Timeline(name=video.name)
    track = schema.Track(name="V1", kind=schema.TrackKind.Video, children=[clip])
    timeline.tracks.append(track)
    return timeline
