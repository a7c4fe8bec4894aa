"""An RTSP server on the loopback interface that does whatever is wrong with cameras (RFC 2326).

with RtspServer() as server:
    door = server.mount("door", clip)
    av.open(door.url, options={"rtsp_transport": "tcp"})
    door.fault = Fault(stalled=True)   # all its connections, from now on
    door.fault = Fault()
    server.cut(reset=True)
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import random
import re
import socket
import struct
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import partial

from clips import RTP_CLOCK, Clip, Picture
from servers import LOOPBACK, TcpServer, call, end_connection, first_of, sleep_until

_VIDEO_TYPE = 96
_REPORT_SECONDS = 5.0
_LOOK_SECONDS = 0.01
_TRICKLE_SECONDS = 0.3
_NTP_EPOCH = 2_208_988_800
_NONCE = "5ca1ab1e"


@dataclass(frozen=True, kw_only=True)
class Fault:
    """What is wrong with a mount; may be changed while its connections play."""

    # A request that is never answered: OPTIONS, DESCRIBE, SETUP, PLAY.
    mute: str | None = None
    # Status lines by request, such as {"DESCRIBE": "404 Not Found"}.
    statuses: Mapping[str, str] = field(default_factory=dict)
    # PLAY is answered, and no picture comes.
    silent: bool = False
    # Nothing is sent for now; what was held back comes at once behind it.
    stalled: bool = False
    # One byte in 0.3 s.
    trickle: bool = False
    # A connection ends behind so many pictures, by RST where `reset`.
    ends_after: int | None = None
    reset: bool = False
    # Added to the time stamps.
    shift_seconds: float = 0.0
    # The time stamp (32 bits) of a connection's first picture; None: any.
    first_timestamp: int | None = None
    # Every n-th picture is overwritten, every n-th RTP packet lost.
    damaged: int | None = None
    lost: int | None = None
    # So many times the rate of the clip, time stamps and all else as the clock goes.
    speed: float = 1.0
    # What the description says the mount has: H264, another name, or None for sound only.
    encoding: str | None = "H264"
    # Refuses RTSP over UDP or over TCP.
    refused_transport: str | None = None


@dataclass(frozen=True, kw_only=True)
class Account:
    """Who may look."""

    user: str
    password: str
    # Digest or Basic.
    scheme: str = "Digest"


class Mount:
    """One camera of a server."""

    def __init__(self, server: RtspServer, name: str, clip: Clip, account: Account | None) -> None:
        self._server = server
        self.name = name
        # Another one may be put in its place while connections play.
        self.clip = clip
        self.account = account
        self.fault = Fault()
        # On the monotonic clock: when picture 0 of loop 0 was filmed.
        self.began = time.monotonic()
        self.num_played = 0
        self.num_pictures = 0
        self.requests: list[str] = []
        self.sessions: set[Session] = set()

    @property
    def url(self) -> str:
        """Its address without a user."""
        return f"rtsp://{LOOPBACK}:{self._server.port}/{self.name}"

    def cut(self, *, reset: bool = False) -> None:
        """End the connections of this mount."""
        call(self._cut(reset=reset))

    async def _cut(self, *, reset: bool) -> None:
        for session in list(self.sessions):
            end_connection(session.writer, reset=reset)

    def filmed(self, number: int, *, before: float) -> float:
        """When the picture with this bar code was filmed, last before a monotonic time."""
        age = before - self.began - number / self.clip.rate
        return before - age % self.clip.period_seconds


class RtspServer(TcpServer):
    """Serves mounts to any number of clients, each at the pace of its clip."""

    def __init__(self, *, port: int = 0) -> None:
        self.mounts: dict[str, Mount] = {}
        super().__init__(port=port)

    def mount(self, name: str, clip: Clip, *, account: Account | None = None) -> Mount:
        """Add a camera; `began` is now."""
        made = Mount(self, name, clip, account)
        self.mounts[name] = made
        return made

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        session = Session(self, writer)
        try:
            await first_of(partial(session.answer_all, reader), session.play)
        finally:
            session.close()


@dataclass(frozen=True, kw_only=True)
class Request:
    """Method, address and headers (names in small letters)."""

    method: str
    address: str
    headers: Mapping[str, str]

    @property
    def path(self) -> str:
        """Name of the mount and, of SETUP, of the track, without a query."""
        return re.sub(r"^rtsps?://[^/]*/?", "", self.address).partition("?")[0].rstrip("/")


async def read_request(reader: asyncio.StreamReader) -> Request:
    """The next request; interleaved packets of the client (RTCP) are passed over."""
    while (first := await reader.readexactly(1)) == b"$":
        (_, size) = struct.unpack(">BH", await reader.readexactly(3))
        await reader.readexactly(size)
    head = (first + await reader.readuntil(b"\r\n\r\n")).decode()
    line, *rest = head.strip().split("\r\n")
    method, address, _ = line.split(" ", 2)
    pairs = (header.partition(":") for header in rest)
    headers = {name.strip().lower(): value.strip() for name, _, value in pairs}
    await reader.readexactly(int(headers.get("content-length", 0)))
    return Request(method=method, address=address, headers=headers)


class Session:
    """A client's connection: its requests, and what it is sent."""

    def __init__(self, server: RtspServer, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self.writer = writer
        self._mount: Mount | None = None
        self._playing = asyncio.Event()
        # Of RTSP over UDP.
        self._datagrams: socket.socket | None = None
        self._packets = RtpPackets()

    def close(self) -> None:
        """The client is gone."""
        if self._mount is not None:
            self._mount.sessions.discard(self)
        if self._datagrams is not None:
            self._datagrams.close()

    async def answer_all(self, reader: asyncio.StreamReader) -> None:
        """Until the client says goodbye."""
        while True:
            request = await read_request(reader)
            mount = self._server.mounts.get(request.path.partition("/")[0])
            if mount is None:
                self._reply(request, "404 Not Found")
                continue
            self._mount = mount
            mount.sessions.add(self)
            mount.requests.append(request.method)
            if mount.fault.mute == request.method:
                continue
            self._answer(request, mount)
            if request.method == "TEARDOWN":
                return

    def _answer(self, request: Request, mount: Mount) -> None:
        status = mount.fault.statuses.get(request.method)
        if status is not None:
            self._reply(request, status)
        elif request.method != "OPTIONS" and not _is_let_in(request, mount.account):
            assert mount.account is not None
            self._reply(request, "401 Unauthorized", **{"WWW-Authenticate": _challenge(mount)})
        elif request.method == "OPTIONS":
            methods = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
            self._reply(request, Public=methods)
        elif request.method == "DESCRIBE":
            base = {"Content-Base": f"{mount.url}/", "Content-Type": "application/sdp"}
            self._reply(request, body=_description(mount), **base)
        elif request.method == "SETUP":
            self._set_up(request, mount)
        else:
            self._reply(request, Session="1")
            if request.method == "PLAY":
                self._playing.set()

    def _set_up(self, request: Request, mount: Mount) -> None:
        wanted = request.headers.get("transport", "")
        kind = "tcp" if "TCP" in wanted else "udp"
        if mount.fault.refused_transport == kind:
            self._reply(request, "461 Unsupported Transport")
            return
        transport = "RTP/AVP/TCP;unicast;interleaved=0-1"
        if kind == "udp":
            ports = re.search(r"client_port=(\d+)-(\d+)", wanted)
            assert ports is not None
            self._datagrams = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
            self._datagrams.bind((LOOPBACK, 0))
            self._datagrams.connect((LOOPBACK, int(ports[1])))
            here = self._datagrams.getsockname()[1]
            transport = f"RTP/AVP;unicast;{ports[0]};server_port={here}-{here + 1}"
        self._reply(request, Transport=transport, Session="1;timeout=60")

    def _reply(
        self, request: Request, status: str = "200 OK", *, body: str = "", **headers: str
    ) -> None:
        lines = [f"RTSP/1.0 {status}", f"CSeq: {request.headers.get('cseq', '0')}"]
        lines += [f"{name}: {value}" for name, value in headers.items()]
        if body:
            lines.append(f"Content-Length: {len(body)}")
        self.writer.write("\r\n".join([*lines, "", body]).encode())

    async def play(self) -> None:
        """Pictures as the clock goes, from the first keyframe behind now."""
        await self._playing.wait()
        mount = self._mount
        assert mount is not None
        mount.num_played += 1
        self._packets.begin(mount.fault.first_timestamp)
        num_sent, clip = 0, None
        at = last_sent = 0.0
        while clip is not mount.clip:
            clip = mount.clip
            for sent, shown, picture in clip.from_keyframe(time.monotonic() - mount.began):
                if num_sent == 0 or mount.fault.speed == 1:
                    at = mount.began + sent
                else:
                    at += (sent - last_sent) / mount.fault.speed
                last_sent = sent
                await sleep_until(at)
                while mount.fault.stalled or mount.fault.silent:
                    await asyncio.sleep(_LOOK_SECONDS)
                if clip is not mount.clip:
                    break
                await self._send(picture, at + shown - sent, num_sent, mount.fault)
                mount.num_pictures += 1
                num_sent += 1
                if num_sent == mount.fault.ends_after:
                    end_connection(self.writer, reset=mount.fault.reset)
                    return

    async def _send(self, picture: Picture, seconds: float, number: int, fault: Fault) -> None:
        payloads = picture.payloads
        if fault.damaged is not None and number % fault.damaged == fault.damaged - 1:
            payloads = tuple(_damaged(payload) for payload in payloads)
        packets = self._packets.of(payloads, seconds + fault.shift_seconds, fault.lost)
        if self._datagrams is not None:
            for packet in packets:
                self._datagrams.send(packet)
            return
        packets = [b"$\0" + struct.pack(">H", len(packet)) + packet for packet in packets]
        if (report := self._packets.report()) is not None:
            packets.append(b"$\1" + struct.pack(">H", len(report)) + report)
        data = b"".join(packets)
        if not fault.trickle:
            self.writer.write(data)
        for byte in data if fault.trickle else b"":
            self.writer.write(bytes([byte]))
            await asyncio.sleep(_TRICKLE_SECONDS)
        await self.writer.drain()


class RtpPackets:
    """Headers of RTP packets (RFC 3550): numbers from anywhere, times from anywhere."""

    def __init__(self) -> None:
        self._number = random.randrange(1 << 16)
        self._source = random.randrange(1 << 32)
        self._num_made = 0
        self._first_timestamp = 0
        self._first_seconds: float | None = None
        self._timestamp = 0
        self._reported = 0.0

    def begin(self, first_timestamp: int | None) -> None:
        """Time stamps begin anew."""
        any_time = random.randrange(1 << 31)
        self._first_timestamp = any_time if first_timestamp is None else first_timestamp
        self._first_seconds = None
        self._reported = time.monotonic()

    def of(self, payloads: tuple[bytes, ...], seconds: float, lost: int | None) -> list[bytes]:
        """The packets of one picture, without every `lost`-th."""
        if self._first_seconds is None:
            self._first_seconds = seconds
        ticks = round((seconds - self._first_seconds) * RTP_CLOCK)
        self._timestamp = (self._first_timestamp + ticks) & 0xFFFFFFFF
        packets = []
        for index, payload in enumerate(payloads):
            marker = 0x80 if index == len(payloads) - 1 else 0
            self._number = (self._number + 1) & 0xFFFF
            self._num_made += 1
            if lost is None or self._num_made % lost:
                head = (0x80, _VIDEO_TYPE | marker, self._number, self._timestamp, self._source)
                packets.append(struct.pack(">BBHII", *head) + payload)
        return packets

    def report(self) -> bytes | None:
        """A sender's report (RTCP), every 5 s: the wall clock of the last time stamp."""
        now = time.monotonic()
        if now < self._reported + _REPORT_SECONDS:
            return None
        self._reported = now
        wall = time.time() + _NTP_EPOCH
        ntp = (int(wall), int(wall % 1 * (1 << 32)))
        return struct.pack(
            ">BBHIIIIII", 0x80, 200, 6, self._source, *ntp, self._timestamp, self._num_made, 0
        )


def _damaged(payload: bytes) -> bytes:
    """The unit's header stays, so that it gets as far as the decoder."""
    return payload[:2] + b"\xff" * (len(payload) - 2)


def _description(mount: Mount) -> str:
    lines = ["v=0", f"o=- 0 0 IN IP4 {LOOPBACK}", "s=test", f"c=IN IP4 {LOOPBACK}", "t=0 0"]
    encoding = mount.fault.encoding
    if encoding is None:
        lines += ["m=audio 0 RTP/AVP 0", "a=control:track"]
    else:
        lines += [
            f"m=video 0 RTP/AVP {_VIDEO_TYPE}",
            f"a=rtpmap:{_VIDEO_TYPE} {encoding}/{RTP_CLOCK}",
        ]
        if encoding == "H264":
            sets = ",".join(
                base64.b64encode(one).decode() for one in (mount.clip.sps, mount.clip.pps)
            )
            profile = mount.clip.sps[1:4].hex().upper()
            lines.append(
                f"a=fmtp:{_VIDEO_TYPE} packetization-mode=1;profile-level-id={profile};"
                f"sprop-parameter-sets={sets}"
            )
        lines.append("a=control:track")
    return "\r\n".join([*lines, ""])


def _challenge(mount: Mount) -> str:
    scheme = mount.account.scheme if mount.account else ""
    nonce = f', nonce="{_NONCE}"' if scheme == "Digest" else ""
    return f'{scheme} realm="camera"{nonce}'


def _is_let_in(request: Request, account: Account | None) -> bool:
    if account is None:
        return True
    scheme, _, given = request.headers.get("authorization", "").partition(" ")
    if scheme != account.scheme:
        return False
    if scheme == "Basic":
        return base64.b64decode(given).decode() == f"{account.user}:{account.password}"
    fields = dict(re.findall(r'(\w+)="([^"]*)"', given))
    secret = _md5(f"{account.user}:camera:{account.password}")
    what = _md5(f"{request.method}:{fields.get('uri')}")
    return fields.get("response") == _md5(f"{secret}:{_NONCE}:{what}")


def _md5(text: str) -> str:
    return hashlib.md5(text.encode()).hexdigest()
