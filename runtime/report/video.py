"""The video of a page: by its path where a browser plays it, else as a small copy inside the page.

What browsers play was tried with Chromium, and is what MDN's tables name for all of them.
"""

from __future__ import annotations

import base64
import io
import os
import urllib.parse
from dataclasses import dataclass, replace
from fractions import Fraction
from pathlib import Path

import av
from av.error import FFmpegError

from wsgn.errors import InputError
from wsgn.remote.addresses import is_address, shown
from wsgn.support.mirrors import mirror_of
from wsgn.video import FrameGrid, SampledFrame, VideoReader
from wsgn.video.info import VideoInfo
from wsgn.video.source import open_source

# By the container, the codecs in it that browsers play, and their pixels.
_MP4 = {"h264", "av1", "libdav1d", "vp9"}
_PLAYED = {
    "mov,mp4,m4a,3gp,3g2,mj2": _MP4,
    "matroska,webm": {*_MP4, "vp8"},
}
_PIXELS = {"yuv420p", "yuvj420p"}
_TEN_BITS = {"yuv420p10le"}
# The copy: longest side in pixels, pictures a second, and how hard libx264 presses it.
_PROXY_PIXELS = 320
_PROXY_RATE = 10
_PROXY_CRF = "32"
# A video that is no larger is put into a page as it is, where it is to be inside.
_MOST_AS_IT_IS_BYTES = 4 << 20
# More than this is not put into a page, but beside it.
MOST_INSIDE_BYTES = 50 << 20


@dataclass(frozen=True, kw_only=True)
class ShownVideo:
    """Where a page finds its video."""

    # As a URL; None where there is none to be played.
    address: str | None = None
    # Bytes of a copy that has to lie beside the page, and its file name there.
    beside: bytes | None = None
    beside_name: str = ""
    # What the player counts at time 0 of the results.
    offset_seconds: float = 0.0
    frame_rate: float | None = None
    duration_seconds: float | None = None
    # What is to be said about it, as a sentence.
    note: str = ""


NOT_KEPT = ShownVideo(note="The video came from a stream, and is not kept.")


def shown_video(
    source: Path | str | None, page: Path, *, embed: bool = False, copies: bool = True
) -> ShownVideo:
    """What a page, to be written at `page`, shows of a video.

    `embed` puts it inside; without `copies`, which take their time, none is made.
    None, and whatever cannot be read, gives lanes alone and a sentence.
    """
    if source is None:
        return ShownVideo(note="No video was found for these results: --videos names its folder.")
    if isinstance(source, str) and is_address(source):
        return _out_of_reach(f"{shown(source)} is nothing that browsers open")
    if not isinstance(source, Path):
        return NOT_KEPT
    if not embed and mirror_of(page) is not None:
        return _out_of_reach("The video is on another disk than this page")
    try:
        opened = open_source(source)
        container = opened.container.format.name
        opened.container.close()
        with VideoReader(source, FrameGrid(1.0, 8, 8)) as reader:
            info = reader.info
    except (InputError, OSError, ValueError) as error:
        return ShownVideo(note=f"The video cannot be shown: {error}")
    small = embed and source.stat().st_size <= _MOST_AS_IT_IS_BYTES
    if is_played(container, info) and (small or not embed):
        return ShownVideo(
            address=_inside(source.read_bytes()) if small else relative_address(source, page),
            offset_seconds=info.start_offset_seconds,
            frame_rate=info.frame_rate,
            duration_seconds=info.duration_seconds,
        )
    if not copies:
        return ShownVideo(
            duration_seconds=info.duration_seconds,
            note=f"Browsers do not play {_kind(container, info)}: the lanes work without it.",
        )
    return _with_proxy(source, info, page, why=_why(container, info, embed=embed))


def _out_of_reach(why: str) -> ShownVideo:
    return ShownVideo(note=f"{why}: the lanes work without it.")


def is_played(container: str, info: VideoInfo) -> bool:
    """Whether browsers play it."""
    pixels = _PIXELS if info.codec in ("h264", "vp8") else _PIXELS | _TEN_BITS
    return info.codec in _PLAYED.get(container, ()) and info.pixel_format in pixels


def _why(container: str, info: VideoInfo, *, embed: bool) -> str:
    if is_played(container, info) and embed:
        return "A small copy without sound, inside this page."
    what = _kind(container, info)
    return f"A small copy without sound, inside this page: browsers do not play {what}."


def _kind(container: str, info: VideoInfo) -> str:
    """What of a video keeps it from being played, in a word or three."""
    if container not in _PLAYED and info.codec in _MP4:
        return f"{info.codec} in {container.split(',')[0]} files"
    if info.codec in _MP4:
        return f"{info.codec} with pixels of {info.pixel_format}"
    return info.codec


def _with_proxy(source: Path, info: VideoInfo, page: Path, *, why: str) -> ShownVideo:
    known = ShownVideo(frame_rate=_PROXY_RATE, duration_seconds=info.duration_seconds)
    try:
        data = proxy(source, info)
    except (InputError, FFmpegError, OSError, ValueError) as error:
        return ShownVideo(
            duration_seconds=info.duration_seconds,
            note=f"Browsers do not play {info.codec}, and no copy could be made ({error}): the "
            "lanes work without it.",
        )
    if len(data) <= MOST_INSIDE_BYTES:
        return replace(known, address=_inside(data), note=why)
    name = f"{page.stem}.small.mp4"
    return replace(
        known,
        address=relative_address(page.with_name(name), page),
        beside=data,
        beside_name=name,
        note=why.replace("inside", "beside"),
    )


def _inside(data: bytes) -> str:
    """The bytes as an address; a browser looks itself what they are."""
    return f"data:video/mp4;base64,{base64.b64encode(data).decode()}"


def proxy(source: Path, info: VideoInfo) -> bytes:
    """A small copy as MP4, whose time 0 is the first frame. Raises what PyAV and readers raise."""
    scale = min(1.0, _PROXY_PIXELS / max(info.width, info.height))
    width, height = (max(2, round(size * scale / 2) * 2) for size in (info.width, info.height))
    contents = io.BytesIO()
    with (
        VideoReader(source, FrameGrid(_PROXY_RATE, height, width)) as reader,
        av.open(contents, "w", format="mp4") as output,
    ):
        stream = output.add_stream("libx264", rate=_PROXY_RATE)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.options = {"crf": _PROXY_CRF, "preset": "veryfast"}
        # A keyframe each two seconds, or seeking would have to decode from far before.
        stream.gop_size = 2 * _PROXY_RATE
        stream.time_base = Fraction(1, _PROXY_RATE)
        for item in reader:
            if isinstance(item, SampledFrame):
                frame = av.VideoFrame.from_ndarray(item.image, format="rgb24")
                frame.pts, frame.time_base = item.index, Fraction(1, _PROXY_RATE)
                output.mux(stream.encode(frame))
        output.mux(stream.encode(None))
    return contents.getvalue()


def relative_address(target: Path, page: Path) -> str:
    """The address of a file as a page at `page` links it: relative where there is such a path."""
    target, folder = Path(os.path.abspath(target)), Path(os.path.abspath(page)).parent  # noqa: PTH100
    try:
        path = Path(os.path.relpath(target, folder)).as_posix()
    # Another drive.
    except ValueError:
        return target.as_uri()
    # Bytes that are no text as they are; and a name with a colon is no scheme behind a dot.
    quoted = urllib.parse.quote(os.fsencode(path))
    return quoted if quoted.startswith(".") else f"./{quoted}"
