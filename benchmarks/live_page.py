"""What the live page costs a run: with nobody, one and many who look on, and without it.

    python -m benchmarks.live_page -o runs/live_page

Cameras of 320x240 at 25/s in a run of its own process; viewers, in another one, follow the page's
updates and ask for pictures as the page does. Processor time does not depend on what else a machine
does; what snippets wait for the engine does.
"""

from __future__ import annotations

import argparse
import http.client
import json
import math
import multiprocessing
import sys
import tempfile
import threading
import time
import urllib.parse
from collections.abc import Sequence
from contextlib import ExitStack
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any

from benchmarks.holdings import look, processor_seconds, require_proc
from benchmarks.live_runs import DEMO, LiveError, LiveRun, RtspServer, free_port, sample_clip
from benchmarks.results import add_output, describe_machine, publish
from benchmarks.tables import table
from wsgn.errors import UsageError
from wsgn.support.command import run_command

_OPEN_SECONDS = 120.0
_HANG_SECONDS = 60.0
# As live.js asks for pictures of one source at most.
_PICTURE_SECONDS = 0.2


@dataclass(frozen=True, kw_only=True)
class Looked:
    """A run with so many viewers."""

    # None: without the page.
    viewers: int | None
    cameras: int
    seconds: float
    # Percent of a core, of the whole run.
    processor_percent: float
    megabytes: float
    # What viewers got, all of them together, a second.
    updates: float
    pictures: float
    # What snippets waited for the engine; None without the page, which tells it.
    wait_median_seconds: float | None
    dropped: int


def main(argv: Sequence[str] | None = None) -> int:
    """Play, look on, report."""
    return run_command("benchmarks.live_page", lambda: _run(_parser().parse_args(argv)))


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m benchmarks.live_page", description=(__doc__ or "").splitlines()[0]
    )
    parser.add_argument("--cameras", type=int, default=4, help="(default: %(default)s)")
    parser.add_argument("--viewers", type=int, nargs="+", default=[0, 1, 50],
                        help="(default: 0 1 50)")  # fmt: skip
    parser.add_argument("--seconds", type=float, default=60.0,
                        help="of each arrangement in a round (default: %(default)s)")  # fmt: skip
    parser.add_argument("--warm-up", type=float, default=5.0, help="(default: %(default)s)")
    parser.add_argument("--rounds", type=int, default=2, help="(default: %(default)s)")
    add_output(parser)
    return parser


def _run(arguments: argparse.Namespace) -> int:
    require_proc()
    if min(arguments.cameras, arguments.rounds) < 1 or min(arguments.viewers) < 0:
        raise UsageError("--cameras and --rounds must be at least 1, --viewers at least 0.")
    if not all(0 < one < math.inf for one in (arguments.seconds, arguments.warm_up)):
        raise UsageError("--seconds and --warm-up must be positive numbers.")
    machine = describe_machine()
    arrangements: list[int | None] = [None, *arguments.viewers]
    rows = []
    with tempfile.TemporaryDirectory(prefix="wsgn-page-") as folder, RtspServer() as server:
        urls = [server.add(f"camera{n}", sample_clip()).url for n in range(arguments.cameras)]
        for number in range(arguments.rounds):
            for viewers in arrangements[:: 1 if number % 2 == 0 else -1]:
                rows.append(_looked(viewers, urls, arguments, Path(folder)))
    publish(arguments.output, {"results": [asdict(row) for row in rows]}, _words(rows), machine)
    return 0


def _looked(
    viewers: int | None, urls: Sequence[str], arguments: argparse.Namespace, folder: Path
) -> Looked:
    words = [*urls, "-e", str(DEMO), "--no-progress"]
    port = None if viewers is None else free_port()
    words += [] if port is None else ["--serve", str(port)]
    with ExitStack() as stack:
        run = stack.enter_context(LiveRun(words, folder=folder))
        run.wait_for(lambda: len(run.of("source")) == len(urls), "a picture", _OPEN_SECONDS)
        audience = stack.enter_context(_Audience(port, viewers or 0)) if port else None
        time.sleep(arguments.warm_up)
        seen = audience.count() if audience else (0, 0)
        spent, began = processor_seconds(run.number), time.monotonic()
        time.sleep(arguments.seconds)
        spent, passed = processor_seconds(run.number) - spent, time.monotonic() - began
        now = audience.count() if audience else (0, 0)
        megabytes = look(run.number, 0).megabytes
        wait = None if port is None else _state(port)["waits"]
        if audience:
            audience.end()
        run.stop()
        dropped = sum(event["dropped"] for event in run.of("end"))
    return Looked(
        viewers=viewers,
        cameras=len(urls),
        seconds=passed,
        processor_percent=100 * spent / passed,
        megabytes=megabytes,
        updates=(now[0] - seen[0]) / passed,
        pictures=(now[1] - seen[1]) / passed,
        wait_median_seconds=wait,
        dropped=dropped,
    )


def _state(port: int) -> dict[str, Any]:
    """What a page is told first."""
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=_HANG_SECONDS)
    connection.request("GET", "/updates")
    answer = connection.getresponse()
    while not (line := answer.readline()).startswith(b"data: "):
        if not line:
            raise LiveError("the page tells nothing.")
    connection.close()
    state: dict[str, Any] = json.loads(line[6:])
    return state


class _Audience:
    """Viewers in a process of their own."""

    def __init__(self, port: int, viewers: int) -> None:
        context = multiprocessing.get_context("spawn")
        self._pipe, other = context.Pipe()
        self._process = context.Process(target=_look_on, args=(port, viewers, other), daemon=True)

    def __enter__(self) -> _Audience:
        self._process.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._process.kill()
        self._process.join()

    def count(self) -> tuple[int, int]:
        """Updates and pictures that all have got so far."""
        self._pipe.send("count")
        if not self._pipe.poll(_HANG_SECONDS):
            raise LiveError("the viewers do not answer.")
        updates, pictures = self._pipe.recv()
        return updates, pictures

    def end(self) -> None:
        """Go home before the run ends."""
        self._process.kill()
        self._process.join()


def _look_on(port: int, viewers: int, pipe: Connection) -> None:
    found = [_Viewer(port) for _ in range(viewers)]
    for viewer in found:
        for work in (viewer.follow, viewer.watch):
            threading.Thread(target=work, daemon=True).start()
    while pipe.recv() == "count":
        pipe.send((sum(one.num_updates for one in found), sum(one.num_pictures for one in found)))


class _Viewer:
    """What a browser with the page open does."""

    def __init__(self, port: int) -> None:
        self._port = port
        self._names: list[str] = []
        self._pace = 1.0
        self.num_updates = self.num_pictures = 0

    def follow(self) -> None:
        """Take updates for ever."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        connection.request("GET", "/updates")
        answer = connection.getresponse()
        while line := answer.readline():
            if line.startswith(b"data: "):
                told = json.loads(line[6:])
                self._names, self._pace = told["names"], told["pictures"]
                self.num_updates += 1

    def watch(self) -> None:
        """Ask for pictures of all sources in turn, over one connection."""
        connection = http.client.HTTPConnection("127.0.0.1", self._port)
        while True:
            names = self._names
            wait = max(_PICTURE_SECONDS, len(names) / self._pace)
            began = time.monotonic()
            for name in names:
                connection.request("GET", f"/picture/{urllib.parse.quote(name, safe='')}.jpg")
                answer = connection.getresponse()
                answer.read()
                self.num_pictures += answer.status == 200
            time.sleep(max(0.01, wait - (time.monotonic() - began)))


def _words(rows: Sequence[Looked]) -> str:
    heading = (f"{rows[0].cameras} cameras", "of a core, in all", "memory", "updates a second",
               "pictures a second", "wait for the engine, median", "dropped")  # fmt: skip
    cells = [
        ("without the page" if row.viewers is None else f"viewers: {row.viewers}",
         f"{row.processor_percent:.1f} %", f"{row.megabytes:.0f} MB", f"{row.updates:.0f}",
         f"{row.pictures:.0f}",
         "-" if row.wait_median_seconds is None else f"{1000 * row.wait_median_seconds:.0f} ms",
         row.dropped)
        for row in rows
    ]  # fmt: skip
    return table(heading, cells)


if __name__ == "__main__":
    sys.exit(main())
