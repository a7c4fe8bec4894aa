"""The servers without RTSP, seen by libav alone."""

from __future__ import annotations

from collections.abc import Iterator

import av
import pytest
from clips import Clip, drawn_clip, read_bar_code
from servers import free_port
from stream_servers import HttpServer, TcpCamera, UdpCamera


@pytest.fixture(scope="module")
def http() -> Iterator[HttpServer]:
    """A server without a camera yet."""
    with HttpServer() as made:
        yield made


def pictures(url: str, count: int) -> list[tuple[float, int | None]]:
    """Times and bar codes of the first pictures."""
    found: list[tuple[float, int | None]] = []
    with av.open(url, options={"analyzeduration": "0"}, timeout=(20, 20)) as container:
        for frame in container.decode(video=0):
            code = read_bar_code(frame.to_ndarray(format="rgb24"))
            found.append((float(frame.time or 0), code))
            if len(found) == count:
                break
    return found


def check_order(seen: list[tuple[float, int | None]], step_seconds: float, loop: int) -> None:
    """Pictures follow one another, at their times."""
    first_seconds, first = seen[0]
    assert first is not None
    assert [code for _, code in seen] == [(first + number) % loop for number in range(len(seen))]
    steps = [seconds - first_seconds for seconds, _ in seen]
    assert steps == pytest.approx([step_seconds * number for number in range(len(seen))], abs=1e-3)


def test_transport_streams_over_http(http: HttpServer, clip: Clip) -> None:
    check_order(pictures(http.add("door.ts", clip).url, 10), 0.04, 100)


def test_playlists(http: HttpServer, clip: Clip) -> None:
    camera = http.add("door.m3u8", clip)
    camera.lead_seconds = 8.0
    check_order(pictures(camera.url, 45), 0.04, 100)


def test_jpegs_over_http(http: HttpServer) -> None:
    seen = pictures(http.add("door.mjpeg", drawn_clip(rate=8, seconds=2)).url, 5)
    # The demuxer invents 25 pictures a second.
    check_order(seen, 0.04, 16)


def test_transport_streams_over_tcp(clip: Clip) -> None:
    with TcpCamera(clip) as server:
        check_order(pictures(server.camera.url, 10), 0.04, 100)


def test_transport_streams_over_udp(clip: Clip) -> None:
    with UdpCamera(clip, free_port()) as sender:
        check_order(pictures(sender.camera.url, 10), 0.04, 100)
