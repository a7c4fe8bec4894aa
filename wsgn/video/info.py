"""What a video says about itself."""

from __future__ import annotations

import re
from dataclasses import dataclass
from fractions import Fraction

from av.container import InputContainer
from av.video.frame import VideoFrame
from av.video.stream import VideoStream

from wsgn.errors import UsageError
from wsgn.video.errors import VideoError
from wsgn.video.orientation import orientation_of

# Rates outside are misreadings of a time base; a slideshow may have a frame in ten minutes.
_BELIEVABLE_RATES = (Fraction(1, 600), Fraction(1000))
# Shown duration of a frame when the file names no rate.
_DEFAULT_FRAME_SECONDS = 0.04

# AV_DISPOSITION_ATTACHED_PIC of libavformat.
_ATTACHED_PICTURE = 0x400
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


@dataclass(frozen=True)
class DeclaredDuration:
    """How long the file claims to be."""

    seconds: float
    # It is the container's: an audio stream may be what lasts so long.
    of_container: bool


def choose_stream(name: str, container: InputContainer, number: int | None) -> VideoStream:
    """Video stream `number` (0 is the first; cover art is not counted), by default the first."""
    streams = video_streams(container)
    if not streams:
        raise _no_video_stream(name, container)
    if number is not None and not 0 <= number < len(streams):
        existing = "; ".join(f"{i}: {_describe(stream)}" for i, stream in enumerate(streams))
        raise UsageError(f"{name} has no video stream {number}; it has {existing}.")
    stream = streams[number or 0]
    # PyAV has no codec context where libav has no decoder.
    if getattr(stream, "codec_context", None) is None:
        raise VideoError(
            "undecodable",
            f"{name}: there is no decoder for the video stream, or its header is damaged.",
        )
    return stream


def video_streams(container: InputContainer) -> list[VideoStream]:
    """Video streams without cover art."""
    return [stream for stream in container.streams.video if not _is_cover(stream)]


def audio_codec(container: InputContainer) -> str | None:
    """Codec of the first audio stream."""
    for stream in container.streams.audio:
        context = getattr(stream, "codec_context", None)
        return "unknown" if context is None else str(context.name)
    return None


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
    ticks = stream.duration or 0
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


def video_info(
    name: str, container: InputContainer, stream: VideoStream, first: VideoFrame
) -> VideoInfo:
    """Put together what the container, the stream and the first frame say."""
    orientation = orientation_of(first)
    size = (first.width, first.height)
    width, height = reversed(size) if orientation.transposed else size
    declared = declared_duration(container, stream)
    return VideoInfo(
        name=name,
        duration_seconds=None if declared is None else declared.seconds,
        frame_rate=frame_rate(stream),
        codec=stream.codec_context.codec.canonical_name,
        pixel_format=first.format.name,
        width=width,
        height=height,
        rotation_degrees=orientation.clockwise_degrees,
        num_video_streams=len(video_streams(container)),
        audio_codec=audio_codec(container),
    )


def _is_cover(stream: VideoStream) -> bool:
    return bool(stream.disposition.value & _ATTACHED_PICTURE)


def _describe(stream: VideoStream) -> str:
    context = getattr(stream, "codec_context", None)
    return "unknown codec" if context is None else f"{context.name} {stream.width}x{stream.height}"


def _no_video_stream(name: str, container: InputContainer) -> VideoError:
    others = []
    audio = audio_codec(container)
    if audio is not None:
        others.append(f"audio: {audio}")
    if container.streams.video:
        others.append("cover art only")
    if not others:
        # Many a text passes for subtitles.
        return VideoError("not_a_video", f"{name} is not a video.")
    return VideoError("no_video_stream", f"{name}: no video stream ({', '.join(others)}).")
