"""Small clips: a square that moves over a background of one shade."""

from __future__ import annotations

from pathlib import Path
from typing import cast

import av
import numpy as np
from av.video.stream import VideoStream

_RATE = 10


def write_clip(
    path: Path,
    *,
    shade: int,
    num_frames: int = 10,
    step: tuple[int, int] = (2, 0),
    width: int = 64,
    height: int = 48,
) -> Path:
    """`num_frames` at 10 fps; the square moves by `step` pixels (right, down) a frame."""
    path.parent.mkdir(parents=True, exist_ok=True)
    with av.open(str(path), "w") as container:
        options = {"preset": "ultrafast"}
        stream = cast(VideoStream, container.add_stream("libx264", rate=_RATE, options=options))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(num_frames):
            image = np.full((height, width, 3), shade, np.uint8)
            x = (4 + shade + number * step[0]) % (width - 16)
            y = (4 + number * step[1]) % (height - 16)
            image[y : y + 16, x : x + 16] = 230
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    return path
