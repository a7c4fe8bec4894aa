"""Runs that are killed before they saved anything: what the next one goes on from."""

from __future__ import annotations

import time
from pathlib import Path

import pytest
from places import ROOT

from wsgn.engines.open import describe_engine
from wsgn.runtime.cli.console import Console
from wsgn.runtime.cli.live_state import StateSaver
from wsgn.runtime.live.options import StreamOptions
from wsgn.runtime.live.saved import SavedStream
from wsgn.runtime.live.state_files import StateFiles
from wsgn.runtime.streaming.detector import Detector
from wsgn.video.live.clock import MediaClock
from wsgn.video.live.items import LivePosition
from wsgn.video.live.source import LiveSource

DOOR = LiveSource(name="door", address="rtsp://door/1")


@pytest.mark.parametrize("ended", [True, False])
def test_ids_of_a_run_that_never_saved_do_not_come_again(tmp_path: Path, ended: bool) -> None:
    manifest = describe_engine(ROOT / "runtime" / "demo" / "demo.onnx").manifest
    options = StreamOptions()
    files = StateFiles(tmp_path, "engine", options, manifest)
    files.load([DOOR])
    saved = SavedStream(
        detector=Detector(manifest, options.detector).state_dict(),
        position=LivePosition(media_seconds=1.0, unix_seconds=time.time(), epoch=0),
        counters={},
    )
    files.save({"door": saved}, ended=ended)
    first_ids = []
    for _ in range(3):
        loaded, problems = files.load([DOOR])
        StateSaver(files, Console(quiet=True, verbose=False, progress=False)).begin(loaded)
        first_ids.append(int(loaded["door"].detector["next_id"]))
        assert not problems
    assert first_ids[1] > first_ids[0] + 100
    assert first_ids[2] > first_ids[1] + 100


def test_what_an_opening_holds_back_does_not_add_up_over_runs() -> None:
    """Pictures come as they are filmed, but for the first second of each connection."""
    now, position = 100.0, 0.0
    clock = MediaClock()
    for _ in range(20):
        begin = clock.now(now) if clock.is_set else 0.0
        clock.begin_epoch(now, new_connection=True)
        for step in range(200):
            arrival = now + max(0.0, 0.1 * step - 1.1)
            clock.observe(arrival, begin + 0.1 * step)
        position = begin + 20.0
        anchor = clock.reached(position, arrival) - position
        now = arrival + 5.0
        clock = MediaClock(anchor)
    # Ahead by what the first and the last one held back.
    assert position == pytest.approx(now - 5.0 - 100.0, abs=2.5)
