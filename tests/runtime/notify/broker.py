"""A small MQTT 3.1.1 broker: one level of trust, QoS 0 and 1, retained messages and last wills.

It forgets all when it is killed, as brokers without persistence do.
"""

from __future__ import annotations

import contextlib
import socket
import socketserver
import struct
import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Self

from receivers import HANG_SECONDS

_CONNECT, _CONNACK, _PUBLISH, _PUBACK, _SUBSCRIBE, _SUBACK = 1, 2, 3, 4, 8, 9
_PINGREQ, _PINGRESP, _DISCONNECT = 12, 13, 14
_NOT_AUTHORIZED = 5
_RESET = struct.pack("ii", 1, 0)


@dataclass(frozen=True, kw_only=True)
class Published:
    """A message as a client sent it, or as a will came."""

    topic: str
    body: bytes
    qos: int
    retain: bool
    dup: bool = False


@dataclass(kw_only=True)
class _Client:
    """One connection."""

    socket: socket.socket
    will: Published | None = None
    filters: list[str] = field(default_factory=list)
    lock: threading.Lock = field(default_factory=threading.Lock)

    def send(self, kind: int, body: bytes = b"", flags: int = 0) -> None:
        with self.lock, contextlib.suppress(OSError):
            self.socket.sendall(bytes([kind << 4 | flags]) + _length(len(body)) + body)


class Broker:
    """Listens on the loopback interface; `account` is all that it lets in, if there is one."""

    def __init__(self, *, port: int = 0, account: tuple[str, str] | None = None) -> None:
        self._account = account
        self._clients: list[_Client] = []
        self._retained: dict[str, Published] = {}
        self._is_killed = False
        self._changed = threading.Condition()
        self.published: list[Published] = []
        # Takes messages, and acknowledges none.
        self.is_mute = False
        self._server = _Server(("127.0.0.1", port), self._handler())
        self.port = self._server.server_address[1]
        self._thread = threading.Thread(target=self._server.serve_forever, args=(0.02,))
        self._thread.start()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.kill()

    def kill(self) -> None:
        """Go away at once, without a word, and forget all."""
        if not self._is_killed:
            self._is_killed = True
            self._server.shutdown()
            self._server.server_close()
            self.cut()
            self._thread.join()

    def cut(self) -> None:
        """Reset all connections."""
        with self._changed:
            clients = list(self._clients)
        for client in clients:
            with contextlib.suppress(OSError):
                client.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, _RESET)
                client.socket.shutdown(socket.SHUT_RDWR)

    def wait_until(self, is_so: Callable[[list[Published]], bool]) -> list[Published]:
        """What was published, once it is so."""
        with self._changed:
            assert self._changed.wait_for(lambda: is_so(self.published), HANG_SECONDS)
            return list(self.published)

    def _handler(self) -> type[socketserver.BaseRequestHandler]:
        broker = self

        class Handler(socketserver.BaseRequestHandler):
            def handle(self) -> None:
                client = _Client(socket=self.request)
                with broker._changed:
                    broker._clients.append(client)
                with contextlib.suppress(OSError, EOFError):
                    broker._serve(client)
                with broker._changed:
                    broker._clients.remove(client)
                if client.will is not None and not broker._is_killed:
                    broker._take(client.will)

        return Handler

    def _serve(self, client: _Client) -> None:
        stream = client.socket.makefile("rb")
        while not self._is_killed:
            kind, flags, body = _read_packet(stream)
            if kind == _CONNECT:
                will, account = _connect(body)
                if self._account is not None and account != self._account:
                    client.send(_CONNACK, bytes([0, _NOT_AUTHORIZED]))
                    return
                client.will = will
                client.send(_CONNACK, bytes(2))
            elif kind == _PUBLISH:
                self._publish(client, flags, body)
            elif kind == _SUBSCRIBE:
                self._subscribe(client, body)
            elif kind == _PINGREQ:
                client.send(_PINGRESP)
            elif kind == _DISCONNECT:
                client.will = None
                return

    def _publish(self, client: _Client, flags: int, body: bytes) -> None:
        topic, rest = _text(body)
        qos = flags >> 1 & 3
        mid, payload = (rest[:2], rest[2:]) if qos else (b"", rest)
        self._take(
            Published(
                topic=topic, body=payload, qos=qos, retain=bool(flags & 1), dup=bool(flags & 8)
            )
        )
        if qos and not self.is_mute:
            client.send(_PUBACK, mid)

    def _take(self, message: Published) -> None:
        with self._changed:
            self.published.append(message)
            if message.retain:
                self._retained[message.topic] = message
            receivers = [
                client
                for client in self._clients
                if any(_matches(one, message.topic) for one in client.filters)
            ]
            self._changed.notify_all()
        for client in receivers:
            client.send(_PUBLISH, _packed(message.topic) + message.body)

    def _subscribe(self, client: _Client, body: bytes) -> None:
        wanted, _ = _text(body[2:])
        with self._changed:
            client.filters.append(wanted)
            kept = [found for found in self._retained.values() if _matches(wanted, found.topic)]
        client.send(_SUBACK, body[:2] + bytes(1))
        for message in kept:
            client.send(_PUBLISH, _packed(message.topic) + message.body, flags=1)


class _Server(socketserver.ThreadingTCPServer):
    allow_reuse_address = True
    daemon_threads = True


def _matches(wanted: str, topic: str) -> bool:
    """Whether a topic is meant: whole ones, and `a/#` for all below."""
    return topic == wanted or (wanted.endswith("#") and topic.startswith(wanted[:-1]))


def _length(number: int) -> bytes:
    parts = []
    while True:
        number, part = divmod(number, 128)
        parts.append(part | (128 if number else 0))
        if not number:
            return bytes(parts)


def _packed(text: str) -> bytes:
    data = text.encode()
    return struct.pack(">H", len(data)) + data


def _text(data: bytes) -> tuple[str, bytes]:
    (size,) = struct.unpack(">H", data[:2])
    return data[2 : 2 + size].decode(), data[2 + size :]


def _read_packet(stream: Any) -> tuple[int, int, bytes]:
    first, length, shift = stream.read(1), 0, 0
    while first:
        part = stream.read(1)
        if not part:
            break
        length |= (part[0] & 127) << shift
        shift += 7
        if part[0] < 128:
            return first[0] >> 4, first[0] & 15, stream.read(length)
    raise EOFError


def _connect(body: bytes) -> tuple[Published | None, tuple[str, str] | None]:
    """The last will of a CONNECT, and the account in it."""
    name, rest = _text(body)
    assert (name, rest[0]) == ("MQTT", 4)
    flags = rest[1]
    _, rest = _text(rest[4:])
    will = account = None
    if flags & 4:
        topic, rest = _text(rest)
        payload, rest = _text(rest)
        qos, retain = flags >> 3 & 3, bool(flags & 32)
        will = Published(topic=topic, body=payload.encode(), qos=qos, retain=retain)
    if flags & 128:
        user, rest = _text(rest)
        password, rest = _text(rest) if flags & 64 else ("", rest)
        account = (user, password)
    return will, account
