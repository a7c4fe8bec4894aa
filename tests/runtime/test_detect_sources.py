"""What `detect` and the command take for a source, alike."""

from __future__ import annotations

import functools
import http.server
import io
import os
import shutil
import sys
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from outcomes import Run

from wsgn.engines.engine import Engine
from wsgn.errors import UsageError
from wsgn.runtime import detect, detect_frames, open_engine
from wsgn.video import VideoError


@pytest.fixture(scope="module")
def engine(engine_path: Path) -> Iterator[Engine]:
    with open_engine(engine_path) as opened:
        yield opened


def labels(source: Any, engine: Engine) -> list[str]:
    """Labels of the final segments."""
    return [
        event.label for event in detect(source, engine) if event.type == "segment" and event.final
    ]


class _Quiet(http.server.SimpleHTTPRequestHandler):
    def log_message(self, format: str, *words: Any) -> None:
        """Nothing."""


@pytest.fixture
def server(tmp_path: Path, video_path: Path) -> Iterator[str]:
    """The address of a folder on this machine."""
    shutil.copy(video_path, tmp_path / "a film.mp4")
    (tmp_path / "watch").write_text("<!DOCTYPE html><html><body>a film</body></html>")
    handler = functools.partial(_Quiet, directory=str(tmp_path))
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), handler) as httpd:
        thread = threading.Thread(target=httpd.serve_forever)
        thread.start()
        yield f"http://127.0.0.1:{httpd.server_port}"
        httpd.shutdown()
        thread.join()


def test_an_http_address_of_a_file_is_read(
    run: Run, engine: Engine, server: str, tmp_path: Path
) -> None:
    address = f"{server}/a%20film.mp4?token=x#t=3"
    assert labels(address, engine) == ["red", "blue"]
    outcome = run(address, "-o", tmp_path / "out", "-f", "json")
    assert outcome.code == 0
    assert [event["label"] for event in outcome.of_type("segment") if event["final"]] == [
        "red",
        "blue",
    ]
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["a film.json"]


@pytest.mark.parametrize(
    ("page", "code", "words"),
    [("watch", "not_a_video", "yt-dlp"), ("none.mp4", "not_opened", "cannot be opened")],
)
def test_a_page_or_nothing_at_an_address_is_a_sentence(
    run: Run, engine: Engine, server: str, page: str, code: str, words: str
) -> None:
    with pytest.raises(VideoError, match=words) as caught:
        labels(f"{server}/{page}", engine)
    assert caught.value.code == code
    outcome = run(f"{server}/{page}")
    assert outcome.code == 3
    assert outcome.of_type("error")[0]["code"] == code


def test_a_user_and_a_password_in_an_address_are_not_shown(
    run: Run, engine: Engine, server: str
) -> None:
    address = f"{server}/a%20film.mp4".replace("//", "//user:secret@")
    events = list(detect(address, engine))
    assert "secret" not in repr(events)
    assert "secret" not in repr(run(address).events)


@pytest.mark.parametrize("host", ["", "localhost", "LOCALHOST"])
def test_a_file_address_is_the_file(
    run: Run, engine: Engine, tmp_path: Path, video_path: Path, host: str
) -> None:
    shutil.copy(video_path, tmp_path / "a b%20c.mp4")
    address = f"file://{host}{tmp_path}/a%20b%2520c.mp4"
    assert labels(address, engine) == ["red", "blue"]
    outcome = run(address)
    assert outcome.code == 0
    assert outcome.of_type("source")[0]["source"] == str(tmp_path / "a b%20c.mp4")


def test_a_file_of_another_machine_is_refused(run: Run, engine: Engine) -> None:
    with pytest.raises(UsageError, match="another machine"):
        labels("file://server/share/a.mp4", engine)
    assert run("file://server/share/a.mp4").code == 2


@pytest.mark.parametrize("source", ["0", "/dev/video77", "rtsp://u:secret@camera/1", "udp://@:1"])
def test_live_sources_are_no_files(engine: Engine, source: str) -> None:
    with pytest.raises(UsageError, match=r"is a live source.*detect_live") as caught:
        labels(source, engine)
    assert "secret" not in str(caught.value)


def test_a_file_that_is_named_like_one_of_these_is_the_file(
    run: Run, engine: Engine, tmp_path: Path, video_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "rtsp:").mkdir()
    for name in ("0", "rtsp:/a.mp4", "-"):
        shutil.copy(video_path, tmp_path / name)
    for name in ("0", "rtsp://a.mp4", "./-", Path("-")):
        assert labels(name, engine) == ["red", "blue"]
    outcome = run("0", "rtsp://a.mp4", "./-")
    assert outcome.code == 0
    assert len(outcome.of_type("source")) == 3


def test_a_dash_is_stdin(engine: Engine, video_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with video_path.open() as file:
        monkeypatch.setattr(sys, "stdin", file)
        assert labels("-", engine) == ["red", "blue"]


class _Camera:
    """As OpenCV's."""

    def read(self, size: int = 0) -> tuple[bool, object]:
        return True, np.zeros((4, 4, 3), np.uint8)


@pytest.mark.parametrize(
    ("source", "kind"),
    [
        (np.zeros((9, 4, 4, 3), np.uint8), "numpy.ndarray"),
        (0, "int"),
        (None, "NoneType"),
        ([(0.0, np.zeros((4, 4, 3), np.uint8))], "list"),
        (b"video.mp4", "bytes"),
        (io.StringIO("text"), "StringIO"),
        (np.float64(3), "float64"),
    ],
)
def test_what_is_no_source_is_a_type_error_that_says_what_is(
    engine: Engine, source: object, kind: str
) -> None:
    with pytest.raises(TypeError, match=f"got a .*{kind}: frames in memory go to .*detect_frames"):
        labels(source, engine)


def test_an_object_whose_read_gives_no_bytes_is_a_sentence(engine: Engine) -> None:
    with pytest.raises(VideoError, match="its read\\(\\) gives tuple, not bytes"):
        labels(_Camera(), engine)


@pytest.mark.parametrize("source", ["a\0b.mp4", "\ud800.mp4", "n" * 5000])
def test_a_name_that_no_file_can_have_is_a_sentence(engine: Engine, source: str) -> None:
    with pytest.raises(VideoError):
        labels(source, engine)


def test_a_path_of_bytes_that_are_no_text_is_read(
    engine: Engine, tmp_path: Path, video_path: Path
) -> None:
    path = os.fsdecode(os.fsencode(tmp_path) + b"/\xff://\xfe.mp4")
    Path(path).parent.mkdir()
    shutil.copy(video_path, path)
    assert labels(path, engine) == ["red", "blue"]


@pytest.mark.parametrize("not_opened", ["demo.onnx", Path("demo.onnx"), None, 3])
def test_an_engine_that_was_not_opened_is_refused(not_opened: Any, video_path: Path) -> None:
    with pytest.raises(TypeError, match="open_engine"):
        detect(video_path, not_opened)
    with pytest.raises(TypeError, match="open_engine"):
        detect_frames([], not_opened)
