"""A live page with a server of its own, events to tell it of, and a viewer who reads them."""

from __future__ import annotations

import contextlib
import http.client
import json
import socket
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from av.video.frame import VideoFrame

from wsgn.localization.online.smoother import SnippetScore
from wsgn.runtime.events import (
    Event,
    GapEvent,
    RunEvent,
    SegmentEvent,
    SourceEvent,
    StartEvent,
    StatusEvent,
)
from wsgn.runtime.live.pace import EngineStatistics
from wsgn.runtime.live.running import SourceStatistics
from wsgn.runtime.live.stream import Counters
from wsgn.runtime.live.watching import Statistics
from wsgn.runtime.serve.app import LivePage, open_live_page
from wsgn.runtime.serve.server import serving
from wsgn.video.live.items import LastPicture, LivePosition

CLASSES = ("wave", "jump")
RUN = "0123456789abcdef"
# Ends what hangs.
HANG_SECONDS = 60.0
# What the wall clock of these sources is at media time 0.
UNIX = 1_795_900_000.0


def run_event() -> RunEvent:
    return RunEvent(version="1.2", engine="wsgn.onnx", engine_sha256="ab12")


def opened(source: str, **words: Any) -> SourceEvent:
    return SourceEvent(
        source=source, duration_seconds=None, frame_rate=25.0, codec="h264", width=320, height=240,
        rotation_degrees=0, live=True, epoch=0, start_unix_seconds=UNIX, at_unix_seconds=UNIX,
        **words,
    )  # fmt: skip


def started(source: str, id: int, label: str, seconds: float) -> StartEvent:
    return StartEvent(
        source=source, id=id, label=label, start_seconds=seconds, at_seconds=seconds + 1,
        start_unix_seconds=UNIX + seconds, at_unix_seconds=UNIX + seconds + 1,
    )  # fmt: skip


def segment(
    source: str, id: int, label: str, begin: float, end: float, *, score: float = 0.5
) -> SegmentEvent:
    return SegmentEvent(
        source=source, id=id, rev=0, label=label, start_seconds=begin, end_seconds=end,
        score=score, final=True, at_seconds=end + 1, reason="threshold",
        start_unix_seconds=UNIX + begin, end_unix_seconds=UNIX + end,
        at_unix_seconds=UNIX + end + 1,
    )  # fmt: skip


def changed(source: str, state: str, cause: str | None = None) -> StatusEvent:
    return StatusEvent(
        source=source, state=state, cause=cause, at_seconds=5.0, attempt=1,
        at_unix_seconds=UNIX + 5, message=f"{source}: something was {state}.",
    )  # fmt: skip


def gap(source: str, begin: float, end: float) -> GapEvent:
    return GapEvent(
        source=source, from_seconds=begin, to_seconds=end, cause="lost",
        at_unix_seconds=UNIX + end,
    )  # fmt: skip


def scores(seconds: float, *values: float) -> SnippetScore:
    return SnippetScore(
        scores=np.array(values), start_seconds=seconds - 0.2, centre_seconds=seconds,
        end_seconds=seconds + 0.2,
    )  # fmt: skip


def statistics(**states: str | None) -> Statistics:
    """Of sources by their states."""
    return Statistics(
        sources={name: source_statistics(state) for name, state in states.items()},
        engine=EngineStatistics(
            num_snippets=0, num_batches=0, busy_seconds=0.0, seconds_per_snippet=np.nan,
            wait_median_seconds=np.nan, wait_99_seconds=np.nan,
        ),
    )  # fmt: skip


def source_statistics(state: str | None, epoch: int = 0) -> SourceStatistics:
    return SourceStatistics(
        state=state,
        cause=None,
        counters=Counters(frames=7, snippets=3, segments=2, dropped=1, skipped=4, restarts=1),
        position=LivePosition(media_seconds=9.0, unix_seconds=UNIX + 9, epoch=epoch),
        num_waiting=5,
        silent_seconds=0.1,
        lag_seconds=0.25,
    )


def picture(colour: tuple[int, int, int], width: int = 64, height: int = 48) -> LastPicture:
    image = np.full((height, width, 3), colour, np.uint8)
    frame = VideoFrame.from_ndarray(image, format="rgb24").reformat(format="yuv420p")
    return LastPicture(frame=frame, pixel_aspect=Fraction(1), lag_seconds=0.0)


@dataclass
class Served:
    """A page and where it is."""

    page: LivePage
    port: int
    token: str | None = None
    # By source; changed while it is served.
    pictures: dict[str, LastPicture] = field(default_factory=dict)

    def tell(self, *events: Event) -> None:
        for event in events:
            self.page.hear(event)

    def get(
        self, path: str, method: str = "GET", **headers: str
    ) -> tuple[int, http.client.HTTPMessage, bytes]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_SECONDS)
        with contextlib.closing(connection):
            connection.request(method, path, headers=headers)
            answer = connection.getresponse()
            return answer.status, answer.headers, answer.read()

    @contextlib.contextmanager
    def viewer(self, path: str = "/events", **headers: str) -> Iterator[Viewer]:
        connection = http.client.HTTPConnection("127.0.0.1", self.port, timeout=HANG_SECONDS)
        with contextlib.closing(connection):
            connection.request("GET", path, headers=headers)
            answer = connection.getresponse()
            assert answer.status == 200, answer.status
            assert answer.headers["Content-Type"].startswith("text/event-stream")
            viewer = Viewer(answer)
            # From here on nothing is missed.
            assert viewer.lines()[0] == "retry: 1000"
            yield viewer


class Viewer:
    """Reads a stream of events."""

    def __init__(self, answer: http.client.HTTPResponse) -> None:
        self._answer = answer

    def lines(self) -> list[str]:
        """Those of the next message; none at the end of the stream."""
        found = []
        while (line := self._answer.readline().decode()) not in ("\n", ""):
            found.append(line.rstrip("\n"))
        return found

    def message(self) -> dict[str, str]:
        """The fields of the next message that is more than a comment; empty at the end."""
        while lines := self.lines():
            pairs = [line.partition(": ")[::2] for line in lines if not line.startswith(":")]
            if pairs:
                return dict(pairs)
        return {}

    def event(self) -> tuple[str, dict[str, Any]]:
        """Id and JSON of the next event."""
        message = self.message()
        return message["id"], json.loads(message["data"])


@contextlib.contextmanager
def served(
    *,
    token: str | None = None,
    port: int = 0,
    run: str = RUN,
    classes: Sequence[str] = CLASSES,
) -> Iterator[Served]:
    page = open_live_page(classes, run=run)
    listening = socket.socket()
    listening.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
    listening.bind(("127.0.0.1", port))
    listening.listen()
    made = Served(page, listening.getsockname()[1], token)
    page.show(made.pictures.get)
    with serving(page, listening, token):
        yield made
