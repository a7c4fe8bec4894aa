"""Writes frames as H.264 in mp4; the same frames give the same bytes."""

from collections.abc import Iterable
from pathlib import Path

import av

from wsgn.support.arrays import UInt8Array
from wsgn.support.files import AtomicFile


def encode_video(
    path: Path,
    frames: Iterable[UInt8Array],
    width: int,
    height: int,
    frame_rate: int,
    quality_crf: int,
) -> int:
    """Encodes RGB frames (H, W, 3) to `path`, whole or not at all, and returns their number."""
    # x264's macroblock tree decides by memory that it never wrote, even in one thread: the
    # same frames then give other bytes from run to run. Without the tree they do not.
    options = {
        "crf": str(quality_crf),
        "preset": "veryfast",
        "threads": "1",
        "x264-params": "mbtree=0",
    }
    num_frames = 0
    # Without bitexact the container would name the library version and could hold a date. With the
    # index in front the file can be read from a pipe.
    muxer = {"fflags": "+bitexact", "movflags": "+faststart"}
    with (
        AtomicFile(path) as file,
        av.open(str(file.temporary), "w", format="mp4", options=muxer) as container,
    ):
        stream = container.add_stream("libx264", rate=frame_rate, options=options)
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        stream.codec_context.thread_count = 1
        for frame in frames:
            video_frame = av.VideoFrame.from_ndarray(frame, format="rgb24")
            video_frame.pts = num_frames
            container.mux(stream.encode(video_frame))
            num_frames += 1
        container.mux(stream.encode(None))
    return num_frames
