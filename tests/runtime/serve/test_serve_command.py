"""`wsgn-run --serve`: a real run that is looked at, its end, and what is refused before."""

from __future__ import annotations

import json
import os
import signal
import socket
import subprocess
import sys
import time
import urllib.error
import urllib.request
from pathlib import Path

import pytest
from places import ROOT
from served import HANG_SECONDS, Viewer

from benchmarks.measuring import WSGN_RUN
from wsgn.runtime.cli.main import main

SAMPLE = ROOT / "runtime" / "demo" / "demo.mp4"


def free_port() -> int:
    with socket.socket() as one:
        one.bind(("127.0.0.1", 0))
        return int(one.getsockname()[1])


def ask(port: int, path: str) -> int | None:
    """The status of an answer; None where nobody answers."""
    try:
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/{path}", timeout=HANG_SECONDS) as a:
            return int(a.status)
    except urllib.error.HTTPError as error:
        return error.code
    except OSError:
        return None


def test_a_run_is_looked_at_and_ends_with_ctrl_c() -> None:
    port = free_port()
    words = [str(SAMPLE), "-e", "demo", "--realtime", "--serve", str(port)]
    run = subprocess.Popen(
        [*WSGN_RUN, *words],
        stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True,
        env=os.environ | {"OMP_NUM_THREADS": "1"},
    )  # fmt: skip
    try:
        until = time.monotonic() + HANG_SECONDS
        while ask(port, "readyz") != 200:
            assert run.poll() is None, run.communicate()
            assert time.monotonic() < until
            time.sleep(0.02)
        with urllib.request.urlopen(f"http://127.0.0.1:{port}/updates", timeout=HANG_SECONDS) as a:
            viewer, num_scores, segments = Viewer(a), 0, []
            viewer.lines()
            while not (num_scores > 3 and segments):
                document = json.loads(viewer.message()["data"])
                for source in document["sources"]:
                    assert source["name"] == "demo"
                    num_scores += len(source.get("scores", {"steps": []})["steps"])
                segments += [line for line in document["lines"] if line["type"] == "segment"]
            assert ask(port, "picture/demo.jpg") == 200
            run.send_signal(signal.SIGINT)
            # Its last lines are told before the connection ends.
            last = document
            while message := viewer.message():
                last = json.loads(message["data"])
            assert [line["type"] for line in last["lines"]][-1] == "end"
        out, err = run.communicate(timeout=HANG_SECONDS)
    finally:
        run.kill()
        run.wait()
    assert run.returncode == 130, err
    assert f"the live page is at http://127.0.0.1:{port}/" in err
    assert "Traceback" not in err
    assert json.loads(out.splitlines()[-1])["type"] == "end"
    assert ask(port, "healthz") is None


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["rtsp://10.0.0.5/a", "--serve", "x"], "--serve must be [HOST:]PORT"),
        (["rtsp://10.0.0.5/a", "--serve", "0.0.0.0:8080"], "WSGN_TOKEN"),
        ([str(SAMPLE), "--serve", "8080"], "--serve is for live sources"),
    ],
)
def test_what_cannot_be_served_is_refused(
    words: list[str],
    sentence: str,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv("WSGN_TOKEN", raising=False)
    assert main([*words, "-e", "demo"]) == 2
    err = capsys.readouterr().err
    assert sentence in err
    assert len(err.splitlines()) == 1


def test_a_port_that_is_taken_is_said_before_anything_is_opened(
    capsys: pytest.CaptureFixture[str],
) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        taken.listen()
        port = str(taken.getsockname()[1])
        assert main(["rtsp://10.0.0.5/a", "-e", "demo", "--serve", port]) == 2
    assert f"127.0.0.1:{port} cannot be listened at" in capsys.readouterr().err


@pytest.mark.parametrize("name", ["uvicorn", "starlette.applications", "prometheus_client"])
def test_without_the_extra_it_is_named(
    name: str, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    for loaded in [one for one in sys.modules if one.startswith("wsgn.runtime.serve.")]:
        monkeypatch.delitem(sys.modules, loaded)
    monkeypatch.setitem(sys.modules, name, None)
    assert main(["rtsp://10.0.0.5/a", "-e", "demo", "--serve", "0"]) == 2
    assert "pip install 'wsgn[serve]'" in capsys.readouterr().err


def test_who_does_not_ask_for_it_does_not_load_it(tmp_path: Path) -> None:
    code = "import sys, wsgn.runtime.cli.live; print([n for n in sys.modules if 'uvicorn' in n])"
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=True, cwd=ROOT
    )
    assert done.stdout == "[]\n"
