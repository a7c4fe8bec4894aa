"""The server of the live page: uvicorn in a thread of its own."""

from __future__ import annotations

import asyncio
import logging
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import uvicorn
from uvicorn.protocols.http.h11_impl import H11Protocol

from .app import TELL_SECONDS, Client, LivePage
from .guard import Guard

# All kinds; cameras and files need numbers of the same process, which has 1024 by default.
_MOST_CONNECTIONS = 500
# One of which nothing was asked for so long is not kept.
_IDLE_SECONDS = 15
# For answers that are on their way when the run ends.
_LAST_SECONDS = 1
_JOIN_SECONDS = 5.0


class _Connection(H11Protocol):
    """A connection that does not stay where nothing is asked, and that can be cut."""

    transports: dict[Client, asyncio.Transport]

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self._waits = self.loop.call_later(_IDLE_SECONDS, transport.abort)
        if len(self.connections) > _MOST_CONNECTIONS:
            transport.abort()
        self.transports[self.client] = transport

    def data_received(self, data: bytes) -> None:
        super().data_received(data)
        self._waits.cancel()
        # A part of a request: uvicorn would wait for the rest for ever.
        if self.cycle is None or self.cycle.response_complete:
            self._waits = self.loop.call_later(_IDLE_SECONDS, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        self._waits.cancel()
        self.transports.pop(self.client, None)
        super().connection_lost(exc)


class LiveServer:
    """Serves a page at a socket that listens, from `start` to `stop`."""

    def __init__(self, page: LivePage, listening: socket.socket, token: str | None) -> None:
        self._page = page
        page.cut_connection = self._cut
        self._listening = listening
        port = listening.getsockname()[1]
        self._transports: dict[Client, asyncio.Transport] = {}
        protocol = type("Connection", (_Connection,), {"transports": self._transports})
        self._server = uvicorn.Server(
            uvicorn.Config(
                Guard(page.application(), token=token, port=port),
                http=protocol,
                ws="none",
                lifespan="off",
                loop="asyncio",
                log_config=None,
                # What is wrong with a viewer is not the run's to say.
                log_level=logging.CRITICAL + 1,
                access_log=False,
                proxy_headers=False,
                server_header=False,
                timeout_keep_alive=_IDLE_SECONDS,
                timeout_graceful_shutdown=_LAST_SECONDS,
            )
        )
        self._thread = threading.Thread(target=self._run, name="wsgn-serve", daemon=True)
        self._begun = threading.Event()

    def start(self) -> None:
        """Begin to answer."""
        self._thread.start()
        self._begun.wait(_JOIN_SECONDS)

    def stop(self) -> None:
        """Tell viewers that the run is over, end their connections, and free the port."""
        self._server.should_exit = True
        self._thread.join(_JOIN_SECONDS)
        self._listening.close()

    def _run(self) -> None:
        asyncio.run(self._serve())

    async def _serve(self) -> None:
        loop = asyncio.get_running_loop()
        # As above: connections that break off are no news.
        loop.set_exception_handler(lambda loop, context: None)
        self._page.open()
        serving = loop.create_task(self._server.serve(sockets=[self._listening]))
        loop.call_soon(self._begun.set)
        while not self._server.should_exit and not serving.done():
            self._page.tell()
            await asyncio.wait([serving], timeout=TELL_SECONDS)
        self._page.end()
        await serving
        for transport in list(self._transports.values()):
            transport.abort()
        await asyncio.sleep(0)

    def _cut(self, client: Client) -> None:
        transport = self._transports.get(client)
        if transport is not None:
            transport.abort()


@contextmanager
def serving(page: LivePage, listening: socket.socket, token: str | None) -> Iterator[None]:
    """Serve while the context is open."""
    server = LiveServer(page, listening, token)
    server.start()
    try:
        yield
    finally:
        with suppress(RuntimeError):
            server.stop()
