"""A clip for all live tests, encoded once."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
from clips import Clip, drawn_clip
from rtsp_server import Camera, RtspServer


@pytest.fixture(scope="session")
def clip() -> Clip:
    """Four seconds of 320x240 at 25/s, a keyframe every 0.4 s, a bar code in each picture."""
    return drawn_clip()


@pytest.fixture
def server() -> Iterator[RtspServer]:
    """An RTSP server without a camera yet."""
    with RtspServer() as made:
        yield made


@pytest.fixture
def door(server: RtspServer, clip: Clip) -> Camera:
    """Its camera."""
    return server.add("door", clip)
