"""A part of a video as a new MP4, from its first frame to its last and no other."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.codec.codec import UnknownCodecError
from av.container import OutputContainer
from av.video.frame import VideoFrame
from av.video.reformatter import ColorRange, Colorspace, VideoReformatter
from av.video.stream import VideoStream

from wsgn.errors import InputError, OutputError
from wsgn.support.arrays import UInt8Array
from wsgn.video.grid import FrameGrid
from wsgn.video.opened_video import OpenedVideo
from wsgn.video.placed_frames import PlacedFrame, PlacedFrames
from wsgn.video.resize import Scaler

from .part import CutPart, Part
from .sound import Sound, open_sound

# What burns something into an (H, W, 3) uint8 RGB image: it gets the time of the video at which the
# image is shown, and where the clip ends.
Draw = Callable[[UInt8Array, float, float], UInt8Array]

ENDING = ".mp4"
# Ticks of MPEG: a whole number of them is a frame at every usual rate.
_TICK = Fraction(1, 90_000)
_CODEC = "libx264"
# Without frames that lie before those they come after: their times then begin at 0 and end where
# the last one does, in every player. And with durations, that of a last still is kept.
_CODEC_OPTIONS = {"preset": "veryfast", "crf": "20", "bf": "0", "flags": "+frame_duration"}
_KEYFRAME_SECONDS = 2.0
_USUAL_RATE = 25.0
_RATE_DENOMINATOR = 1001
# AVColorPrimaries, AVColorTransferCharacteristic and AVColorSpace: BT.709.
_BT709 = 1
# AVCOL_*_UNSPECIFIED of libavutil.
_UNSPECIFIED = 2


def write_exact(source: Path, part: Part, path: Path, draw: Draw | None = None) -> CutPart:
    """Write the part of a video into a file, upright, with square pixels and its sound.

    Raises `InputError` where there is no frame in it, `OutputError` where it cannot be written.
    """
    with OpenedVideo(source, None) as video:
        placed = PlacedFrames(video, part.start_seconds, part.end_seconds)
        frames = iter(placed)
        first = next(frames, None)
        if first is None:
            raise InputError(
                f"{source} shows nothing from {part.start_seconds:.2f} to "
                f"{part.end_seconds:.2f} s: are these the results of another video?"
            )
        with open_sound(source, video, first.seconds) as sound, _opened(path) as output:
            clip = _Encoder(output, video, first, sound)
            sound.add_stream(output, part.end_seconds - first.seconds)
            clip.draw, clip.end_seconds = draw, min(part.end_seconds, _length(video))
            clip.add(first)
            for frame in frames:
                clip.add(frame)
            return clip.finish(placed.num_failures)


def _opened(path: Path) -> OutputContainer:
    # The name is that of a temporary file: its ending says nothing.
    return av.open(str(path), "w", format="mp4", options={"movflags": "+faststart"})


class _Encoder:
    """Encodes the frames of one part, and the sound along with them."""

    def __init__(
        self,
        output: OutputContainer,
        video: OpenedVideo,
        first: PlacedFrame,
        sound: Sound,
    ) -> None:
        self._output = output
        self._video = video
        self.draw: Draw | None = None
        # Of the whole clip, for what is drawn.
        self.end_seconds = 0.0
        self._begin = first.seconds
        self._end = first.seconds
        self._num_frames = 0
        grid = _grid(video)
        self._scaler = Scaler(grid, video.pixel_aspect)
        self._reformatter = VideoReformatter()
        self._stream = _video_stream(output, video, first.frame, grid)
        self._sound = sound

    def add(self, placed: PlacedFrame) -> None:
        """The next frame, and the sound up to its end."""
        image = self._scaler.image(placed.frame)
        if self.draw is not None:
            image = self.draw(image, placed.seconds, self.end_seconds)
        frame = self._reformatter.reformat(
            VideoFrame.from_ndarray(image, format="rgb24"),
            format="yuv420p",
            dst_colorspace=Colorspace.ITU709,
            dst_color_range=ColorRange.MPEG,
        )
        frame.pts, frame.time_base = self._ticks(placed.seconds), _TICK
        frame.duration = max(1, self._ticks(placed.end_seconds) - frame.pts)
        self._output.mux(self._stream.encode(frame))
        self._num_frames += 1
        self._end = placed.end_seconds
        if self._video.timeline.restarted:
            self._sound.stop("the clock of the video begins anew")
        self._output.mux(self._sound.until(self._end - self._begin))

    def finish(self, num_failures: int) -> CutPart:
        """Write what is held back."""
        remarks = [self._sound.remark]
        if num_failures:
            remarks.append("what is damaged in the video is left out")
        self._output.mux(self._stream.encode(None))
        self._output.mux(self._sound.rest())
        return CutPart(
            begins_seconds=self._begin,
            ends_seconds=self._end,
            num_frames=self._num_frames,
            has_sound=self._sound.is_there,
            remark="; ".join(filter(None, remarks)),
        )

    def _ticks(self, seconds: float) -> int:
        return round((seconds - self._begin) / _TICK)


def _length(video: OpenedVideo) -> float:
    """In seconds, as the file says."""
    declared = video.info.duration_seconds
    return float("inf") if declared is None else declared


def _grid(video: OpenedVideo) -> FrameGrid:
    """The size of the upright frame with square pixels; H.264 wants even numbers, which cut one."""
    width, height = video.info.width, video.info.height
    aspect = video.pixel_aspect or Fraction(1)
    if video.info.rotation_degrees % 180:
        aspect = 1 / aspect
    # None is left out; what lies beyond is damage, and `Scaler` takes it for square.
    if 1 < aspect <= 10:
        width = round(width * aspect)
    elif Fraction(1, 10) <= aspect < 1:
        height = round(height / aspect)
    return FrameGrid(
        1.0, max(2, height - height % 2), max(2, width - width % 2), resize="centre_crop"
    )


def _video_stream(
    output: OutputContainer, video: OpenedVideo, first: VideoFrame, grid: FrameGrid
) -> VideoStream:
    rate = Fraction(video.info.frame_rate or _USUAL_RATE).limit_denominator(_RATE_DENOMINATOR)
    try:
        # Its type follows from the name of the codec.
        stream: Any = output.add_stream(_CODEC, rate=rate, options=dict(_CODEC_OPTIONS))
    except UnknownCodecError as error:
        raise OutputError(
            "this PyAV has no libx264 to make clips with: install the wheel (pip install "
            "--force-reinstall av), or add --copy."
        ) from error
    stream.width, stream.height, stream.pix_fmt = grid.width, grid.height, "yuv420p"
    stream.gop_size = max(1, round(_KEYFRAME_SECONDS * float(rate)))
    context = stream.codec_context
    context.time_base = _TICK
    context.colorspace, context.color_range = _BT709, ColorRange.MPEG
    # What light the numbers stand for is not changed (HDR keeps its name).
    context.color_primaries = _known(first.color_primaries)
    context.color_trc = _known(first.color_trc)
    added: VideoStream = stream
    return added


def _known(number: int) -> int:
    return _BT709 if int(number) in (0, _UNSPECIFIED) else int(number)
