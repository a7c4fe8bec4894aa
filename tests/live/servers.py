"""What all servers of these tests share: one loop in a thread, loopback, ports of the system."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import struct
import threading
import time
from collections.abc import Awaitable, Callable, Coroutine
from functools import cache
from typing import Any, Self, TypeVar

T = TypeVar("T")
LOOPBACK = "127.0.0.1"
_BEAT_SECONDS = 0.05


class _Pulse:
    """Beats in the servers' loop: where it stood still, alone or with this whole process."""

    def __init__(self) -> None:
        self.last = time.monotonic()
        # When it went on, and for how long it had stood.
        self.stops: list[tuple[float, float]] = []
        self.task: asyncio.Task[None] | None = None

    async def beat(self) -> None:
        """Until the process ends."""
        self.last = time.monotonic()
        while True:
            await asyncio.sleep(_BEAT_SECONDS)
            now = time.monotonic()
            if (stood := now - self.last - _BEAT_SECONDS) > _BEAT_SECONDS:
                self.stops.append((now, stood))
            self.last = now


_pulse = _Pulse()


@cache
def loop() -> asyncio.AbstractEventLoop:
    """The loop of all servers in this process, which runs until the process ends."""
    made = asyncio.new_event_loop()
    _pulse.task = made.create_task(_pulse.beat())
    threading.Thread(target=made.run_forever, name="live servers", daemon=True).start()
    return made


def stood_seconds(since: float) -> float:
    """The longest that the servers have stood still since a monotonic time, as machines do."""
    until_now = max(0.0, time.monotonic() - _pulse.last - _BEAT_SECONDS)
    return max(until_now, *(stood for went_on, stood in _pulse.stops if went_on > since), 0.0)


def call(work: Coroutine[Any, Any, T]) -> T:
    """What a coroutine gives, run in the loop; waited for."""
    return asyncio.run_coroutine_threadsafe(work, loop()).result(timeout=60)


class TcpServer:
    """Accepts connections, each served by a coroutine; can go away and come back on its port."""

    def __init__(self, *, port: int = 0) -> None:
        self.port = port
        self._server: asyncio.Server | None = None
        self._tasks: set[asyncio.Task[None]] = set()
        self._writers: set[asyncio.StreamWriter] = set()
        self.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    def start(self) -> None:
        """Listen (again, on the same port)."""
        call(self._start())

    def stop(self, *, reset: bool = False) -> None:
        """Listen no more and end all connections: FIN, or RST with `reset`."""
        call(self._stop(reset=reset))

    def cut(self, *, reset: bool = False) -> None:
        """End all connections; the next ones are accepted."""
        call(self._cut(reset=reset))

    async def _start(self) -> None:
        self._server = await asyncio.start_server(
            self._accepted, LOOPBACK, self.port, backlog=256, reuse_address=True
        )
        self.port = self._server.sockets[0].getsockname()[1]

    async def _stop(self, *, reset: bool) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None
        await self._cut(reset=reset)

    async def _cut(self, *, reset: bool) -> None:
        for writer in list(self._writers):
            end_connection(writer, reset=reset)
        for task in list(self._tasks):
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _accepted(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self._writers.add(writer)
        # A camera has little room for what its viewer does not read.
        writer.transport.set_write_buffer_limits(high=0)
        try:
            await self.serve(reader, writer)
        except (OSError, asyncio.IncompleteReadError, asyncio.CancelledError):
            pass
        finally:
            self._tasks.discard(task)
            self._writers.discard(writer)
            writer.close()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One connection, from its beginning to its end."""
        raise NotImplementedError


def end_connection(writer: asyncio.StreamWriter, *, reset: bool) -> None:
    """FIN, or RST; what waits to be sent is left out."""
    connection = writer.get_extra_info("socket")
    with contextlib.suppress(OSError):
        if reset:
            connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        else:
            # To close with requests unread would send RST.
            connection.shutdown(socket.SHUT_RDWR)
    writer.transport.abort()


async def sleep_until(due: float) -> None:
    """Until the loop's (monotonic) clock says so."""
    await asyncio.sleep(max(0.0, due - asyncio.get_running_loop().time()))


async def first_of(*works: Callable[[], Awaitable[Any]]) -> None:
    """Until one of them ends; the others are cancelled, an exception is passed on."""
    tasks = [asyncio.ensure_future(work()) for work in works]
    try:
        done, _ = await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        for task in done:
            task.result()
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def free_port() -> int:
    """A port of the loopback interface on which nobody listens."""
    with socket.socket() as probe:
        probe.bind((LOOPBACK, 0))
        port: int = probe.getsockname()[1]
        return port


class FullBacklog:
    """A port whose SYN nobody answers: a listener that accepts nothing, its queue full."""

    def __enter__(self) -> int:
        self._listener = socket.socket()
        self._listener.bind((LOOPBACK, 0))
        self._listener.listen(0)
        port: int = self._listener.getsockname()[1]
        self._waiting = []
        for _ in range(4):
            client = socket.socket()
            client.setblocking(False)
            client.connect_ex((LOOPBACK, port))
            self._waiting.append(client)
        return port

    def __exit__(self, *_: object) -> None:
        for one in (*self._waiting, self._listener):
            one.close()
