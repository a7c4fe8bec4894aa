"""An S3 server of Moto in this process, which notes every request and fails at will."""

from __future__ import annotations

import re
import socket
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest

# Of the client of the tests, whose requests are not counted.
_OWN = "wsgn-tests"
_KEY = "planted-key"
SECRET = "planted-secret"


@dataclass(frozen=True, kw_only=True)
class Request:
    """What somebody asked of the server, and how much came back."""

    method: str
    # "bucket/dir/a.mp4"; a listing has "bucket".
    path: str
    query: str
    # As the header says it; empty for a whole object.
    range: str
    status: int
    num_bytes: int


# The status that a request gets instead of an answer, 0 for a connection that is closed in the
# middle; None where nothing is wrong. Method and path.
Fault = Callable[[str, str], int | None]


@dataclass(kw_only=True)
class ObjectStore:
    """A server, its objects and what was asked of it."""

    url: str
    client: Any
    requests: list[Request] = field(default_factory=list)
    fault: Fault | None = None

    def put(self, bucket: str, key: str, data: bytes) -> str:
        """Put an object there, in a bucket that is made; its address."""
        self.bucket(bucket)
        self.client.put_object(Bucket=bucket, Key=key, Body=data)
        return f"s3://{bucket}/{key}"

    def bucket(self, name: str) -> str:
        """Make a bucket; its address."""
        self.client.create_bucket(Bucket=name)
        return f"s3://{name}"

    def get(self, bucket: str, key: str) -> bytes:
        """What an object holds."""
        data: bytes = self.client.get_object(Bucket=bucket, Key=key)["Body"].read()
        return data

    def keys(self, bucket: str) -> list[str]:
        """The names of all objects, sorted."""
        found = self.client.list_objects_v2(Bucket=bucket).get("Contents", [])
        return sorted(one["Key"] for one in found)

    def unfinished(self, bucket: str) -> list[str]:
        """Objects of which some parts were uploaded."""
        found = self.client.list_multipart_uploads(Bucket=bucket).get("Uploads", [])
        return [one["Key"] for one in found]

    def asked(self, method: str, path: str = "") -> list[Request]:
        """The requests of a method whose path ends like this."""
        return [one for one in self.requests if one.method == method and one.path.endswith(path)]


class _Recorder:
    """Stands before the application: notes requests, and answers in its place where it is to."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self.store: ObjectStore | None = None

    def __call__(self, environ: dict[str, Any], start_response: Any) -> Any:
        if self.store is None or _OWN in environ.get("HTTP_USER_AGENT", ""):
            return self._application(environ, start_response)
        method, path = environ["REQUEST_METHOD"], environ["PATH_INFO"].strip("/")
        fault = self.store.fault(method, path) if self.store.fault is not None else None
        status, body = [f"{fault} planted"], [b""]
        if fault == 0:
            environ["werkzeug.socket"].shutdown(socket.SHUT_RDWR)
        elif fault is not None:
            code = {403: "AccessDenied", 503: "SlowDown"}.get(fault, "InternalError")
            words = f"<Error><Code>{code}</Code><Message>planted</Message></Error>"
            body = [] if method == "HEAD" else [words.encode()]
            start_response(status[0], [("Content-Type", "text/xml")])
        else:

            def begin(line: str, headers: Any, *rest: Any) -> Any:
                status[0] = line
                return start_response(line, headers, *rest)

            body = list(self._application(environ, begin))
        self.store.requests.append(
            Request(
                method=method,
                path=path,
                query=environ.get("QUERY_STRING", ""),
                range=environ.get("HTTP_RANGE", ""),
                status=int(re.match(r"\d+", status[0])[0]),  # type: ignore[index]
                num_bytes=0 if method == "HEAD" else sum(map(len, body)),
            )
        )
        return body


@pytest.fixture(scope="session")
def _server() -> Iterator[tuple[_Recorder, str]]:
    """One server for all tests of a process."""
    pytest.importorskip("s3fs", reason="s3fs is not installed")
    pytest.importorskip("moto.server", reason="moto and flask are not installed")
    from moto.moto_server.werkzeug_app import DomainDispatcherApplication, create_backend_app
    from werkzeug.serving import WSGIRequestHandler, make_server

    class Quiet(WSGIRequestHandler):
        """Without lines on stderr, and with connections that are kept."""

        protocol_version = "HTTP/1.1"

        def log(self, *words: Any) -> None:
            pass

    recorder = _Recorder(DomainDispatcherApplication(create_backend_app))
    server = make_server("127.0.0.1", 0, recorder, threaded=True, request_handler=Quiet)
    thread = threading.Thread(target=server.serve_forever, daemon=True)
    thread.start()
    yield recorder, f"http://127.0.0.1:{server.server_port}"
    server.shutdown()
    thread.join()


@pytest.fixture
def temporary(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder for temporary files, in which nothing of results may be left."""
    folder = tmp_path / "temporary"
    folder.mkdir()
    monkeypatch.setattr("tempfile.tempdir", str(folder))
    return folder


@pytest.fixture
def object_store(
    _server: tuple[_Recorder, str], monkeypatch: pytest.MonkeyPatch, tmp_path: Any
) -> Iterator[ObjectStore]:
    """An empty store; the variables that every client of S3 knows lead to it, and to no other."""
    import boto3
    import fsspec
    from botocore.config import Config
    from moto.s3.models import s3_backends

    recorder, url = _server
    for name, value in {
        "AWS_ENDPOINT_URL": url,
        "AWS_ACCESS_KEY_ID": _KEY,
        "AWS_SECRET_ACCESS_KEY": SECRET,
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
        # Nothing of whoever runs the tests.
        "AWS_CONFIG_FILE": str(tmp_path / "no-config"),
        "AWS_SHARED_CREDENTIALS_FILE": str(tmp_path / "no-credentials"),
        # A failure is one at the first try.
        "AWS_MAX_ATTEMPTS": "1",
        "WSGN_CACHE": str(tmp_path / "copies"),
    }.items():
        monkeypatch.setenv(name, value)
    monkeypatch.delenv("AWS_PROFILE", raising=False)
    client = boto3.client(
        "s3",
        endpoint_url=url,
        aws_access_key_id=_KEY,
        aws_secret_access_key=SECRET,
        region_name="us-east-1",
        config=Config(user_agent_extra=_OWN),
    )
    s3_backends.reset()
    store = recorder.store = ObjectStore(url=url, client=client)
    # They are kept by their settings, with what they know of a store.
    s3fs = fsspec.get_filesystem_class("s3")
    s3fs.clear_instance_cache()
    # One try instead of five, with pauses between them.
    monkeypatch.setattr(s3fs, "retries", 1)
    yield store
    recorder.store = None
    s3fs.clear_instance_cache()
