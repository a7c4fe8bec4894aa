"""What a user put into an address to be let in stands in nothing that wsgn writes."""

from __future__ import annotations

import io
import json
import re
import threading
import time
import traceback
import urllib.request
import zipfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

import pytest
from cameras import Account, Camera, Fault
from clips import Clip
from reading import Reading
from rtsp_server import RtspServer
from servers import free_port
from stream_servers import HttpServer

from wsgn.runtime.cli.main import main
from wsgn.video import VideoError, probe

# Any part of it is too much; what a user types, and how it has to be typed.
MARK = "hUnter2"
TYPED = f"{MARK}@/{MARK}"
ESCAPED = f"{MARK}%40%2F{MARK}"


def leaks(folder: Path, *texts: str) -> list[str]:
    """Where the secret is."""
    found = [f"text: {line}" for text in texts for line in text.splitlines() if MARK in line]
    for path in folder.rglob("*"):
        if MARK in path.name:
            found.append(f"name: {path}")
        if path.is_file():
            data = path.read_bytes()
            if path.suffix == ".npz":
                with zipfile.ZipFile(io.BytesIO(data)) as archive:
                    data += b"".join(map(archive.read, archive.namelist()))
            if MARK.encode() in data:
                found.append(f"bytes: {path}")
    return found


@pytest.fixture
def cameras(clip: Clip) -> Iterator[dict[str, Camera]]:
    """Some let in who knows the secret; none knows what stands in a path or a query."""
    account = Account(user="cam", password=f"{MARK}@/{MARK}")
    with RtspServer() as rtsp, HttpServer() as http:
        path = f"user=admin_password={MARK}_channel=1_stream=0.sdp"
        yield {
            "digest": rtsp.add("digest", clip, account=account),
            "path": rtsp.add(path, clip),
            "query": http.add("query.ts", clip),
            "wrong": rtsp.add("wrong", clip, account=Account(user="cam", password="another")),
            "gone": rtsp.add("gone", clip),
        }


@dataclass
class Looked:
    """What a viewer was shown, by the path."""

    port: int
    texts: dict[str, str] = field(default_factory=dict)

    def look(self, path: str) -> None:
        """Read all of it, streams to their end; once there is a server."""
        until = time.monotonic() + 60
        while time.monotonic() < until:
            try:
                with urllib.request.urlopen(f"http://127.0.0.1:{self.port}/{path}") as answer:
                    self.texts[path] = answer.read().decode()
                return
            except OSError:
                time.sleep(0.01)


@contextmanager
def looked_at() -> Iterator[Looked]:
    """Somebody who looks on at a run's page, from its beginning to its end."""
    looked = Looked(free_port())
    streams = [
        threading.Thread(target=looked.look, args=(path,), daemon=True)
        for path in ("updates", "events")
    ]
    is_over = threading.Event()

    def look() -> None:
        looked.look("")
        while not is_over.wait(0.1) and streams[0].is_alive():
            looked.look("metrics")

    threads = [*streams, threading.Thread(target=look, daemon=True)]
    for thread in threads:
        thread.start()
    yield looked
    is_over.set()
    for thread in streams:
        thread.join(60)


def addresses(cameras: dict[str, Camera]) -> list[str]:
    cameras["gone"].fault = Fault(statuses={"DESCRIBE": "404 Not Found"})
    return [
        cameras["digest"].url_for("cam", ESCAPED),
        f"{cameras['path'].url}?real_stream",
        f"{cameras['query'].url}?channel=1&token={MARK}",
        cameras["wrong"].url_for("cam", ESCAPED),
        f"{cameras['gone'].url}?user=cam&password={MARK}",
        # libav cannot read it.
        cameras["digest"].url_for("cam", TYPED),
        f"rtsp://cam:{ESCAPED}@127.0.0.1:{free_port()}/refused",
        f"http://127.0.0.1:{free_port()}/door.mjpeg?key={MARK}",
    ]


def test_no_secret_is_written(
    cameras: dict[str, Camera], tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    pytest.importorskip("uvicorn", reason="needs the extra serve")
    words = ["-e", "demo", "-o", str(tmp_path / "out"), "--state", str(tmp_path / "state"), "-v"]
    words += ["--reconnect", "0", "--end", "1.5"]
    with looked_at() as page:
        code = main([*addresses(cameras), *words, "--serve", str(page.port)])
    out, err = capfd.readouterr()
    # All is told on it that is told of these sources.
    assert {"failed", "127-0-0-1_digest"} <= set(re.findall(r"[\w-]+", page.texts["updates"]))
    assert '"type": "end"' in page.texts["events"]
    assert "wsgn_source_up" in page.texts["metrics"]
    lines = [json.loads(line) for line in out.splitlines()]
    good = [line["source"] for line in lines if line["type"] == "end" and line["complete"]]
    assert len(good) == 3, err
    assert code == 4
    failed = {line["source"] for line in lines if line["type"] == "error"}
    assert len(failed) == 5
    assert len(list((tmp_path / "out").iterdir())) == 8
    assert len(list((tmp_path / "state").iterdir())) >= 3
    assert leaks(tmp_path, out, err, *page.texts.values()) == []
    # What is looked at holds what was looked for, were it there.
    (tmp_path / "planted").write_text(MARK)
    assert len(leaks(tmp_path, MARK)) == 2


def test_a_list_takes_secrets_from_the_environment(
    cameras: dict[str, Camera],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("DOOR_PASSWORD", ESCAPED)
    listed = tmp_path / "cameras.toml"
    good = cameras["digest"].url_for("cam", "${DOOR_PASSWORD}")
    bad = cameras["wrong"].url_for("cam", "${DOOR_PASSWORD}")
    listed.write_text(f'[door]\nurl = "{good}"\n[yard]\nurl = "{bad}"\n')
    words = ["-e", "demo", "--end", "0.5", "--reconnect", "0", "-o", str(tmp_path / "out"), "-v"]
    assert main([str(listed), *words]) == 4
    out, err = capfd.readouterr()
    assert '"source":"door"' in out.replace(" ", "")
    assert leaks(tmp_path, out, err) == []


@pytest.mark.parametrize("words", [["probe"], ["-v", "-e", "demo"], ["--dry-run", "-e", "demo"]])
def test_no_secret_is_shown_of_files(
    cameras: dict[str, Camera],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    words: list[str],
) -> None:
    server = cameras["query"].url.rpartition("/")[0]
    named = [
        f"{server}/film.mp4?token={MARK}".replace("//", f"//cam:{TYPED}@"),
        f"{server}/user=admin_password={MARK}.mp4?v={MARK}.{MARK}",
        f"rtsp:/cam:{MARK}@127.0.0.1/film",
        f"rtsp:cam:{MARK}@127.0.0.1/film",
        f"cam:{MARK}@127.0.0.1/film",
    ]
    listed = tmp_path / "films.txt"
    listed.write_text("\n".join(named))
    for address in (*named, str(listed)):
        main([*words, address])
    listed.unlink()
    out, err = capfd.readouterr()
    assert out + err
    assert leaks(tmp_path, out, err) == []


@pytest.mark.parametrize("kind", [RuntimeError, OSError])
def test_no_secret_is_in_what_nobody_has_foreseen(
    kind: type[Exception],
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def run(arguments: list[str], hang_up: object) -> int:
        try:
            raise kind(f"no: 'rtsp://cam:{TYPED}@10.0.0.1/x'")
        except kind as error:
            raise ValueError(f"http://10.0.0.1/x?key={MARK}: no") from error

    monkeypatch.setattr("wsgn.runtime.cli.run.run", run)
    assert main(["-v", "a.mp4"]) == 1
    out, err = capfd.readouterr()
    assert "Traceback" in err
    assert "rtsp://10.0.0.1/x" in err
    assert leaks(tmp_path, out, err) == []


def test_no_secret_is_raised(cameras: dict[str, Camera]) -> None:
    camera = cameras["wrong"]
    for address in (camera.url_for("cam", ESCAPED), f"{camera.url}nowhere?pwd={MARK}"):
        error = Reading(address, reconnect=0).wait_for_end()
        assert isinstance(error, VideoError)
        assert MARK not in "".join(traceback.format_exception(error))
    with pytest.raises(VideoError) as caught:
        probe(f"http://cam:{ESCAPED}@127.0.0.1:{free_port()}/a.mp4")
    assert MARK not in "".join(traceback.format_exception(caught.value))
