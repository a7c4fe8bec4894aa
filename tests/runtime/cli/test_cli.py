"""The command as a whole."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import planted
import pytest

from wsgn.runtime.cli import main as cli
from wsgn.runtime.cli.main import main
from wsgn.runtime.cli.outputs import Outputs
from wsgn.runtime.cli.signals import stop_on_signals
from wsgn.runtime.cli.sources import Job
from wsgn.runtime.writers import SourceResult
from wsgn.support.signals import KeptSignal


def test_piped_results_are_json_lines_that_count(
    capsys: pytest.CaptureFixture[str], engine_path: Path, video_path: Path
) -> None:
    assert main([str(video_path), str(video_path.parent / "*.mp4"), "-e", str(engine_path)]) == 0
    out, err = capsys.readouterr()
    events = [json.loads(line) for line in out.splitlines()]
    assert [event["seq"] for event in events] == list(range(len(events)))
    assert events[0]["type"] == "run"
    assert events[0]["parameters"] == {"device": "cpu", "scores": "exact"}
    assert events[-1]["type"] == "end"
    assert err == ""


def test_files_of_every_format(
    capsys: pytest.CaptureFixture[str], engine_path: Path, video_path: Path, tmp_path: Path
) -> None:
    other = planted.write_video(tmp_path / "other.mp4", (("black", 2.0), ("green", 3.0)))
    arguments = [str(video_path), str(other), "-e", str(engine_path), "-o", str(tmp_path / "out")]
    arguments += ["-f", "jsonl,json,csv,vtt,srt", "--save-scores", "-q"]
    assert main(arguments) == 0
    names = {path.name for path in (tmp_path / "out").iterdir()}
    suffixes = ("jsonl", "json", "csv", "vtt", "srt", "scores.npz")
    expected = {f"{stem}.{suffix}" for stem in ("planted", "other") for suffix in suffixes}
    assert names == expected | {"detections.json", "detections.csv"}
    document = (tmp_path / "out" / "detections.json").read_bytes()
    merged = json.loads(document)["results"]
    rows = (tmp_path / "out" / "detections.csv").read_bytes()
    parts = [(tmp_path / "out" / f"{stem}.csv").read_bytes() for stem in ("planted", "other")]
    header = parts[0].partition(b"\n")[0] + b"\n"
    assert rows == header + b"".join(part.removeprefix(header) for part in parts)
    assert {name: len(found) for name, found in merged.items()} == {"planted": 2, "other": 1}
    with np.load(tmp_path / "out" / "planted.scores.npz") as saved:
        assert saved["scores"].shape == (57, 3)
        assert saved["classes"].tolist() == list(planted.CLASSES)
    # What is there is taken over; what is missing is made.
    (tmp_path / "out" / "other.vtt").unlink()
    (tmp_path / "out" / "detections.json").unlink()
    (tmp_path / "out" / "detections.csv").unlink()
    assert main([*arguments, "--resume"]) == 0
    assert (tmp_path / "out" / "other.vtt").exists()
    # To the byte: also the order does not tell what was done first.
    assert (tmp_path / "out" / "detections.json").read_bytes() == document
    assert (tmp_path / "out" / "detections.csv").read_bytes() == rows


def test_a_folder_that_is_removed_while_running_is_told(
    engine_path: Path,
    video_path: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    out, add = tmp_path / "out", Outputs.add

    def add_and_lose(outputs: Outputs, job: Job, result: SourceResult) -> None:
        add(outputs, job, result)
        shutil.rmtree(out)

    monkeypatch.setattr(Outputs, "add", add_and_lose)
    words = [str(video_path), "-e", str(engine_path), "-o", str(out), "-f", "json,srt", "-q"]
    assert main(words) == 6
    assert "2 of 2 files that were written are gone" in capsys.readouterr().err


def test_a_new_folder_does_not_stay_where_no_source_can_be_read(
    engine_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "new" / "out"
    words = [str(tmp_path / "none.mp4"), "-e", str(engine_path), "-o", str(out), "-f", "json", "-q"]
    assert main(words) == 3
    assert not (tmp_path / "new").exists()


def test_a_dry_run_decodes_and_writes_nothing(
    capsys: pytest.CaptureFixture[str], engine_path: Path, video_path: Path, tmp_path: Path
) -> None:
    out = tmp_path / "out"
    assert main([str(video_path), "-e", str(engine_path), "--dry-run", "-o", str(out)]) == 0
    assert capsys.readouterr().out == f"{video_path} -> {out / 'planted.jsonl'}\n"
    assert not out.exists()


def test_a_dry_run_tells_what_would_fail(
    capsys: pytest.CaptureFixture[str], engine_path: Path, video_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "empty.mp4").touch()
    broken = [str(tmp_path / "none.mp4"), str(tmp_path / "empty.mp4")]
    assert main([*broken, "-e", str(engine_path), "--dry-run"]) == 3
    assert main([str(video_path), *broken, "-e", str(engine_path), "--dry-run"]) == 4
    assert "empty" in capsys.readouterr().out


def test_labels_are_checked_before_decoding(
    capsys: pytest.CaptureFixture[str], engine_path: Path, video_path: Path
) -> None:
    assert main([str(video_path), "-e", str(engine_path), "--labels", "red,mauve"]) == 2
    out, err = capsys.readouterr()
    assert out == ""
    assert "mauve" in err
    assert main([str(video_path), "-e", str(engine_path), "--labels", "blue"]) == 0
    lines = capsys.readouterr().out.splitlines()
    labels = {json.loads(line).get("label") for line in lines}
    assert labels == {None, "blue"}


@pytest.mark.parametrize(
    ("words", "code"),
    [(["--help"], 0), (["--version"], 0), (["--nonsense"], 2), ([], 2), (["manifest"], 2)],
)
def test_parsing_ends_in_an_exit_code(words: list[str], code: int) -> None:
    assert main(words) == code


def test_the_unexpected_is_1_and_one_sentence(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def fail(arguments: list[str]) -> int:
        raise RuntimeError("this cannot be")

    monkeypatch.setattr(cli, "_dispatch", fail)
    assert main(["x"]) == 1
    err = capsys.readouterr().err
    assert "this cannot be" in err
    assert "Traceback" not in err
    assert main(["x", "-v"]) == 1
    assert "Traceback" in capsys.readouterr().err


def test_manifest_shows_the_document(capsys: pytest.CaptureFixture[str], engine_path: Path) -> None:
    assert main(["manifest", str(engine_path)]) == 0
    assert json.loads(capsys.readouterr().out)["classes"] == list(planted.CLASSES)
    assert main(["manifest", "no.onnx"]) == 5


def test_probe_shows_the_source(capsys: pytest.CaptureFixture[str], video_path: Path) -> None:
    assert main(["probe", str(video_path)]) == 0
    assert json.loads(capsys.readouterr().out)["codec"] == "h264"
    assert main(["probe", "no.mp4"]) == 3
    assert main(["probe", "no.mp4", str(video_path)]) == 4


def test_probe_takes_the_sources_of_a_run(
    capsys: pytest.CaptureFixture[str], video_path: Path, tmp_path: Path
) -> None:
    (tmp_path / "deep").mkdir()
    for name in ("a.MP4", "deep/b.mp4"):
        (tmp_path / name).symlink_to(video_path)
    (tmp_path / "list.txt").write_text("a.MP4\n")
    (tmp_path / "bad.mkv").touch()
    assert main(["probe", str(tmp_path)]) == 4
    out, err = capsys.readouterr()
    assert [json.loads(line)["name"] for line in out.splitlines()] == [str(tmp_path / "a.MP4")]
    assert err.splitlines() == [
        f"wsgn-run: {tmp_path}: left out: 1 file that does not look like a video (.txt 1), "
        "1 link to what is read already.",
        f"wsgn-run: error: {tmp_path / 'bad.mkv'} is empty (0 bytes).",
    ]
    for source in (f"{tmp_path}/**/b.*", f"{tmp_path}/list.txt", f"file://{tmp_path}/deep/b.mp4"):
        assert main(["probe", source]) == 0
    assert main(["probe", f"{tmp_path}/*.avi"]) == 3
    assert main(["probe", "rtsp://camera"]) == 2
    assert "is a live source" in capsys.readouterr().err


def test_a_terminal_gets_a_table(
    command: list[str], environment: dict[str, str], engine_path: Path, video_path: Path
) -> None:
    pty = pytest.importorskip("pty", reason="needs pseudo-terminals")
    ours, theirs = pty.openpty()
    process = subprocess.Popen(
        [*command, "planted.mp4", "-e", str(engine_path)],
        cwd=video_path.parent,
        stdout=theirs,
        stderr=subprocess.DEVNULL,
        env=environment | {"PYTHONIOENCODING": "utf-8"},
    )
    os.close(theirs)
    shown = b""
    while True:
        try:
            part = os.read(ours, 4096)
        except OSError:
            # What Linux says at the end of a terminal.
            break
        if not part:
            break
        shown += part
    os.close(ours)
    assert process.wait() == 0
    assert shown.decode().replace("\r\n", "\n") == (
        "planted.mp4  (0:12.0)\n"
        "  label   start     end  length  score\n"
        f"  red    0:02.0  0:05.0   3.0 s  0.961  {'─' * 5}{'█' * 8}{'─' * 19}\n"
        f"  blue   0:08.0  0:10.0   2.0 s  0.944  {'─' * 21}{'█' * 6}{'─' * 5}\n"
        "\n"
    )


@pytest.mark.parametrize(
    ("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)], ids=["SIGINT", "SIGTERM"]
)
def test_a_signal_flushes_partial_results(
    command: list[str],
    environment: dict[str, str],
    engine_path: Path,
    tmp_path: Path,
    number: signal.Signals,
    code: int,
) -> None:
    video = planted.write_video(tmp_path / "v.mkv")
    process = subprocess.Popen(
        [*command, "-", "-e", str(engine_path), "-o", str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    # The pipe stays open: the source has not ended when the signal comes.
    process.stdin.write(video.read_bytes())
    process.stdin.flush()
    lines = []
    for line in process.stdout:
        lines.append(line)
        if b'"segment"' in line:
            break
    process.send_signal(number)
    lines += process.stdout.readlines()
    assert process.wait() == code
    process.stdin.close()
    events = [json.loads(line) for line in lines]
    final = [event for event in events if event["type"] == "segment" and event["final"]]
    assert [event["label"] for event in final][:1] == ["red"]
    assert final[0]["reason"] == "signal"
    assert events[-1]["type"] == "end"
    assert not events[-1]["complete"]
    (kept,) = (tmp_path / "out").iterdir()
    assert kept.name == "stdin.partial.jsonl"
    assert len(kept.read_text().splitlines()) == len(events)


def test_a_second_signal_ends_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    before = signal.getsignal(signal.SIGINT)
    with stop_on_signals() as stop:
        signal.raise_signal(signal.SIGINT)
        assert stop.requested
        assert codes == []
        signal.raise_signal(signal.SIGTERM)
    assert codes == [143]
    assert signal.getsignal(signal.SIGINT) is before


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_a_hang_up_ends_in_order_however_often_it_comes(monkeypatch: pytest.MonkeyPatch) -> None:
    codes: list[int] = []
    monkeypatch.setattr(os, "_exit", codes.append)
    with stop_on_signals(KeptSignal()) as stop:
        assert not stop.requested
        for _ in range(2):
            signal.raise_signal(signal.SIGHUP)
        assert (stop.requested, stop.signal_number, codes) == (True, signal.SIGHUP, [])
        signal.raise_signal(signal.SIGINT)
    assert codes == [130]
    # nohup
    before = signal.signal(signal.SIGHUP, signal.SIG_IGN)
    try:
        with stop_on_signals(KeptSignal()) as stop:
            signal.raise_signal(signal.SIGHUP)
            assert not stop.requested
    finally:
        signal.signal(signal.SIGHUP, before)


@pytest.mark.skipif(sys.platform == "win32", reason="needs signals")
def test_killing_leaves_a_valid_prefix(
    command: list[str], environment: dict[str, str], engine_path: Path, tmp_path: Path
) -> None:
    video = planted.write_video(tmp_path / "v.mkv")
    process = subprocess.Popen(
        [*command, "-", "-e", str(engine_path), "-o", str(tmp_path / "out")],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        env=environment,
    )
    assert process.stdin is not None
    assert process.stdout is not None
    process.stdin.write(video.read_bytes())
    process.stdin.flush()
    for line in process.stdout:
        if b'"segment"' in line:
            break
    process.kill()
    process.communicate()
    (temporary,) = (tmp_path / "out").iterdir()
    assert temporary.name.endswith(".tmp")
    events = [json.loads(line) for line in temporary.read_text().splitlines()]
    assert "segment" in {event["type"] for event in events}


def test_torch_is_not_needed(
    command: list[str], environment: dict[str, str], engine_path: Path, video_path: Path
) -> None:
    code = """
import sys

class Refuse:
    def find_spec(self, name, path=None, target=None):
        if name.partition(".")[0] in ("torch", "onnx", "onnxscript", "safetensors", "triton"):
            raise ImportError(name)

sys.meta_path.insert(0, Refuse())
from wsgn.runtime.cli.main import main
assert not {"onnxruntime", "tqdm"} & set(sys.modules)
status = main(sys.argv[1:])
assert "torch" not in sys.modules
sys.exit(status)
"""
    done = subprocess.run(
        [sys.executable, "-c", code, str(video_path), "-e", str(engine_path)],
        env=environment,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert '"label": "blue"' in done.stdout
