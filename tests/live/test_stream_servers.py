"""The servers without RTSP, seen by libav alone."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import av
import pytest
from clips import Clip, drawn_clip, read_bar_code
from servers import free_port
from stream_servers import HttpServer, TcpCamera, UdpCamera


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


@pytest.fixture(scope="module")
def seen(clip: Clip) -> dict[str, list[tuple[float, int | None]]]:
    """The first pictures of a source of each kind, read at the same time."""
    with HttpServer() as http, TcpCamera(clip) as tcp, UdpCamera(clip, free_port()) as udp:
        # The demuxer of JPEGs invents 25 pictures a second.
        jpegs = http.add("door.mjpeg", drawn_clip(rate=8, seconds=2))
        playlist = http.add("door.m3u8", clip)
        playlist.lead_seconds = 8.0
        cameras = [http.add("door.ts", clip), playlist, jpegs, tcp.camera, udp.camera]
        counts = {"door.m3u8": 45, "door.mjpeg": 5}
        with ThreadPoolExecutor(len(cameras)) as pool:
            found = {
                camera.name: pool.submit(pictures, camera.url, counts.get(camera.name, 10))
                for camera in cameras
            }
        return {name: future.result() for name, future in found.items()}


@pytest.mark.parametrize("name", ["door.ts", "door.m3u8", "door.mjpeg", "tcp", "udp"])
def test_pictures_follow_one_another(
    seen: dict[str, list[tuple[float, int | None]]], name: str
) -> None:
    check_order(seen[name], 0.04, 16 if name == "door.mjpeg" else 100)
