"""Commands on a Ray cluster of two machines, both of them this one: what one process writes."""

from __future__ import annotations

import http.server
import importlib.util
import json
import os
import signal
import subprocess
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import planted
import pytest
from commands import HANG_SECONDS
from contents import contents, without
from outcomes import Run
from places import ROOT
from planted_faults import plant_faults
from ray_nodes import TwoNodes, two_nodes
from toy import write_toy_model

from wsgn.errors import UsageError
from wsgn.extraction import cli as features
from wsgn.prediction import cli as prediction
from wsgn.runtime.cli.main import main
from wsgn.workers.options import worker_options

FORMATS = "jsonl,json,csv"


@pytest.fixture(scope="module")
def cluster(tmp_path_factory: pytest.TempPathFactory) -> Iterator[TwoNodes]:
    """One for all tests of this file, as it takes long to start; files do what they are called."""
    if importlib.util.find_spec("ray") is None:
        pytest.skip("Ray has no wheel for this Python")
    faults = plant_faults(tmp_path_factory.mktemp("faults"), signal.SIGKILL)
    with two_nodes(os.pathsep.join((faults, str(ROOT)))) as nodes:
        yield nodes


@pytest.fixture(scope="session")
def videos(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Five short videos, and one that is none."""
    return planted.write_sources(tmp_path_factory.mktemp("rayed"), ("a", "b", "crash", "d", "hang"))


def _until(holds: Callable[[], bool]) -> None:
    """Wait for it; only what hangs fails."""
    limit = time.monotonic() + HANG_SECONDS
    while not holds():
        assert time.monotonic() < limit
        time.sleep(0.1)


def test_a_run_is_that_of_one_process(
    cluster: TwoNodes, run: Run, videos: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """But for a video that kills its actor, and one that hangs; relative paths are meant here."""
    monkeypatch.chdir(videos.parent)
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
    left_out = without("crash", "hang", "detections")
    # Ray does not wait for who it kills: temporary files of the last one may go with the next run.
    found = {name: data for name, data in contents(two, left_out).items() if name[0] != "."}
    assert found == contents(one, left_out)
    assert list(json.loads((two / "detections.json").read_bytes())["results"]) == ["a", "b", "d"]
    # Events are those of one process too, whatever their order among sources.
    for source in ("a.mp4", "b.mp4", "d.mp4"):
        first, second = (
            [e["frames"] for e in outcome.of_type("end") if Path(e["source"]).name == source]
            for outcome in (alone, shared)
        )
        assert first == second != []


def test_a_machine_that_is_lost_costs_one_source(
    cluster: TwoNodes, videos: Path, engine_path: Path, tmp_path: Path, command: list[str]
) -> None:
    """Then SIGTERM, which ends what still hangs in order."""
    hanging = [tmp_path / f"{number}-hang.mp4" for number in (1, 2)]
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
        _until(lambda: len(list(out.glob(".*-hang.*.tmp"))) == 2 or process.poll() is not None)
        cluster.lose_second()
        lost = next(line for line in process.stderr if "error" in line)
        assert ".mp4: the process that worked on it has ended (" in lost
        assert lost.rstrip().endswith("was lost): it is left out.")
        cluster.replace_second()
        _until(lambda: (out / "b.jsonl").exists() and (out / "d.jsonl").exists())
        process.send_signal(signal.SIGTERM)
        _, rest = process.communicate(timeout=HANG_SECONDS)
    assert process.returncode == 143
    assert "Traceback" not in rest
    # The other one that hung was cut short before anything came.
    names = contents(out).keys() - {"b.jsonl", "d.jsonl"}
    assert names in ({"1-hang.partial.jsonl"}, {"2-hang.partial.jsonl"})


def test_features_are_those_of_one_process(
    cluster: TwoNodes, videos: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    options = ["--backbone", "compact", "--random-weights", "--short-side", "48"]
    options += ["--crop-size", "40", "--threads", "1"]
    good = [str(videos / f"{name}.mp4") for name in ("a", "b", "d", "none")]
    assert features.main([*good, *options, "-o", str(tmp_path / "one")]) == 4
    capsys.readouterr()
    words = [*good, str(videos / "crash.mp4"), *options, "--ray", cluster.address]
    assert features.main([*words, "-o", str(tmp_path / "two")]) == 4
    said = capsys.readouterr()
    assert f"2 actors in the Ray cluster at {cluster.address}, 2 machines" in said.err
    assert "crash: the process that worked on it has ended (on " in said.err
    assert "3 extracted (11 snippets), 0 already there, 2 failed" in said.out
    assert contents(tmp_path / "two") == contents(tmp_path / "one")
    assert len(contents(tmp_path / "one")) == 3


def test_predictions_are_those_of_one_process(
    cluster: TwoNodes,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    """But for a video that kills its actor, without which there are no figures."""
    folder = write_toy_model(tmp_path, "z-crash")
    document = json.loads((folder / "annotations.json").read_text())
    document["database"]["z-crash"]["subset"] = "train"
    (folder / "good.json").write_text(json.dumps(document))

    def predict(out: str, annotations: str, *options: str) -> int:
        (folder / out).mkdir()
        monkeypatch.chdir(folder / out)
        words = [f"../{annotations}", "../run/model.safetensors", "--features", "../features"]
        words += ["--threads", "1", "--protocol", "activitynet", "--json", "-o", "found.json"]
        capsys.readouterr()
        return prediction.main([*words, "--report", "page.html", *options])

    assert predict("one", "good.json") == 0
    assert predict("two", "annotations.json", "--ray", cluster.address) == 4
    out, err = capsys.readouterr()
    assert f"2 actors in the Ray cluster at {cluster.address}, 2 machines" in err
    assert "z-crash: the process that worked on it has ended (on " in err
    assert "nothing is scored without them" in err
    assert json.loads(out)["failed"] == ["z-crash"]
    found = contents(folder / "one")["found.json"]
    assert contents(folder / "two") == {"found.json": found}


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
