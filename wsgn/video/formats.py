"""What a container format knows about time, and what of it libavformat only guesses."""

from __future__ import annotations

from dataclasses import dataclass

from av.container import InputContainer

# AVFMT_NOTIMESTAMPS of libavformat: elementary streams, for which it invents 25 frames per second.
_NO_TIMESTAMPS = 0x80
# Demuxers of single or joined images have no such flag, and invent the same rate.
_IMAGE_FORMATS = ("image2", "image2pipe")
_IMAGE_PIPE_SUFFIX = "_pipe"
# AVI numbers its chunks in the order of decoding, and has nothing else.
_WITHOUT_PTS = ("avi",)
# Demuxers in which a seek leads to the frame that it should. Others guess other times behind one
# (ASF), show other frames (WTV, filmstrips) or find nothing any more (SWF, RoQ).
_WITH_SEEKS = (
    *("mov,mp4,m4a,3gp,3g2,mj2", "matroska,webm", "avi", "flv", "ogg", "mxf", "nut", "rm", "gxf"),
    *("dv", "gif", "apng", "ivf", "yuv4mpegpipe", "hls", "concat"),
    *("h264", "hevc", "m4v", "mpegvideo", "mjpeg", "obu"),
)
# Clocks of 33 bits that wrap within a day and may begin anew anywhere, without an index.
_MPEG_FORMATS = ("mpegts", "mpeg")
_MPEG_CLOCK_TICKS = 1 << 33


@dataclass(frozen=True, kw_only=True)
class FormatClock:
    """How far the timestamps of a container can be believed."""

    # The file has times at all; otherwise libavformat counts frames at a rate of its own.
    has_times: bool = True
    # Presentation times are stored, not guessed from decoding times.
    has_pts: bool = True
    # Ticks after which the clock begins anew; None where it does not in any file.
    wrap_ticks: int | None = None
    # A place that was sought has the times that reading up to it gives.
    seeks: bool = True
    # Only some frames carry a timestamp; what is between them is guessed by the demuxer.
    sparse: bool = False
    # A declared end stands in a header, and was not computed from the timestamps themselves.
    declares_end: bool = True


def format_clock(container: InputContainer, *, fragmented: bool) -> FormatClock:
    """The clock of an open container; `fragmented` says that an MP4 has its index in pieces."""
    name = container.format.name
    is_images = name in _IMAGE_FORMATS or name.endswith(_IMAGE_PIPE_SUFFIX)
    has_times = not (int(container.format.flags) & _NO_TIMESTAMPS or is_images)
    is_mpeg = name in _MPEG_FORMATS
    return FormatClock(
        has_times=has_times,
        has_pts=name not in _WITHOUT_PTS,
        wrap_ticks=_MPEG_CLOCK_TICKS if is_mpeg else None,
        seeks=name in _WITH_SEEKS,
        sparse=name == "mpeg",
        declares_end=has_times and not is_mpeg and not fragmented,
    )
