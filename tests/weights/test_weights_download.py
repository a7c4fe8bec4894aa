"""Downloads from a server on this machine: whole and checked, or nothing."""

from __future__ import annotations

import hashlib
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

import pytest

from wsgn.errors import InputError, OutputError, UsageError
from wsgn.weights.download import download_file, download_weights
from wsgn.weights.published import PUBLISHED, PublishedFile, PublishedWeights

CONTENT = bytes(range(256)) * 5000
SHA256 = hashlib.sha256(CONTENT).hexdigest()


class Handler(BaseHTTPRequestHandler):
    """A file, and the ways in which a server can fail to give it."""

    def do_GET(self) -> None:
        if self.path.startswith("/away"):
            self.send_response(302)
            self.send_header("Location", "http://example.org/file.pt")
            self.end_headers()
            return
        if self.path.startswith("/missing"):
            self.send_error(404)
            return
        self.send_response(200)
        self.send_header("Content-Length", str(len(CONTENT)))
        self.end_headers()
        content = CONTENT
        if self.path.startswith("/short"):
            content = CONTENT[:70_000]
        elif self.path.startswith("/damaged"):
            content = CONTENT[:-1] + b"\0"
        self.wfile.write(content)

    def log_message(self, format: str, *args: object) -> None:
        """Quiet."""


@pytest.fixture(scope="module")
def server() -> Iterator[str]:
    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    server.server_close()


def published(url: str) -> PublishedFile:
    return PublishedFile(url=url, sha256_start=SHA256[:8], size_bytes=len(CONTENT))


def test_a_file_arrives_whole(server: str, tmp_path: Path) -> None:
    path = download_file(published(f"{server}/good/file.pt"), tmp_path / "new")
    assert path.read_bytes() == CONTENT
    assert list(path.parent.iterdir()) == [path]


@pytest.mark.parametrize(
    ("place", "error", "sentence"),
    [
        ("short", InputError, "ended after 70,000 of 1,280,000 bytes"),
        ("damaged", InputError, "checksum is not the published one"),
        ("missing", InputError, "cannot be downloaded: Not Found"),
        ("away", UsageError, "over https only, not from http://example.org"),
    ],
)
def test_nothing_is_kept_of_a_failure(
    server: str, tmp_path: Path, place: str, error: type[Exception], sentence: str
) -> None:
    with pytest.raises(error, match=sentence):
        download_file(published(f"{server}/{place}/file.pt"), tmp_path)
    assert list(tmp_path.iterdir()) == []


def test_a_file_of_another_size_is_refused(server: str, tmp_path: Path) -> None:
    file = PublishedFile(url=f"{server}/good/file.pt", sha256_start=SHA256[:8], size_bytes=99)
    with pytest.raises(InputError, match=r"1,280,000 bytes instead of 99"):
        download_file(file, tmp_path)


def test_a_file_that_is_there_is_checked_only(tmp_path: Path) -> None:
    # Nobody listens at this address.
    file = published("http://127.0.0.1:9/file.pt")
    (tmp_path / "file.pt").write_bytes(CONTENT)
    assert download_file(file, tmp_path).read_bytes() == CONTENT
    (tmp_path / "file.pt").write_bytes(b"mine")
    with pytest.raises(OutputError, match="is another file"):
        download_file(file, tmp_path)
    assert (tmp_path / "file.pt").read_bytes() == b"mine"


def test_a_silent_server_is_an_error(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="cannot be downloaded"):
        download_file(published("http://127.0.0.1:9/file.pt"), tmp_path)


@pytest.mark.parametrize("url", ["http://example.org/file.pt", "file:///etc/passwd", "ftp://a/b"])
def test_only_https_leaves_this_machine(tmp_path: Path, url: str) -> None:
    with pytest.raises(UsageError, match="https only"):
        download_file(published(url), tmp_path)


def test_files_of_one_checkpoint_get_a_folder(server: str, tmp_path: Path) -> None:
    files = tuple(published(f"{server}/good/{name}") for name in ("a.index", "a.data"))
    weights = PublishedWeights(
        name="somebody/both", kind="i3d-rgb", licence="MIT", trained_on="nothing", files=files
    )
    paths = download_weights(weights, tmp_path)
    assert paths == [tmp_path / "both" / "a.index", tmp_path / "both" / "a.data"]


def test_every_published_file_comes_over_https_with_one_checksum() -> None:
    for file in (file for entry in PUBLISHED for file in entry.files):
        assert file.url.startswith("https://")
        assert (len(file.git_blob), len(file.sha256_start)) in ((40, 0), (0, 8), (0, 64))
