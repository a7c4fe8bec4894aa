"""The application: the page, what it is filled from, and what programs ask."""

from __future__ import annotations

import json
import re
import time
from collections.abc import AsyncIterator, Callable, Sequence

from av.error import FFmpegError
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import HTMLResponse, PlainTextResponse, Response, StreamingResponse
from starlette.routing import Route

from wsgn.errors import WsgnError
from wsgn.localization.online.smoother import SnippetScore
from wsgn.video.live.items import LastPicture

from ..events import Event
from ..live.watching import Statistics
from ..writers import LineNumbers
from .board import Board
from .feed import Feed
from .metrics import CONTENT_TYPE, Metrics, is_up
from .page import live_page
from .pictures import Pictures

# Events that are kept for who comes back, and lines for which a viewer may keep others waiting.
_NUM_EVENTS = 1000
_QUEUE_LINES = 256
# Of the page, which is told of changes this often.
TELL_SECONDS = 0.5
_NUM_TOLD = 64
_QUEUE_TOLD = 20
# Streams of events at a time; each is a connection of this process, which cameras need as well.
_MOST_VIEWERS = 200
# All viewers together ask for so many pictures a second, and one for so many.
_PICTURES_A_SECOND = 100.0
_PICTURES_OF_ONE = 10.0
# A run whose engine has not had a turn for so long hangs.
_ALIVE_SECONDS = 10.0
# The other end of a connection, as uvicorn names it.
Client = tuple[str, int] | None
_EVENT_ID = re.compile(r"(?:(?P<run>[0-9a-f]+)/)?(?P<seq>\d{1,18})", re.ASCII)


def open_live_page(classes: Sequence[str], *, run: str) -> LivePage:
    """The page of a run with an engine of these classes; `run` is a name that no other run has."""
    return LivePage(Board(classes, run=run), Metrics(), run=run)


class LivePage:
    """Hears all of a run (a `Listener` and a `Watcher`), and answers those who look."""

    def __init__(self, board: Board, metrics: Metrics, *, run: str) -> None:
        self._board = board
        self.metrics = metrics
        self._pictures = Pictures(lambda source: None)
        self._run = run
        self._numbers = LineNumbers()
        self._events = Feed(_NUM_EVENTS, _QUEUE_LINES)
        self._told = Feed(_NUM_TOLD, _QUEUE_TOLD)
        self._statistics: Statistics | None = None
        # None before the run begins: an engine may take its time to open.
        self._ticked: float | None = None
        self._whole: str | None = None
        self._page = live_page()
        # Ends a connection at once, by its other end; the server says how.
        self.cut_connection: Callable[[Client], None] = lambda client: None

    # In the thread that runs the engine.

    def show(self, newest: Callable[[str], LastPicture | None]) -> None:
        """From now on this says what the newest picture of a source is."""
        self._pictures = Pictures(newest)

    def hear(self, event: Event) -> None:
        """Follow an event of the run."""
        number = self._events.next
        line = self._numbers.line(event)
        if line:
            self._events.append(f"id: {self._run}/{number}\ndata: {line}\n")
        self._board.hear(event)
        self.metrics.hear(event)

    def scored(self, source: str, scores: SnippetScore, unix_offset: float) -> None:
        """Smoothed scores of a snippet."""
        self._board.scored(source, scores, unix_offset)

    def landed(self, num_snippets: int, seconds: float) -> None:
        """A call of the engine."""
        self.metrics.landed(num_snippets, seconds)

    def ticked(self, statistics: Statistics) -> None:
        """Take what is counted."""
        self._ticked = time.monotonic()
        self._statistics = statistics
        self._board.ticked(statistics)
        self.metrics.ticked(statistics)

    # In the thread of the server.

    def application(self) -> Starlette:
        """What is asked, and who answers."""
        return Starlette(
            routes=[
                Route("/", self._show_page),
                Route("/updates", self._updates),
                Route("/events", self._stream_events),
                Route("/picture/{name:path}", self._picture),
                Route("/metrics", self._metrics),
                Route("/healthz", self._health),
                Route("/readyz", self._readiness),
                Route("/favicon.ico", self._icon),
            ]
        )

    def open(self) -> None:
        """Take viewers, of the event loop that runs."""
        self._events.open()
        self._told.open()

    def tell(self) -> None:
        """Tell pages what is new; due each TELL_SECONDS."""
        changes = self._board.changes()
        self._whole = None
        if self._told.num_viewers:
            self._told.append(_message("changes", changes | self._pace()))

    def end(self) -> None:
        """The run is over: viewers get what there is, and end."""
        self.tell()
        self._events.end()
        self._told.end()

    def _pace(self) -> dict[str, float]:
        """How many pictures a second a page may ask for."""
        share = _PICTURES_A_SECOND / max(1, self._told.num_viewers)
        return {"pictures": round(min(_PICTURES_OF_ONE, share), 2)}

    async def _show_page(self, request: Request) -> Response:
        return HTMLResponse(self._page)

    async def _updates(self, request: Request) -> Response:
        if (busy := self._busy()) is not None:
            return busy
        # Nothing comes between the two: what is told follows on the whole.
        if self._whole is None:
            self._whole = _message("state", self._board.state() | self._pace())
        return self._follow(self._told, self._told.next, request, first=self._whole)

    async def _stream_events(self, request: Request) -> Response:
        if (busy := self._busy()) is not None:
            return busy
        last = request.headers.get("last-event-id")
        return self._follow(self._events, self._from(last), request)

    def _follow(self, feed: Feed, at: int, request: Request, first: str = "") -> Response:
        client = None if request.client is None else (request.client.host, request.client.port)

        async def lines() -> AsyncIterator[str]:
            # How soon a browser comes back; and it knows at once that it is connected.
            yield f"retry: 1000\n\n{first}"
            async for text in feed.follow(at, lambda: self.cut_connection(client)):
                yield text

        return StreamingResponse(lines(), media_type="text/event-stream")

    def _from(self, last: str | None) -> int:
        """Number of the event that comes first."""
        if not last:
            return self._events.next
        found = _EVENT_ID.fullmatch(last.strip())
        # Of a run that has ended: all of this one is new.
        if found is None or (found["run"] or self._run) != self._run:
            return 0
        return min(int(found["seq"]) + 1, self._events.next)

    def _busy(self) -> Response | None:
        if self._events.num_viewers + self._told.num_viewers < _MOST_VIEWERS:
            return None
        return PlainTextResponse("Too many look on.\n", 503, headers={"Retry-After": "30"})

    async def _picture(self, request: Request) -> Response:
        name = request.path_params["name"].removesuffix(".jpg")
        try:
            jpeg = self._pictures.jpeg(name)
        except (WsgnError, FFmpegError):
            # Of a format that cannot be shown; detection says so where it minds.
            jpeg = None
        if jpeg is None:
            return PlainTextResponse("No picture.\n", 404)
        return Response(jpeg, media_type="image/jpeg")

    async def _metrics(self, request: Request) -> Response:
        return Response(self.metrics.text(), headers={"Content-Type": CONTENT_TYPE})

    async def _icon(self, request: Request) -> Response:
        # There is none, and browsers ask by themselves.
        return Response(status_code=204)

    async def _health(self, request: Request) -> Response:
        silent = 0.0 if self._ticked is None else time.monotonic() - self._ticked
        if silent > _ALIVE_SECONDS:
            return PlainTextResponse(f"Nothing was done for {silent:.0f} s.\n", 503)
        return PlainTextResponse("ok\n")

    async def _readiness(self, request: Request) -> Response:
        statistics = self._statistics
        if statistics is not None and any(map(is_up, statistics.sources.values())):
            return PlainTextResponse("ok\n")
        return PlainTextResponse("No source gives pictures.\n", 503)


def _message(kind: str, document: object) -> str:
    """One message of a stream of events."""
    words = json.dumps(document, separators=(",", ":"), allow_nan=False)
    return f"event: {kind}\ndata: {words}\n\n"
