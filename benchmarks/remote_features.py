"""Requests, bytes and processor time of features: files and packs, on this disk and in a store.

    python -m benchmarks.remote_features --videos 200

The store is Moto's S3 server in another process on this machine, which counts what it is asked: its
answers take no time on a network. Needs the packages of the extra `test` (moto, flask, s3fs).
"""

from __future__ import annotations

import argparse
import importlib
import multiprocessing
import os
import sys
import tempfile
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.results import add_output, describe_machine, publish
from wsgn.errors import UsageError
from wsgn.features.convert import convert_features
from wsgn.features.file import write_feature_file
from wsgn.features.folders import read_infos
from wsgn.features.layouts import open_features
from wsgn.manifest import Sampling
from wsgn.remote.cache import VARIABLE
from wsgn.support.command import run_command

SAMPLING = Sampling(frame_rate=25, snippet_length=16, snippet_stride=16)
NUM_SNIPPETS, FEATURE_SIZE = 300, 2048
# Packs of the videos that a benchmark makes.
_PACK_BYTES = 100_000_000
_BUCKET = "features"


@dataclass(frozen=True, kw_only=True)
class Epoch:
    """All videos read once: what opening tells of them, and their values."""

    requests: int
    num_bytes: int
    processor_seconds: float


class _Counting:
    """Stands before the store's application."""

    def __init__(self, application: Any) -> None:
        self._application = application
        self._lock = threading.Lock()
        self.requests = self.num_bytes = 0

    def __call__(self, environ: dict[str, Any], start_response: Any) -> list[bytes]:
        body = list(self._application(environ, start_response))
        with self._lock:
            self.requests += 1
            self.num_bytes += sum(map(len, body)) if environ["REQUEST_METHOD"] == "GET" else 0
        return body


def _serve(pipe: Connection) -> None:
    """A process: its port, and what it was asked since the last time somebody wanted to know."""
    application = importlib.import_module("moto.moto_server.werkzeug_app")
    serving = importlib.import_module("werkzeug.serving")
    counting = _Counting(application.DomainDispatcherApplication(application.create_backend_app))
    quiet = {"log": lambda *words: None, "protocol_version": "HTTP/1.1"}
    handler = type("Quiet", (serving.WSGIRequestHandler,), quiet)
    server = serving.make_server("127.0.0.1", 0, counting, threaded=True, request_handler=handler)
    threading.Thread(target=server.serve_forever, daemon=True).start()
    pipe.send(server.server_port)
    while pipe.recv():
        pipe.send((counting.requests, counting.num_bytes))
        counting.requests = counting.num_bytes = 0


@contextmanager
def _store() -> Iterator[Connection]:
    """A store that the environment leads to."""
    for name in ("moto", "flask", "s3fs"):
        try:
            importlib.import_module(name)
        except ImportError as error:
            raise UsageError(f"{name} is not installed: pip install 'wsgn[test]'.") from error
    context = multiprocessing.get_context("spawn")
    ours, theirs = context.Pipe()
    process = context.Process(target=_serve, args=(theirs,), daemon=True)
    process.start()
    os.environ |= {
        "AWS_ENDPOINT_URL": f"http://127.0.0.1:{ours.recv()}",
        "AWS_ACCESS_KEY_ID": "planted",
        "AWS_SECRET_ACCESS_KEY": "planted",
        "AWS_DEFAULT_REGION": "us-east-1",
        "AWS_EC2_METADATA_DISABLED": "true",
    }
    try:
        yield ours
    finally:
        ours.send(False)
        process.join()


def _make(folder: Path, num_videos: int) -> int:
    """Write the files; their bytes in all."""
    random = np.random.default_rng(0)
    for index in range(num_videos):
        values = random.normal(size=(NUM_SNIPPETS, FEATURE_SIZE)).astype(np.float16)
        write_feature_file(folder / f"video_{index:05d}.safetensors", values, SAMPLING)
    return sum(path.stat().st_size for path in folder.iterdir())


def _upload(folder: Path) -> str:
    store = importlib.import_module("fsspec").filesystem("s3")
    store.mkdirs(_BUCKET, exist_ok=True)
    for path in sorted(folder.iterdir()):
        store.put_file(str(path), f"{_BUCKET}/{folder.name}/{path.name}")
    return f"s3://{_BUCKET}/{folder.name}"


def _epoch(place: Path | str, pipe: Connection) -> Epoch:
    pipe.send(True)
    pipe.recv()
    began = time.process_time()
    reader = open_features(place)
    read_infos(reader, reader.names)
    for name in reader.names:
        reader.read_stored(name)
    seconds = time.process_time() - began
    pipe.send(True)
    requests, num_bytes = pipe.recv()
    return Epoch(requests=requests, num_bytes=num_bytes, processor_seconds=seconds)


def measured(folder: Path, num_videos: int, rounds: int) -> tuple[int, dict[str, list[Epoch]]]:
    """The bytes of all files, and the epochs of each form in turn."""
    total = _make(folder / "files", num_videos)
    convert_features(open_features(folder / "files"), folder / "packs", pack_bytes=_PACK_BYTES)
    epochs: dict[str, list[Epoch]] = {}
    with _store() as pipe:
        addresses = {name: _upload(folder / name) for name in ("files", "packs")}
        for number in range(rounds + 1):
            os.environ[VARIABLE] = str(folder / f"copies_{number}")
            for name, address in addresses.items():
                turns = {
                    f"{name}, this disk": _epoch(folder / name, pipe),
                    f"{name}, store, first epoch": _epoch(address, pipe),
                    f"{name}, store, later epochs": _epoch(address, pipe),
                }
                # The first round loads libraries.
                for what, epoch in turns.items() if number else ():
                    epochs.setdefault(what, []).append(epoch)
    return total, epochs


def table(total: int, num_videos: int, epochs: Mapping[str, Sequence[Epoch]]) -> str:
    """For people."""
    lines = [
        f"{num_videos} videos of ({NUM_SNIPPETS}, {FEATURE_SIZE}) float16, "
        f"{total / 1e6:.1f} MB of files:",
        "",
        "| | requests | bytes, of those of the files | processor ms per video |",
        "|---|---|---|---|",
    ]
    for what, all_of_it in epochs.items():
        requests, share = all_of_it[-1].requests, all_of_it[-1].num_bytes / total
        milliseconds = np.median([1e3 * one.processor_seconds / num_videos for one in all_of_it])
        lines.append(f"| {what} | {requests} | {share:.4f} | {milliseconds:.2f} |")
    return "\n".join(lines)


def main(argv: Sequence[str] | None = None) -> int:
    """Make, read, report."""
    return run_command("benchmarks.remote_features", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.remote_features", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--videos", type=int, default=200, help="(default: %(default)s)")
    parser.add_argument(
        "--rounds",
        type=int,
        default=3,
        help="behind one that does not count (default: %(default)s)",
    )
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    for option in ("videos", "rounds"):
        if getattr(arguments, option) < 1:
            raise UsageError(f"--{option} must be at least 1, got {getattr(arguments, option)}.")
    machine = describe_machine()
    with tempfile.TemporaryDirectory(prefix="wsgn-remote-") as name:
        total, epochs = measured(Path(name), arguments.videos, arguments.rounds)
    document = {
        "videos": arguments.videos,
        "bytes": total,
        "epochs": {what: [asdict(one) for one in found] for what, found in epochs.items()},
    }
    publish(arguments.output, document, table(total, arguments.videos, epochs), machine)
    return 0


if __name__ == "__main__":
    sys.exit(main())
