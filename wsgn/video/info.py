"""What a video says about itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wsgn.video.orientation import orientation_of
from wsgn.video.streams import audio_codec, video_streams

# Rates outside are misreadings of a time base; a slideshow may have a frame in ten minutes.
_BELIEVABLE_RATES = (Fraction(1, 600), Fraction(1000))
# Shown duration of a frame when the file names no rate.
_DEFAULT_FRAME_SECONDS = 0.04

# Recordings whose video and sound are stamped by different clocks differ by years.
_MAXIMUM_OFFSET_SECONDS = 86_400.0
_CLOCK = re.compile(r"(\d+):(\d+):(\d+(?:\.\d+)?)")


@dataclass(frozen=True)
class VideoInfo:
    """What is known of a video before it is read."""

    # Path or URL, without credentials.
    name: str
    # As declared; None where the format declares none (pipes, raw streams, live).
    duration_seconds: float | None
    # Average frames per second as declared.
    frame_rate: float | None
    codec: str
    pixel_format: str
    # Pixels of the upright frame.
    width: int
    height: int
    # Clockwise turn that makes the stored frame upright: 0, 90, 180 or 270.
    rotation_degrees: int
    # Without cover art.
    num_video_streams: int
    audio_codec: str | None
    # From the file's beginning, as a player counts, to time 0: over 0 where the sound begins first.
    start_offset_seconds: float = 0.0


@dataclass(frozen=True)
class DeclaredDuration:
    """How long the file claims to be."""

    seconds: float
    # It is the container's: an audio stream may be what lasts so long.
    of_container: bool


def frame_rate(stream: VideoStream) -> float | None:
    """Average rate of the stream, when it is believable."""
    low, high = _BELIEVABLE_RATES
    for rate in (stream.average_rate, stream.guessed_rate):
        if rate is not None and low <= rate <= high:
            return float(rate)
    return None


def frame_seconds(stream: VideoStream) -> float:
    """How long a frame without a duration of its own is shown."""
    rate = frame_rate(stream)
    return _DEFAULT_FRAME_SECONDS if rate is None else 1 / rate


def declared_duration(container: InputContainer, stream: VideoStream) -> DeclaredDuration | None:
    """Duration of the stream as the file claims it."""
    # Matroska has durations of the whole alone; of a stream that begins late libav says the same.
    ticks = 0 if container.format.name.startswith("matroska") else stream.duration or 0
    if container.format.name == "avi":
        # libav shortens the duration of a cut AVI to what it guesses from the file's size; the
        # header's count of frames, one tick each, remains.
        ticks = max(ticks, stream.frames)
    if ticks > 0 and stream.time_base:
        return DeclaredDuration(float(ticks * stream.time_base), False)
    tag = _CLOCK.match(stream.metadata.get("DURATION", ""))
    if tag:
        hours, minutes, seconds = (float(part) for part in tag.groups())
        return DeclaredDuration(hours * 3600 + minutes * 60 + seconds, False)
    if container.duration is not None and container.duration > 0:
        return DeclaredDuration(container.duration / 1e6, True)
    return None


def start_offset_seconds(container: InputContainer, origin_seconds: float | None) -> float:
    """From the container's beginning to time 0, which lies at `origin_seconds` of its clock."""
    begin = container.start_time
    if begin is None or origin_seconds is None:
        return 0.0
    offset = origin_seconds - begin / 1e6
    # Streams whose clocks have nothing to do with each other begin at no common time.
    return offset if 0 < offset < _MAXIMUM_OFFSET_SECONDS else 0.0


def video_info(
    name: str,
    container: InputContainer,
    stream: VideoStream,
    first: VideoFrame,
    *,
    rate: float | None,
    origin_seconds: float | None,
) -> VideoInfo:
    """Put together what the container, the stream and the first frame say."""
    orientation = orientation_of(first)
    size = (first.width, first.height)
    width, height = reversed(size) if orientation.transposed else size
    declared = declared_duration(container, stream)
    return VideoInfo(
        name=name,
        duration_seconds=None if declared is None else declared.seconds,
        frame_rate=rate,
        codec=stream.codec_context.codec.canonical_name,
        pixel_format=first.format.name,
        width=width,
        height=height,
        rotation_degrees=orientation.clockwise_degrees,
        num_video_streams=len(video_streams(container)),
        audio_codec=audio_codec(container),
        start_offset_seconds=start_offset_seconds(container, origin_seconds),
    )
