"""`wsgn-run` over live sources: exit codes, words, and what becomes of its files."""

from __future__ import annotations

import json
import os
import pty
import signal
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
from clips import Clip
from commands import HANG_SECONDS
from places import ROOT
from rtsp_server import Camera, RtspServer
from servers import free_port

from wsgn.errors import EngineError
from wsgn.runtime.cli import live
from wsgn.runtime.cli.main import main
from wsgn.runtime.events import (
    DroppedEvent,
    EndEvent,
    ErrorEvent,
    Event,
    SegmentEvent,
    SourceEvent,
    StatusEvent,
)
from wsgn.runtime.live.streams import Streams
from wsgn.support.file_locks import LockFile

A, B = "rtsp://10.0.0.5/a", "rtsp://10.0.0.5/b"


def opened(source: str) -> Event:
    return SourceEvent(
        source=source,
        duration_seconds=None,
        frame_rate=25.0,
        codec="h264",
        width=320,
        height=240,
        rotation_degrees=0,
        live=True,
    )


def changed(source: str, state: str, cause: str | None = None) -> Event:
    return StatusEvent(
        source=source, state=state, cause=cause, at_seconds=1.0, attempt=1, message=f"is {state}."
    )


def failed(source: str, code: str = "lost") -> Event:
    return ErrorEvent(source=source, code=code, message=f"{source}: it is given up.")


def ended(source: str) -> Event:
    return EndEvent(
        source=source,
        complete=True,
        seconds=1.0,
        frames=10,
        snippets=2,
        segments=0,
        decode_failures=0,
    )


def dropped(source: str) -> Event:
    return DroppedEvent(
        source=source,
        from_seconds=0.0,
        to_seconds=1.0,
        snippets=2,
        pictures=0,
        cause="late",
        at_seconds=1.0,
    )


Script = Callable[["Played"], Iterator[Event]]


class Played(Streams):
    """Streams that say what a test has written."""

    script: Script

    def events(self) -> Iterator[Event]:
        yield from type(self).script(self)

    def tick(self) -> None:
        """What the thread that takes the events does twice a second."""
        self._on_tick()

    def interrupt(self) -> None:
        """Ctrl-C."""
        os.kill(os.getpid(), signal.SIGINT)


@pytest.fixture
def run_events(monkeypatch: pytest.MonkeyPatch) -> Callable[..., int]:
    """A run of `a` and `b` in which this happens; its exit code."""

    def run(script: Script, *words: str) -> int:
        monkeypatch.setattr(Played, "script", staticmethod(script), raising=False)
        monkeypatch.setattr(live, "Streams", Played)
        lists = [word for word in words if word.endswith(".toml")]
        others = [word for word in words if word not in lists]
        names = ["--source-name", "a", "--source-name", "b"]
        return main([A, B, *lists, *names, "-e", "demo", *others])

    return run


def of(*events: Event) -> Script:
    return lambda streams: iter(events)


def until_ctrl_c(*events: Event) -> Script:
    def script(streams: Played) -> Iterator[Event]:
        yield from events
        streams.interrupt()

    return script


BOTH = (opened("a"), opened("b"))


@pytest.mark.parametrize(
    ("script", "words", "code"),
    [
        # --end is reached.
        (of(*BOTH, ended("a"), ended("b")), [], 0),
        (until_ctrl_c(*BOTH), [], 130),
        # Lost and back, late: only --strict minds, and then more than it minds the signal.
        (until_ctrl_c(*BOTH, changed("a", "lost", "timeout"), changed("a", "restored")), [], 130),
        (until_ctrl_c(*BOTH, changed("a", "lost", "timeout")), ["--strict"], 4),
        (until_ctrl_c(*BOTH, dropped("a")), ["--strict"], 4),
        (until_ctrl_c(*BOTH), ["--strict"], 130),
        # A source that never came yet was not lost.
        (until_ctrl_c(opened("a"), changed("b", "waiting", "refused")), ["--strict"], 130),
        # One is given up, the others go on to their end.
        (of(*BOTH, failed("a"), ended("a"), ended("b")), [], 4),
        (of(opened("a"), failed("a"), ended("a"), failed("b"), ended("b")), [], 4),
        (of(failed("a", "no_video_stream"), ended("a"), failed("b"), ended("b")), [], 3),
        (of(failed("a", "no_video_stream"), ended("a")), ["--strict"], 3),
        (until_ctrl_c(*BOTH, failed("a")), [], 130),
    ],
)
def test_exit_codes(
    run_events: Callable[..., int], script: Script, words: list[str], code: int
) -> None:
    assert run_events(script, *words) == code


def test_a_run_of_which_no_source_opens_ends(
    run_events: Callable[..., int],
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    def script(streams: Played) -> Iterator[Event]:
        yield changed("a", "waiting", "refused")
        yield changed("b", "waiting", "not_found")
        streams.tick()
        assert not streams._stop.requested
        monkeypatch.setattr(live, "_FIRST_PICTURE_SECONDS", -1.0)
        streams.tick()
        assert streams._stop.requested

    assert run_events(script) == 3
    assert "a (refused), b (not_found)" in capsys.readouterr().err
    monkeypatch.setattr(live, "_FIRST_PICTURE_SECONDS", 60.0)

    def with_attempts(streams: Played) -> Iterator[Event]:
        monkeypatch.setattr(live, "_FIRST_PICTURE_SECONDS", -1.0)
        streams.tick()
        # --reconnect says how long.
        assert not streams._stop.requested
        yield from BOTH

    assert run_events(with_attempts, "--reconnect", "5") == 0


def test_the_first_failure_ends_a_run_that_is_to_fail_fast(
    run_events: Callable[..., int],
) -> None:
    seen = []

    def script(streams: Played) -> Iterator[Event]:
        yield opened("b")
        yield failed("a")
        seen.append(streams._stop.requested)

    assert run_events(script, "--fail-fast") == 4
    assert seen == [True]


def test_what_has_ended_may_leave_the_list_and_what_was_given_up_begins_again(
    run_events: Callable[..., int], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "cameras.toml"

    def write(*names: str) -> None:
        path.write_text("".join(f'[{name}]\nurl = "rtsp://10.0.0.7/{name}"\n' for name in names))

    def script(streams: Played) -> Iterator[Event]:
        for source in ("c", "d"):
            yield opened(source)
            yield failed(source)
            yield ended(source)
            # As where they had been played.
            streams.remove(source)
        write("d", "e")
        os.kill(os.getpid(), signal.SIGHUP)
        streams.tick()
        assert streams.names == ["a", "b", "d", "e"]
        streams.interrupt()

    write("c", "d")
    assert run_events(script, str(path)) == 130


def test_a_shard_takes_its_own_sources_also_when_the_list_is_read_again(
    run_events: Callable[..., int], tmp_path: Path
) -> None:
    path = tmp_path / "cameras.toml"

    def write(*names: str) -> None:
        path.write_text("".join(f'[{name}]\nurl = "rtsp://10.0.0.7/{name}"\n' for name in names))

    def script(streams: Played) -> Iterator[Event]:
        assert streams.names == ["b", "d"]
        # What is added at the end moves none of the others.
        for names, expected in (("cdef", "bdf"), ("cdefg", "bdf"), ("xcdef", "bce"), ("c", "b")):
            write(*names)
            os.kill(os.getpid(), signal.SIGHUP)
            streams.tick()
            assert sorted(streams.names) == [*expected]
        yield from ()

    write("c", "d")
    state = tmp_path / "state"
    other = LockFile(state / "a.state.lock")
    state.mkdir()
    # Of another shard in the same folder.
    assert other.take()
    assert run_events(script, str(path), "--shard", "2/2", "--state", str(state)) == 0
    other.release()


def test_a_list_that_names_files_alone_changes_nothing(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cameras.txt"

    def script(streams: Played) -> Iterator[Event]:
        for text in ("a.mp4\n", ""):
            path.write_text(text)
            os.kill(os.getpid(), signal.SIGHUP)
            streams.tick()
            assert streams.names == ["10-0-0-5_1"]
        yield from ()

    monkeypatch.setattr(Played, "script", staticmethod(script), raising=False)
    monkeypatch.setattr(live, "Streams", Played)
    path.write_text("rtsp://10.0.0.5/1\n")
    assert main([str(path), "-e", "demo"]) == 0
    assert capsys.readouterr().err.count("The sources stay as they are.") == 2


@pytest.mark.parametrize("with_list", [False, True])
def test_a_hang_up_while_the_engine_loads_is_not_lost(
    run_events: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    with_list: bool,
) -> None:
    path = tmp_path / "cameras.toml"
    path.write_text('[c]\nurl = "rtsp://10.0.0.7/c"\n')
    opened_engine = live.open_engine

    def open_engine(*words: Any, **options: Any) -> Any:
        os.kill(os.getpid(), signal.SIGHUP)
        return opened_engine(*words, **options)

    def script(streams: Played) -> Iterator[Event]:
        assert streams._stop.requested != with_list
        streams.tick()
        yield from (ended("a"), ended("b"))

    monkeypatch.setattr(live, "open_engine", open_engine)
    code = run_events(script, *([str(path)] if with_list else []))
    assert code == (0 if with_list else 128 + signal.SIGHUP)
    out, err = capsys.readouterr()
    assert ("was read again" in err) == with_list
    assert [json.loads(line)["type"] for line in out.splitlines()] == ["run", "end", "end"]


IN_A_TERMINAL = """
import fcntl, sys, termios
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
from wsgn.runtime.cli.main import main
sys.exit(main(sys.argv[1:]))
"""


def test_a_terminal_that_goes_ends_a_run_in_order(tmp_path: Path) -> None:
    words = [str(ROOT / "runtime/demo/demo.mp4"), "-e", "demo", "--realtime", "-o", str(tmp_path)]
    terminal, inside = pty.openpty()
    with subprocess.Popen(
        [sys.executable, "-c", IN_A_TERMINAL, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdin=inside,
        stdout=inside,
        stderr=inside,
        start_new_session=True,
    ) as child:
        os.close(inside)
        # Its segment is for the terminal, and comes when that has gone.
        wait_for(lambda: "start" in kinds_of(tmp_path, "demo"))
        os.close(terminal)
        assert child.wait(HANG_SECONDS) == 128 + signal.SIGHUP
    kinds = kinds_of(tmp_path, "demo")
    assert (kinds.count("segment"), kinds[-1]) == (kinds.count("start"), "end")


def test_a_state_of_a_source_that_begins_later_is_warned_of(
    run_events: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "cameras.toml"

    def script(streams: Played) -> Iterator[Event]:
        (tmp_path / "state" / "d.state.npz").write_text("no state")
        path.write_text('[d]\nurl = "rtsp://10.0.0.7/d"\n')
        os.kill(os.getpid(), signal.SIGHUP)
        streams.tick()
        streams.tick()
        yield opened("d")

    path.write_text('[c]\nurl = "rtsp://10.0.0.7/c"\n')
    assert run_events(script, str(path), "--state", str(tmp_path / "state")) == 0
    lines = [json.loads(line) for line in capsys.readouterr().out.splitlines()]
    assert [(line["type"], line.get("code")) for line in lines] == [
        ("run", None), ("warning", "state_unreadable"), ("source", None),
    ]  # fmt: skip


def test_a_state_that_another_run_keeps_is_not_touched(
    run_events: Callable[..., int], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    listed, state = tmp_path / "cameras.toml", tmp_path / "state"
    words = [str(listed), "--state", str(state), "-o", str(tmp_path / "out")]
    state.mkdir()
    others = LockFile(state / "c.state.lock")
    assert others.take()
    # Found at the start: nothing is read, and no file written.
    listed.write_text('[c]\nurl = "rtsp://10.0.0.7/c"\n')
    assert run_events(of(*BOTH), *words) == 6
    out, err = capsys.readouterr()
    assert (out, err.count("another run keeps the state of 'c'")) == ("", 1)
    assert not (tmp_path / "out").exists()

    def script(streams: Played) -> Iterator[Event]:
        listed.write_text(listed.read_text() + '[c]\nurl = "rtsp://10.0.0.7/c"\n')
        for names in (["a", "b", "d"], ["a", "b", "d"], ["a", "b", "d", "c"]):
            if "c" in names:
                others.release()
            os.kill(os.getpid(), signal.SIGHUP)
            streams.tick()
            assert streams.names == names
        yield from BOTH

    # Found when the list is read again: the others go on, and it is tried at each reading.
    listed.write_text('[d]\nurl = "rtsp://10.0.0.7/d"\n')
    assert run_events(script, *words) == 0
    assert capsys.readouterr().err.count("another run keeps the state of 'c'") == 2
    assert [*state.iterdir()] == []


def test_an_engine_that_fails_ends_the_run_and_what_was_learned_stays(
    run_events: Callable[..., int], tmp_path: Path
) -> None:
    saved: list[bool] = []

    def script(streams: Played) -> Iterator[Event]:
        yield from BOTH
        streams.snapshot = lambda: saved.append(True) or {}  # type: ignore[method-assign, func-returns-value]
        raise EngineError("the engine gave NaN.")

    assert run_events(script, "--state", str(tmp_path)) == 5
    assert saved == [True]


def test_words_say_what_happens_to_which_source(
    run_events: Callable[..., int], capsys: pytest.CaptureFixture[str]
) -> None:
    assert run_events(of(*BOTH, changed("a", "lost", "timeout"), failed("b")), "-v") == 4
    out, err = capsys.readouterr()
    assert "wsgn-run: a: is lost." in err
    assert "wsgn-run: error: b: it is given up." in err
    assert "wsgn-run: error: 1 of 2 sources failed: b." in err
    assert "what waits for the engine takes at most" in err
    kinds = [(line["type"], line.get("source")) for line in map(json.loads, out.splitlines())]
    assert kinds == [
        ("run", None), ("source", "a"), ("source", "b"), ("status", "a"), ("error", "b"),
    ]  # fmt: skip


def test_a_terminal_shows_a_line_per_segment(
    run_events: Callable[..., int],
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def segment(final: bool) -> Event:
        return SegmentEvent(
            source="a", id=1, rev=0, label="wave\x1b", start_seconds=1.0, end_seconds=3.5,
            score=0.5, final=final, at_seconds=5.0, reason="threshold",
            start_unix_seconds=1795907066.5, end_unix_seconds=1795907069.0,
        )  # fmt: skip

    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    assert run_events(of(*BOTH, segment(False), segment(True))) == 0
    assert capsys.readouterr().out == "2026-11-28 23:04:26  a  wave\\u001b  2.5 s  0.50\n"


def test_stdout_on_a_full_disk_does_not_end_the_run(
    run_events: Callable[..., int],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    with Path("/dev/full").open("w") as full:
        monkeypatch.setattr(sys, "stdout", full)
        # The first line says whether stdout can be written at all.
        monkeypatch.setattr(live, "_open_report", lambda console: LateReport())
        assert run_events(of(*BOTH, ended("a"), ended("b")), "-o", str(tmp_path)) == 6
        os.dup2(os.open(os.devnull, os.O_WRONLY), full.fileno())
    assert capsys.readouterr().err.count("no space left on device") == 1
    (path,) = tmp_path.glob("a.*.jsonl")
    assert [json.loads(line)["type"] for line in path.read_text().splitlines()] == [
        "run", "source", "end",
    ]  # fmt: skip


class LateReport(live.JsonLinesReport):
    """Begins when the run has."""

    def begin_run(self, event: Any) -> None:
        """Nothing."""


def lines_of(folder: Path, source: str) -> list[dict[str, Any]]:
    """What the files of a source hold."""
    paths = sorted(folder.glob(f"{source}.*jsonl"))
    return [json.loads(line) for path in paths for line in path.read_text("utf-8").splitlines()]


def kinds_of(folder: Path, source: str) -> list[str]:
    return [line["type"] for line in lines_of(folder, source)]


def wait_for(seen: Callable[[], object]) -> None:
    """Until something is there; what hangs is an error."""
    deadline = time.monotonic() + 60
    while not seen():
        assert time.monotonic() < deadline
        time.sleep(0.02)


class Beside:
    """Does something in another thread while a run is the main one, and ends the run then."""

    def __init__(self, work: Callable[[], None], number: signal.Signals = signal.SIGTERM) -> None:
        self._work = work
        self._number = number
        self._problem: BaseException | None = None
        self._thread = threading.Thread(target=self._run)

    def __enter__(self) -> None:
        self._thread.start()

    def __exit__(self, *_: object) -> None:
        self._thread.join()
        if self._problem is not None:
            raise self._problem

    def _run(self) -> None:
        try:
            self._work()
        except BaseException as error:
            self._problem = error
        os.kill(os.getpid(), self._number)


def test_a_list_is_read_again_on_sighup(
    tmp_path: Path,
    server: RtspServer,
    door: Camera,
    clip: Clip,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    yard = server.add("yard", clip)
    cameras, output, state = (tmp_path / name for name in ("cameras.toml", "out", "state"))
    said: list[str] = []
    monkeypatch.setattr(live.Console, "_write", lambda self, text: said.append(text))

    def write(text: str) -> None:
        cameras.write_text(text)
        os.kill(os.getpid(), signal.SIGHUP)

    def change() -> None:
        wait_for(lambda: "source" in kinds_of(output, "door"))
        write("[door]")
        wait_for(lambda: any("The sources stay as they are" in text for text in said))
        write(f'[yard]\nurl = "{yard.url}"\n')
        wait_for(lambda: "source" in kinds_of(output, "yard"))
        # The name stays, and what it stands for does not.
        write(f'[yard]\nurl = "{door.url}"\n')
        wait_for(lambda: kinds_of(output, "yard").count("source") == 2)
        # What is gone may be another run's from now on.
        assert [path.name for path in state.glob("*.lock")] == ["yard.state.lock"]

    cameras.write_text(f'[door]\nurl = "{door.url}"\n')
    words = ["-e", "demo", "-o", str(output), "--state", str(state)]
    with Beside(change):
        assert main([str(cameras), *words]) == 143
    assert "1 begin, 1 are gone" in "".join(said)
    assert "1 begin, 0 are gone" in "".join(said)
    assert kinds_of(output, "door")[-1] == kinds_of(output, "yard")[-1] == "end"
    names = ["door.state.npz", "yard.state.npz", "yard.state.npz.old"]
    assert sorted(path.name for path in state.iterdir()) == names


RUN = """
import sys
from wsgn.runtime.cli import live_state
from wsgn.runtime.cli.main import main
live_state._INTERVAL_SECONDS = 0.1
sys.exit(main(sys.argv[1:]))
"""


def started(*words: str) -> subprocess.Popen[str]:
    """A run in a process of its own, which saves states without pause."""
    return subprocess.Popen(
        [sys.executable, "-c", RUN, *words],
        env=os.environ | {"PYTHONPATH": str(ROOT)},
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def test_what_was_killed_goes_on_from_its_state(tmp_path: Path, door: Camera) -> None:
    state, output = tmp_path / "state", tmp_path / "out"
    words = [door.url, "-e", "demo", "--source-name", "door", "-o", str(output)]
    words += ["--state", str(state), "--rotate", "never", "-q"]
    with started(*words) as child:
        wait_for((state / "door.state.npz").exists)
        child.kill()
        child.communicate(timeout=HANG_SECONDS)
    assert child.returncode == -signal.SIGKILL

    def until_it_plays() -> None:
        wait_for(lambda: kinds_of(output, "door").count("source") == 2)

    with Beside(until_it_plays, signal.SIGINT):
        assert main(words) == 130
    first, second = (line for line in lines_of(output, "door") if line["type"] == "source")
    assert (first["epoch"], first["resumed"]) == (0, False)
    assert second["resumed"]
    assert second["epoch"] > 0
    # The same clock: media time 0 is where it was, but for the second that opening takes.
    assert second["start_unix_seconds"] == pytest.approx(first["start_unix_seconds"], abs=10.0)
    assert [path.name for path in state.iterdir()] == ["door.state.npz"]


def test_where_nobody_answers_attempts_are_counted(capsys: pytest.CaptureFixture[str]) -> None:
    address = f"rtsp://cam:secret@127.0.0.1:{free_port()}/door"
    assert main([address, "-e", "demo", "--reconnect", "1"]) == 3
    out, err = capsys.readouterr()
    kinds = [json.loads(line)["type"] for line in out.splitlines()]
    assert kinds == ["run", "status", "error", "end"]
    assert "secret" not in out + err


def test_who_closes_stdout_does_not_hear_of_it(door: Camera) -> None:
    with started(door.url, "-e", "demo", "-q") as child:
        assert child.stdout is not None
        assert child.stderr is not None
        child.stdout.readline()
        child.stdout.close()
        assert child.stderr.read() == ""
        assert child.wait(HANG_SECONDS) == 6


def test_a_dry_run_opens_nothing(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    address = f"rtsp://cam:secret@127.0.0.1:{free_port()}/door"
    output = tmp_path / "out"
    assert main([address, "-e", "demo", "--dry-run", "-o", str(output)]) == 0
    shown = capsys.readouterr().out
    assert "127-0-0-1_door: rtsp://127.0.0.1" in shown
    assert f"{output}/127-0-0-1_door.20" in shown
    assert "secret" not in shown
    assert not output.exists()
