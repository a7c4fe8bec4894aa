"""A web server that takes notifications, and answers as a test says."""

from __future__ import annotations

import json
import queue
import threading
from collections.abc import Sequence
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any, Self

from wsgn.runtime.events import SegmentEvent, StartEvent, StatusEvent

# Ends what hangs; no verdict depends on how fast a machine is.
HANG_SECONDS = 120.0


@dataclass(frozen=True, kw_only=True)
class Received:
    """One request."""

    path: str
    headers: Any
    body: bytes

    @property
    def event(self) -> dict[str, Any]:
        """The event in it."""
        found: dict[str, Any] = json.loads(self.body)
        return found


@dataclass(frozen=True, kw_only=True)
class Reply:
    """How a request is answered."""

    status: int = 200
    headers: tuple[tuple[str, str], ...] = ()
    # Says nothing until the receiver ends.
    is_mute: bool = False


class Receiver:
    """Listens on the loopback interface; gives `replies` in turn, then 200."""

    def __init__(self, replies: Sequence[Reply] = (), *, port: int = 0) -> None:
        self._replies = list(replies)
        self._received: queue.Queue[Received] = queue.Queue()
        self._ended = threading.Event()
        self._server = ThreadingHTTPServer(("127.0.0.1", port), self._handler())
        self._server.daemon_threads = True
        self.port = self._server.server_address[1]
        self.url = f"http://127.0.0.1:{self.port}/hook"
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self._ended.set()
        self._server.shutdown()
        self._server.server_close()
        self._thread.join()

    def next(self) -> Received:
        """The next request, waited for."""
        return self._received.get(timeout=HANG_SECONDS)

    def take(self, number: int) -> list[Received]:
        """So many of them."""
        return [self.next() for _ in range(number)]

    @property
    def is_quiet(self) -> bool:
        """Whether no request lies here that was not looked at."""
        return self._received.empty()

    def _handler(self) -> type[BaseHTTPRequestHandler]:
        receiver = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = self.rfile.read(int(self.headers["Content-Length"]))
                reply = receiver._replies.pop(0) if receiver._replies else Reply()
                received = Received(path=self.path, headers=self.headers, body=body)
                receiver._received.put(received)
                if reply.is_mute:
                    receiver._ended.wait(HANG_SECONDS)
                    return
                self.send_response(reply.status)
                for name, value in (*reply.headers, ("Content-Length", "0")):
                    self.send_header(name, value)
                self.end_headers()

            do_GET = do_POST

            def log_message(self, format: str, *args: object) -> None:
                """Nothing."""

        return Handler


def start(id: int = 1, *, source: str | None = "door", label: str = "wave") -> StartEvent:
    return StartEvent(
        source=source, at_unix_seconds=1.0, id=id, label=label, start_seconds=1.0, at_seconds=2.0
    )


def segment(
    id: int = 1, *, source: str | None = "door", score: float = 0.5, final: bool = True
) -> SegmentEvent:
    return SegmentEvent(
        source=source,
        at_unix_seconds=1.0,
        id=id,
        rev=0,
        label="wave",
        start_seconds=1.0,
        end_seconds=2.0,
        score=score,
        final=final,
        at_seconds=3.0,
        reason="threshold",
    )


def status(state: str = "lost", *, source: str = "door") -> StatusEvent:
    return StatusEvent(
        source=source, at_unix_seconds=1.0, state=state, cause=None, at_seconds=1.0, attempt=1
    )
