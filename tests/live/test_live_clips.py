"""Clips of live sources: what the ring held is what was seen, at the same media times."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import av
import pytest
from cameras import Camera
from clips import Clip, read_bar_code
from reading import LONGEST_SECONDS, Reading
from rtsp_server import RtspServer
from stream_servers import HttpServer

from wsgn.runtime.clips.held import held_ending, write_held
from wsgn.video.live.items import LiveFrame
from wsgn.video.live.ring import PacketRing, RingCut

Serve = Callable[[Clip], "Iterator[str]"]


def rtsp(clip: Clip) -> Iterator[str]:
    with RtspServer() as server:
        yield server.add("door", clip).url


def web(name: str) -> Serve:
    def serve(clip: Clip) -> Iterator[str]:
        with HttpServer() as server:
            yield server.add(name, clip).url

    return serve


def shown(cut: RingCut, path: Path) -> list[tuple[float, int | None]]:
    """Media times and bar codes of a clip's frames, read from the file by PyAV alone."""
    write_held(cut, path)
    with av.open(str(path)) as container:
        return [
            (
                cut.begins_seconds + float(frame.time or 0),
                read_bar_code(frame.to_ndarray(format="rgb24")),
            )
            for frame in container.decode(video=0)
        ]


def last_epoch(reading: Reading) -> list[LiveFrame]:
    """Its frames: where pictures lie as they come, a machine that stands still begins another."""
    frames = reading.frames
    return [frame for frame in frames if frame.epoch == frames[-1].epoch]


def read(url: str, ring: PacketRing, seconds: float) -> Reading:
    """What is read with a ring, until an epoch is so long."""
    reading = Reading(
        url, ring=ring, timeout_seconds=LONGEST_SECONDS, max_lag_seconds=LONGEST_SECONDS
    )
    try:
        reading.wait(lambda: len(last_epoch(reading)) > 10 * seconds)
    finally:
        reading.stop()
    return reading


@pytest.mark.parametrize(
    ("serve", "ending"),
    [(rtsp, ".mp4"), (web("door.ts"), ".mp4"), (web("door.mjpeg"), ".mkv")],
    ids=["rtsp", "ts", "mjpeg"],
)
def test_a_clip_shows_what_was_seen_at_that_time(
    tmp_path: Path, clip: Clip, serve: Serve, ending: str
) -> None:
    ring = PacketRing()
    with contextmanager(serve)(clip) as url:
        reading = read(url, ring, 3.0)
    begin = last_epoch(reading)[0].seconds
    cut = ring.cut(begin + 1.05, begin + 2.5)
    assert cut is not None
    assert held_ending(cut) == ending
    found = shown(cut, tmp_path / f"clip{ending}")
    codes = [code for _, code in found]
    assert len(codes) == len(cut.packets)
    # Every picture from a keyframe before the start to the end, each once.
    assert None not in codes
    assert [code % 100 for code in codes] == [(codes[0] + n) % 100 for n in range(len(codes))]
    assert cut.begins_seconds <= begin + 1.05
    # Of each picture, the first time at which it was seen.
    seen: dict[int | None, float] = {}
    for frame in reading.frames:
        if begin + 1.05 <= frame.seconds < begin + 2.45:
            seen.setdefault(read_bar_code(frame.image), frame.seconds)
    assert len(seen) > 2
    assert set(seen) <= set(codes)
    # A grid point lies up to a tenth of a second behind its picture.
    both = [(time, seen[code]) for time, code in found if code in seen]
    assert all(-0.02 < at - time < 0.14 for time, at in both[1:]), both


def test_a_ring_goes_on_over_a_cut(tmp_path: Path, door: Camera) -> None:
    """Each connection has its own packets; a part that spans two comes from one of them."""
    ring = PacketRing()
    reading = Reading(
        door.url, ring=ring, timeout_seconds=LONGEST_SECONDS, max_lag_seconds=LONGEST_SECONDS
    )
    reading.wait_for_frames(12)
    door.cut()
    reading.wait_for_status("restored")
    reading.wait_for_frames(12)
    reading.stop()
    (restored,) = reading.statuses("restored")
    before, behind = ring.cut(0.2, 1.0), ring.cut(restored.seconds + 0.1, restored.seconds + 0.9)
    assert before is not None
    assert behind is not None
    seen = {frame.seconds: read_bar_code(frame.image) for frame in reading.frames}
    for cut in (before, behind):
        found = shown(cut, tmp_path / "clip.mp4")
        assert len(found) > 10
        assert {code for _, code in found} & set(seen.values())
    assert behind.begins_seconds >= restored.seconds - 0.02


def test_how_to_decode_it_is_found_in_the_pictures(tmp_path: Path, clip: Clip) -> None:
    """Of cameras that say it nowhere else: libavformat takes it out of the first one."""
    ring = PacketRing()
    with av.open("unused", "w", format="null") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height = clip.width, clip.height
        assert not stream.codec_context.extradata
        ring.begin(stream)
    for number, picture in enumerate(clip.pictures):
        packet: Any = av.Packet(picture.annexb)
        packet.is_keyframe = picture.is_key
        ring.add(packet, number / 25, arrival=number / 25)
    ring.place(0.0, 0.0)
    cut = ring.cut(1.0, 2.0)
    assert cut is not None
    assert [code for _, code in shown(cut, tmp_path / "clip.mp4")] == list(range(20, 50))
