"""`wsgn-run` over real connections of which some fail: what its lines say, and its exit code."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable
from typing import Any

import pytest
from cameras import Fault
from clips import Clip
from rtsp_server import RtspServer

from wsgn.runtime.cli.main import main

LONGEST_SECONDS = 60.0
# A machine stands still for two seconds by itself: neither is that silence, nor the end.
TIMEOUT_SECONDS = 3
END_SECONDS = 8.0
# Of the engine's grid, to which segments end.
STEP_SECONDS = 0.1


def when(condition: Callable[[], object], work: Callable[[], object]) -> None:
    """Do it once that holds, beside the run."""

    def wait() -> None:
        until = time.monotonic() + LONGEST_SECONDS
        while not condition() and time.monotonic() < until:
            time.sleep(0.01)
        work()

    threading.Thread(target=wait, daemon=True).start()


@pytest.fixture
def lines(server: RtspServer, clip: Clip, capsys: pytest.CaptureFixture[str]) -> dict[str, Any]:
    """One camera is steady, one is cut, one stalls, one has no picture: lines by source."""
    steady, cut, stalls, deaf = (server.add(name, clip) for name in ("a", "b", "c", "d"))
    deaf.fault = Fault(encoding=None)
    when(lambda: cut.num_pictures > 30, cut.cut)

    def stall() -> None:
        seen = stalls.num_played
        stalls.fault = Fault(stalled=True)
        when(lambda: stalls.num_played > seen, stalls.repair)

    when(lambda: stalls.num_pictures > 30, stall)
    words = ["-e", "demo", "--end", str(END_SECONDS), "--timeout", str(TIMEOUT_SECONDS)]
    words += ["--max-lag", str(LONGEST_SECONDS), "--strict"]
    names = [word for name in "abcd" for word in ("--source-name", name)]
    code = main([*(camera.url for camera in (steady, cut, stalls, deaf)), *names, *words])
    out, err = capsys.readouterr()
    found: dict[str, Any] = {"code": code, "err": err, "a": [], "b": [], "c": [], "d": []}
    numbers = []
    for line in map(json.loads, out.splitlines()):
        numbers.append(line["seq"])
        found.setdefault(line.get("source", "run"), []).append(line)
    assert numbers == list(range(len(numbers)))
    return found


def told(lines: list[dict[str, Any]]) -> list[str]:
    return [
        " ".join(filter(None, (line["type"], line.get("state"), line.get("cause"))))
        for line in lines
        if line["type"] in ("source", "status", "gap", "error", "end")
    ]


def test_a_run_goes_on_over_faults(lines: dict[str, Any]) -> None:
    assert lines["code"] == 4
    assert told(lines["a"]) == ["source", "end"]
    for name, cause in (("b", "ended"), ("c", "timeout")):
        assert told(lines[name])[:2] == ["source", f"status lost {cause}"]
        assert sorted(told(lines[name])[2:]) == ["end", "gap lost", "status restored"]
        (restored,) = (line for line in lines[name] if line.get("state") == "restored")
        (gap,) = (line for line in lines[name] if line["type"] == "gap")
        assert restored["epoch"] == 1
        assert restored["lost_seconds"] > 0
        # What is not missing lies before it or behind it.
        assert not [
            line
            for line in lines[name]
            if line["type"] == "segment"
            and line["start_seconds"] < gap["to_seconds"]
            and line["end_seconds"] > gap["from_seconds"] + STEP_SECONDS
        ]
    assert told(lines["d"]) == ["error", "end"]
    assert lines["d"][0]["code"] == "no_video_stream"
    for name in "abc":
        end = lines[name][-1]
        assert end["complete"]
        assert end["seconds"] == pytest.approx(END_SECONDS, abs=0.1)
        assert end["restarts"] == (name != "a")
    # The clock on the wall, of which each line says what it is about.
    unix = [line["at_unix_seconds"] for name in "abcd" for line in lines[name]]
    assert time.time() - LONGEST_SECONDS < min(unix) <= max(unix) <= time.time()
