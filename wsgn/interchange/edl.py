"""Edit decision lists (CMX 3600): each segment an event, behind each other, as a first cut.

https://github.com/OpenTimelineIO/otio-cmx3600-adapter
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from wsgn.errors import MissingExtraError, UsageError
from wsgn.interchange.exported import ExportedVideo, PlayedSegment, file_names, media_name
from wsgn.interchange.otio import colours_of, frame_range, load_otio, reference
from wsgn.interchange.rates import require_rate
from wsgn.support.terminal import printable
from wsgn.video.files import without_video_suffix

SUFFIX = ".edl"
_ADAPTER = "cmx_3600"
# Frames have two digits, and a day of 24 hours.
_DAY_SECONDS = 86_400.0
_REEL_LETTERS = 8


def edl_files(videos: Sequence[ExportedVideo]) -> dict[str, str]:
    """A list per video. Raises `MissingExtraError` and `UsageError`."""
    otio = load_otio()
    if _ADAPTER not in otio.adapters.available_adapter_names():
        raise MissingExtraError("writing edit lists", "interchange")
    colours = colours_of(videos)
    names = file_names(videos, SUFFIX)
    return {name: _list(otio, video, colours) for name, video in zip(names, videos, strict=True)}


def _list(otio: Any, video: ExportedVideo, colours: dict[str, str]) -> str:
    rate = _timecode_rate(otio, video)
    schema = otio.schema
    track = schema.Track(name="V", kind=schema.TrackKind.Video)
    for one in video.played():
        if one.end_seconds >= _DAY_SECONDS:
            raise UsageError(
                f"'{printable(video.name)}' has a segment at {one.start_seconds:.0f} s, and an "
                "edit list counts to 24 hours: export it with --to otio."
            )
        track.append(_event(otio, video, one, rate, colours[one.label]))
    timeline = schema.Timeline(name=" ".join(printable(video.name).split()))
    timeline.tracks.append(track)
    text: str = otio.adapters.write_to_string(timeline, _ADAPTER, rate=rate)
    return text


def _event(otio: Any, video: ExportedVideo, one: PlayedSegment, rate: float, colour: str) -> Any:
    found = frame_range(otio, one.start_seconds, one.end_seconds, rate)
    label = " ".join(one.label.split())
    name = " ".join(printable(media_name(video.media) or video.name).split())
    clip = otio.schema.Clip(
        name=name,
        media_reference=reference(otio, video, rate),
        source_range=found,
        # As comments, since a marker's name is written in capitals.
        metadata={
            _ADAPTER: {
                "reel": _reel(name),
                "comments": [f"ACTION: {label}", f"SCORE: {one.score:.3f}"],
            }
        },
    )
    place = otio.opentime.TimeRange(found.start_time, otio.opentime.RationalTime(0, rate))
    clip.markers.append(otio.schema.Marker(name=label, marked_range=place, color=colour))
    return clip


def _reel(name: str) -> str:
    """At most eight of what a list may have there; without any what stands for no reel."""
    return re.sub("[^A-Za-z0-9]", "", without_video_suffix(name))[:_REEL_LETTERS] or "AX"


def _timecode_rate(otio: Any, video: ExportedVideo) -> float:
    rate = require_rate(video, "an edit list counts frames")
    nearest: float = otio.opentime.RationalTime.nearest_smpte_timecode_rate(rate)
    if abs(nearest - rate) > 0.01:
        raise UsageError(
            f"'{printable(video.name)}' has {rate:g} frames per second, which timecodes do not "
            "know: give --frame-rate with the rate of your editor's timeline, such as 25."
        )
    return nearest
