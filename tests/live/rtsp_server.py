"""An RTSP server on the loopback interface that does whatever is wrong with cameras (RFC 2326).

with RtspServer() as server:
    door = server.add("door", clip)
    av.open(door.url, options={"rtsp_transport": "tcp"})
    door.fault = Fault(stalled=True)   # all its connections, from now on
    door.fault = Fault()
    server.cut(reset=True)
"""

from __future__ import annotations

import asyncio
import base64
import random
import re
import socket
import struct
import time
from functools import partial

from cameras import Account, Camera, Fault, Filmed, Request, challenge, read_request
from clips import RTP_CLOCK, Clip
from servers import LOOPBACK, TcpServer, end_connection, first_of

__all__ = ["Account", "Camera", "Fault", "RtspServer"]

_VIDEO_TYPE = 96
# PCMU, and a second of it.
_SOUND_TYPE = 0
_SOUND_CLOCK = 8000
_NTP_EPOCH = 2_208_988_800


class RtspServer(TcpServer):
    """Shows cameras to any number of clients, each at the pace of its clip."""

    def __init__(self, *, port: int = 0) -> None:
        self.cameras: dict[str, Camera] = {}
        super().__init__(port=port)

    def add(self, name: str, clip: Clip, *, account: Account | None = None) -> Camera:
        """A camera that films from now on."""
        made = Camera(name, f"rtsp://{LOOPBACK}:{self.port}/{name}", clip, account)
        self.cameras[name] = made
        return made

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        session = _Session(self, writer)
        try:
            await first_of(partial(session.answer_all, reader), session.play)
        finally:
            session.close()


async def _next_request(reader: asyncio.StreamReader) -> Request:
    """The next request; interleaved packets of the client (RTCP) are passed over."""
    while (first := await reader.readexactly(1)) == b"$":
        (_, size) = struct.unpack(">BH", await reader.readexactly(3))
        await reader.readexactly(size)
    return await read_request(reader, first)


class _Session:
    """A client's connection: its requests, and what it is sent."""

    def __init__(self, server: RtspServer, writer: asyncio.StreamWriter) -> None:
        self._server = server
        self._writer = writer
        self._camera: Camera | None = None
        self._playing = asyncio.Event()
        # Of RTSP over UDP.
        self._datagrams: socket.socket | None = None
        # Of RTSP over TCP, by track.
        self._channels: dict[str, int] = {}

    def close(self) -> None:
        """The client is gone."""
        if self._camera is not None:
            self._camera.writers.discard(self._writer)
        if self._datagrams is not None:
            self._datagrams.close()

    async def answer_all(self, reader: asyncio.StreamReader) -> None:
        """Until the client says goodbye."""
        while True:
            request = await _next_request(reader)
            camera = self._server.cameras.get(re.sub(r"/(?:track|sound)$", "", request.path))
            if camera is None:
                self._reply(request, "404 Not Found")
                continue
            self._camera = camera
            camera.writers.add(self._writer)
            camera.requests.append(request.method)
            if camera.fault.mute == request.method:
                continue
            self._answer(request, camera)
            if request.method == "TEARDOWN":
                return

    def _answer(self, request: Request, camera: Camera) -> None:
        status = camera.fault.statuses.get(request.method)
        if status is not None:
            self._reply(request, status)
        elif request.method == "OPTIONS":
            methods = "OPTIONS, DESCRIBE, SETUP, PLAY, TEARDOWN, GET_PARAMETER"
            self._reply(request, Public=methods)
        elif camera.account is not None and not request.is_let_in(camera.account):
            said = {"WWW-Authenticate": challenge(camera.account)}
            self._reply(request, "401 Unauthorized", **said)
        elif request.method == "DESCRIBE":
            base = {"Content-Base": f"{camera.url}/", "Content-Type": "application/sdp"}
            self._reply(request, body=_description(camera), **base)
        elif request.method == "SETUP":
            self._set_up(request, camera)
        else:
            self._reply(request, Session="1")
            if request.method == "PLAY":
                self._playing.set()

    def _set_up(self, request: Request, camera: Camera) -> None:
        wanted = request.headers.get("transport", "")
        kind = "tcp" if "TCP" in wanted else "udp"
        if camera.fault.refused_transport == kind:
            self._reply(request, "461 Unsupported Transport")
            return
        channels = re.search(r"interleaved=(\d+)-\d+", wanted)
        self._channels[request.path.rpartition("/")[2]] = int(channels[1]) if channels else 0
        transport = f"RTP/AVP/TCP;unicast;{channels[0] if channels else ''}"
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
        self._writer.write("\r\n".join([*lines, "", body]).encode())

    async def play(self) -> None:
        """Pictures as the clock goes."""
        await self._playing.wait()
        camera = self._camera
        assert camera is not None
        pictures = _RtpPackets(_VIDEO_TYPE, RTP_CLOCK, camera.fault.first_timestamp)
        sound = _RtpPackets(_SOUND_TYPE, _SOUND_CLOCK, None)
        silence = b"\xff" * round(_SOUND_CLOCK / camera.clip.rate)
        async for filmed in camera.pictures():
            packets = [] if filmed.fault.blind else pictures.of(filmed, filmed.picture.payloads)
            if self._datagrams is not None:
                for packet in packets:
                    self._datagrams.send(packet)
                continue
            data = self._framed("track", packets, pictures.report(camera.report_seconds))
            if "sound" in self._channels:
                packets = sound.of(filmed, (silence,))
                data += self._framed("sound", packets, sound.report(camera.report_seconds))
            await camera.send(self._writer, data)
        end_connection(self._writer, reset=camera.fault.reset)

    def _framed(self, track: str, packets: list[bytes], report: bytes | None) -> bytes:
        channel = self._channels[track]
        numbered = [(channel, packet) for packet in packets]
        numbered += [] if report is None else [(channel + 1, report)]
        return b"".join(struct.pack(">cBH", b"$", to, len(what)) + what for to, what in numbered)


class _RtpPackets:
    """Packets with headers (RFC 3550): numbers from anywhere, times from anywhere."""

    def __init__(self, kind: int, clock: int, first_timestamp: int | None) -> None:
        self._kind = kind
        self._clock = clock
        self._number = random.randrange(1 << 16)
        self._source = random.randrange(1 << 32)
        self._num_made = 0
        any_time = random.randrange(1 << 31)
        self._first_timestamp = any_time if first_timestamp is None else first_timestamp
        self._first_seconds: float | None = None
        self._timestamp = 0
        self._filmed_at = 0.0
        self._reported = time.monotonic()

    def of(self, filmed: Filmed, payloads: tuple[bytes, ...]) -> list[bytes]:
        """The packets of one moment, without those that get lost."""
        if self._first_seconds is None:
            self._first_seconds = filmed.seconds
        self._filmed_at = filmed.filmed_at
        ticks = round((filmed.seconds - self._first_seconds) * self._clock)
        self._timestamp = (self._first_timestamp + ticks) & 0xFFFFFFFF
        packets = []
        for index, payload in enumerate(payloads):
            marker = 0x80 if index == len(payloads) - 1 else 0
            self._number = (self._number + 1) & 0xFFFF
            self._num_made += 1
            if filmed.fault.lost is None or self._num_made % filmed.fault.lost:
                head = (0x80, self._kind | marker, self._number, self._timestamp, self._source)
                kept = _header_bytes(payload) if filmed.is_damaged else len(payload)
                payload = payload[:kept] + b"\xff" * (len(payload) - kept)
                packets.append(struct.pack(">BBHII", *head) + payload)
        return packets

    def report(self, every_seconds: float) -> bytes | None:
        """A sender's report (RTCP), now and then: the wall clock of the last time stamp.

        Not that of its sending, which comes late on a machine that stood still.
        """
        now = time.monotonic()
        if now < self._reported + every_seconds:
            return None
        self._reported = now
        wall = time.time() - (now - self._filmed_at) + _NTP_EPOCH
        ntp = (int(wall), int(wall % 1 * (1 << 32)))
        return struct.pack(
            ">BBHIIIIII", 0x80, 200, 6, self._source, *ntp, self._timestamp, self._num_made, 0
        )


def _header_bytes(payload: bytes) -> int:
    """A unit's header, by which what is damaged gets as far as the decoder.

    One byte more says of which kind a slice is: some of those are drawn, whatever is in them.
    """
    is_fragment = payload[0] & 0x1F == 28
    return 2 if is_fragment else 1


def _description(camera: Camera) -> str:
    lines = ["v=0", f"o=- 0 0 IN IP4 {LOOPBACK}", "s=test", f"c=IN IP4 {LOOPBACK}", "t=0 0"]
    encoding, clip = camera.fault.encoding, camera.clip
    if encoding is None:
        lines.append("m=audio 0 RTP/AVP 0")
    else:
        lines.append(f"m=video 0 RTP/AVP {_VIDEO_TYPE}")
        lines.append(f"a=rtpmap:{_VIDEO_TYPE} {encoding}/{RTP_CLOCK}")
    if encoding == "H264":
        sets = ",".join(base64.b64encode(one).decode() for one in (clip.sps, clip.pps))
        profile = f"profile-level-id={clip.sps[1:4].hex().upper()}"
        lines.append(
            f"a=fmtp:{_VIDEO_TYPE} packetization-mode=1;{profile};sprop-parameter-sets={sets}"
        )
    lines.append("a=control:track")
    if camera.has_sound:
        lines += [f"m=audio 0 RTP/AVP {_SOUND_TYPE}", "a=control:sound"]
    return "\r\n".join([*lines, ""])
