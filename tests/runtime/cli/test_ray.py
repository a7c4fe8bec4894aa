"""A run over a Ray cluster of two machines, both of them this one: what one process writes."""

from __future__ import annotations

import contextlib
import http.server
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import planted
import pytest
from commands import HANG_SECONDS
from outcomes import Run
from places import ROOT

from wsgn.errors import UsageError
from wsgn.runtime.cli.main import main
from wsgn.workers.options import worker_options

FORMATS = "jsonl,json,csv"
# Python loads it in every actor: a decoder's faults, planted outside the product.
FAULTS = """
import os, signal, sys, time

def at_open(event, arguments):
    if event != "open" or not isinstance(arguments[0], str):
        return
    name = os.path.basename(arguments[0])
    if name == "crash.mp4":
        os.kill(os.getpid(), signal.SIGKILL)
    if name.startswith("hang"):
        time.sleep(3600)

sys.addaudithook(at_open)
"""


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Any]:
    """Two nodes of one core each, for all tests of this file."""
    folder = tmp_path_factory.mktemp("faults")
    (folder / "sitecustomize.py").write_text(FAULTS)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", os.pathsep.join((str(folder), str(ROOT))))
        patch.setenv("RAY_USAGE_STATS_ENABLED", "0")
        patch.setenv("RAY_AUTH_MODE", "token")
        # Else Ray writes one below HOME.
        patch.setenv("RAY_AUTH_TOKEN", "0123456789abcdef" * 4)
        # It looks once at what was set.
        pytest.importorskip("ray", reason="Ray has no wheel for this Python")
        from ray.cluster_utils import Cluster

        node = {"num_cpus": 1, "include_dashboard": False, "object_store_memory": 100 * 2**20}
        # Ray gives each node 30 s to start, which are few on a machine that does much else.
        made = _patiently(lambda: Cluster(initialize_head=True, head_node_args=node))
        made.second = _patiently(lambda: made.add_node(**node))
        yield made
        made.shutdown()


def _patiently(start: Callable[[], Any]) -> Any:
    for _ in range(4):
        with contextlib.suppress(Exception):
            return start()
    return start()


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short videos, and one that is none."""
    return planted.write_sources(tmp_path_factory.mktemp("rayed"), ("a", "b", "crash", "d", "hang"))


def _contents(folder: Path, *, without: tuple[str, ...] = ()) -> dict[str, bytes]:
    return {
        path.name: path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.name.partition(".")[0] not in without and not path.name.endswith(".tmp")
    }


def _until(holds: Callable[[], bool]) -> None:
    """Wait for it; only what hangs fails."""
    limit = time.monotonic() + HANG_SECONDS
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_a_cluster_is_one_process(
    cluster: Any,
    run: Run,
    videos: Path,
    engine_path: Path,
    tmp_path: Path,
    command: list[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """Both in one test: it is shared out among processes, and a cluster takes long to start."""
    monkeypatch.chdir(videos.parent)
    _writes_what_one_process_writes(cluster, run, videos, tmp_path)
    _loses_a_machine_and_one_source(cluster, videos, engine_path, tmp_path, command)


def _writes_what_one_process_writes(cluster: Any, run: Run, videos: Path, tmp_path: Path) -> None:
    """But for a video that kills its actor, and one that hangs; relative paths are meant here."""
    one, two = tmp_path / "one", Path(os.path.relpath(tmp_path / "two"))
    alone = run(videos.name, "-o", one, "-f", FORMATS, "--threads", 1)
    words = (videos.name, "-o", two, "-f", FORMATS, "--ray", cluster.address, "--stall-limit", 8)
    shared = run(*words)
    assert (alone.code, shared.code) == (4, 4)
    assert f"2 actors in the Ray cluster at {cluster.address}, 2 machines" in shared.err
    assert "crash.mp4: the process that worked on it has ended (on " in shared.err
    assert "hang.mp4: nothing came of it for 8 s" in shared.err
    assert "3 of 6 sources failed" in shared.err
    codes = {Path(e["source"]).name: e["code"] for e in shared.of_type("error")}
    assert codes.keys() == {"crash.mp4", "hang.mp4", "none.mp4"}
    assert (codes["crash.mp4"], codes["hang.mp4"]) == ("crashed", "stalled")
    left_out = ("crash", "hang", "detections")
    assert _contents(two, without=left_out) == _contents(one, without=left_out)
    assert list(json.loads((two / "detections.json").read_bytes())["results"]) == ["a", "b", "d"]
    # Events are those of one process too, whatever their order among sources.
    for source in ("a.mp4", "b.mp4", "d.mp4"):
        first, second = (
            [e["frames"] for e in outcome.of_type("end") if Path(e["source"]).name == source]
            for outcome in (alone, shared)
        )
        assert first == second != []


def _loses_a_machine_and_one_source(
    cluster: Any, videos: Path, engine_path: Path, tmp_path: Path, command: list[str]
) -> None:
    """Then SIGTERM, which ends what still hangs in order."""
    hanging = [tmp_path / f"hang{number}.mp4" for number in (1, 2)]
    for path in hanging:
        path.write_bytes((videos / "a.mp4").read_bytes())
    out = tmp_path / "out"
    words = [*hanging, videos / "b.mp4", videos / "d.mp4", "-e", engine_path, "-o", out]
    words += ["--ray", cluster.address, "--workers", 2]
    with subprocess.Popen(
        [*command, *map(str, words)], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as process:
        assert process.stderr is not None
        # One on each machine.
        _until(lambda: len(list(out.glob(".hang*.tmp"))) == 2 or process.poll() is not None)
        cluster.remove_node(cluster.second, allow_graceful=False)
        lost = next(line for line in process.stderr if "error" in line)
        assert ".mp4: the process that worked on it has ended (" in lost
        assert lost.rstrip().endswith("was lost): it is left out.")
        cluster.second = _patiently(lambda: cluster.add_node(num_cpus=1))
        _until(lambda: {"b.jsonl", "d.jsonl"} <= _contents(out).keys())
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 143
    assert "Traceback" not in rest
    # The other one that hung was cut short before anything came.
    names = set(_contents(out)) - {"b.jsonl", "d.jsonl"}
    assert names in ({"hang1.partial.jsonl"}, {"hang2.partial.jsonl"})


def test_what_has_no_cluster_is_a_sentence(
    engine_path: Path,
    video_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def error_of(*arguments: object, code: int) -> str:
        assert main([*map(str, arguments)]) == code
        said = capsys.readouterr()
        assert said.out == ""
        assert "Traceback" not in said.err
        return said.err

    given = (video_path, "-e", engine_path)
    assert "HOST:PORT of a cluster, got 'b.mp4'" in error_of(*given, "--ray", "b.mp4", code=2)
    assert "run the command on a machine" in error_of(*given, "--ray", "ray://a:10001", code=2)
    assert "99999 is no port" in error_of(*given, "--ray", "a:99999", code=2)
    assert "--ray cannot share stdin" in error_of("-", "-e", engine_path, "--ray", code=2)
    os.mkfifo(tmp_path / "pipe")
    assert "a pipe of this machine" in error_of(
        tmp_path / "pipe", "-e", engine_path, "--ray", code=2
    )
    assert "say --device cuda, not cuda:1" in error_of(
        *given, "--ray", "--device", "cuda:1", code=2
    )
    pytest.importorskip("ray", reason="Ray has no wheel for this Python")
    with http.server.HTTPServer(("127.0.0.1", 0), http.server.BaseHTTPRequestHandler) as server:
        threading.Thread(target=server.serve_forever, daemon=True).start()
        address = f"127.0.0.1:{server.server_port}"
        assert f"answers at {address} is no Ray cluster" in error_of(
            *given, "--ray", address, code=5
        )
        server.shutdown()
    assert f"no Ray cluster answers at {address}" in error_of(*given, "--ray", address, code=5)
    for nonsense in ("b.mp4", "ray://a:10001", "a:0"):
        monkeypatch.setenv("RAY_ADDRESS", nonsense)
        assert "error: RAY_ADDRESS takes " in error_of(*given, "--ray", code=2)


def test_words_of_a_cluster() -> None:
    options = worker_options(None, None, "")
    assert options is not None
    assert (options.number, options.ray, options.stall_seconds) == (None, "", 600)
    assert worker_options(3, None, "[fd00::1]:6379") is not None
    with pytest.raises(UsageError) as caught:
        worker_options(None, None, "http://user:secret@host/")
    assert "secret" not in str(caught.value)
