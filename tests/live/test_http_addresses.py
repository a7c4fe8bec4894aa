"""http addresses: files that break off are read to their end, live ones are told from them."""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread

import pytest
from clips import Clip
from places import ROOT
from reading import GRID, PATIENT_SECONDS
from servers import free_port
from stream_servers import HttpServer, transport_stream

from wsgn.runtime.cli.main import main
from wsgn.video import SampledFrame, VideoError, VideoReader
from wsgn.video.live.opening import ask_live

SAMPLE_PATH = ROOT / "runtime" / "demo" / "demo.mp4"
ENDLESS = ("door.mjpeg", "door.ts", "door.m3u8")


@contextmanager
def web_server(data: bytes, most: int) -> Iterator[tuple[str, list[int]]]:
    """A file, of which no answer holds more than so many bytes; where answers began."""
    begins: list[int] = []

    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"

        def do_GET(self) -> None:
            found = re.fullmatch(r"bytes=(\d+)-", self.headers.get("Range", "bytes=0-"))
            assert found is not None
            begin = int(found[1])
            begins.append(begin)
            rest = data[begin:]
            self.send_response(206)
            self.send_header("Content-Length", str(len(rest)))
            self.send_header("Accept-Ranges", "bytes")
            self.send_header("Content-Range", f"bytes {begin}-{len(data) - 1}/{len(data)}")
            self.end_headers()
            # It may have asked for another place.
            with suppress(OSError):
                self.wfile.write(rest[:most])
            self.close_connection = True

        def log_message(self, *_: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/film.mp4", begins
        server.shutdown()


def num_frames(source: str | Path) -> int:
    with VideoReader(source, GRID) as reader:
        return sum(isinstance(item, SampledFrame) for item in reader)


def test_a_server_that_breaks_off_in_a_file_is_asked_for_the_rest() -> None:
    data = SAMPLE_PATH.read_bytes()
    with web_server(data, 300_000) as (address, begins):
        assert num_frames(address) == num_frames(SAMPLE_PATH) == 300
        assert len(begins) >= len(data) / 300_000


def test_files_are_told_from_what_has_no_end(clip: Clip) -> None:
    film = transport_stream(clip, 0.0, 4.0)
    with web_server(film, len(film)) as (address, _):
        assert ask_live(address, PATIENT_SECONDS) is False
    with HttpServer() as server:
        for name in ENDLESS:
            camera = server.add(name, clip)
            camera.lead_seconds = 4.0
            assert ask_live(camera.url, PATIENT_SECONDS) is True


def test_a_server_of_one_connection_keeps_it_for_the_pictures(clip: Clip) -> None:
    words = ["-e", "demo", "-q", "--end", "0.5"]
    with HttpServer() as server:
        camera = server.add("door.mjpeg", clip)
        assert main([camera.url, *words, "--max-lag", "3"]) == 0
        assert camera.requests == ["GET"]
        # Where no option says that it is live, it has to be asked.
        assert main([camera.url, *words]) == 0
        assert camera.requests == ["GET"] * 3


def test_a_file_that_an_option_takes_for_live_is_refused(
    clip: Clip, capsys: pytest.CaptureFixture[str]
) -> None:
    film = transport_stream(clip, 0.0, 4.0)
    with web_server(film, len(film)) as (address, _):
        assert main([address.replace(".mp4", ""), "-e", "demo", "--max-lag", "3"]) == 3
        assert "is a file and no live source" in capsys.readouterr().err
        # Its name says it.
        assert main([address, "-e", "demo", "--max-lag", "3"]) == 2


def test_who_does_not_answer_is_neither() -> None:
    with pytest.raises(VideoError, match="cannot be opened: nothing listens there") as caught:
        ask_live(f"http://me:secret@127.0.0.1:{free_port()}/1", PATIENT_SECONDS)
    assert "secret" not in str(caught.value)
    assert caught.value.__cause__ is None
