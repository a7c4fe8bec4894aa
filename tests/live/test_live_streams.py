"""Eight cameras on one engine, of which not all are well."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import numpy as np
import planted
import pytest
from cameras import Camera, Fault
from clips import Clip, encoded_clip
from rtsp_server import RtspServer
from servers import LOOPBACK, free_port

from wsgn.engines.engine import Engine
from wsgn.runtime import LiveOptions, LiveSource, StreamOptions, detect_live, open_engine
from wsgn.runtime.pipeline import StopFlag

# No thread is waited for: a read that hangs would keep the test for as long.
HANG_SECONDS = 1800.0
NUM_WELL = 6
SCENES = (("black", 1.0), ("red", 1.5), ("black", 1.5))


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Engine]:
    path = planted.write_engine(tmp_path_factory.mktemp("engine") / "planted.onnx")
    with open_engine(path, num_threads=1) as opened:
        yield opened


@pytest.fixture(scope="module")
def red_scenes() -> Clip:
    """Over and over again."""
    images: list[Any] = []
    for label, seconds in SCENES:
        image = np.empty((48, 64, 3), np.uint8)
        image[:] = planted.COLOURS[label]
        images += [image] * round(10 * seconds)
    return encoded_clip(images, rate=10, keyframes=5, bar_code=False)


def test_each_finds_its_own_whatever_happens_to_the_others(
    engine: Engine, server: RtspServer, red_scenes: Clip
) -> None:
    names = [f"camera{number}" for number in range(NUM_WELL)]
    cameras: dict[str, Camera] = {
        name: server.add(name, red_scenes) for name in [*names, "stalled"]
    }
    sources: list[LiveSource | str] = [
        LiveSource(name=name, address=camera.url) for name, camera in cameras.items()
    ]
    sources.append(f"rtsp://{LOOPBACK}:{free_port()}/dead")
    options = StreamOptions(
        live=LiveOptions(timeout_seconds=HANG_SECONDS, max_lag_seconds=HANG_SECONDS)
    )
    stop = StopFlag()
    found: dict[str, list[Any]] = {name: [] for name in names}
    lines: list[Any] = []
    for event in detect_live(sources, engine, options, stop=stop):
        lines.append(event)
        if (event.source, event.type) == ("stalled", "source"):
            cameras["stalled"].fault = Fault(stalled=True)
        if event.type == "segment" and event.reason == "threshold" and event.source in found:
            found[event.source].append(event)
        if all(found.values()) and cameras["stalled"].fault.stalled:
            stop.request()
    for segments in found.values():
        first = segments[0]
        assert first.label == "red"
        # What was filmed before it was opened is not seen, and a stop cuts what is open.
        assert 1.0 < first.end_seconds - first.start_seconds < 1.8
        length = first.end_unix_seconds - first.start_unix_seconds
        assert length == pytest.approx(first.end_seconds - first.start_seconds)
    dead = [event for event in lines if event.source == f"{LOOPBACK.replace('.', '-')}_dead"]
    assert [event.type for event in dead] == ["status", "end"]
    assert dead[0].cause == "refused"
    assert sum(event.type == "end" for event in lines) == NUM_WELL + 2
