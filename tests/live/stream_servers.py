"""Cameras without RTSP: MJPEG, MPEG-TS and HLS over HTTP, MPEG-TS over TCP and UDP."""

from __future__ import annotations

import asyncio
import io
import itertools
import math
import socket
from collections.abc import Iterable, Mapping
from fractions import Fraction
from functools import cache, partial
from typing import Any

import av
from cameras import Account, Camera, Filmed, Request, challenge, read_request
from clips import RTP_CLOCK, Clip, Picture
from servers import LOOPBACK, TcpServer, end_connection, first_of, loop

_BOUNDARY = "picture"
# What fits into a datagram: seven packets of MPEG-TS.
_DATAGRAM_BYTES = 7 * 188
# Segments of HLS, and how many a playlist names.
SEGMENT_SECONDS = 0.8
_NUM_SEGMENTS = 10


class TransportStream:
    """Pictures to MPEG-TS, as they come."""

    def __init__(self, clip: Clip) -> None:
        self._bytes = io.BytesIO()
        self._container: Any = av.open(
            self._bytes, "w", format="mpegts", options={"flush_packets": "1"}
        )
        with _as_file(clip) as template:
            self._stream = self._container.add_stream_from_template(template.streams.video[0])

    def push(self, picture: Picture, seconds: float, *, is_damaged: bool = False) -> bytes:
        """The bytes of a picture shown at a time."""
        data = picture.annexb
        if is_damaged:
            # Behind a start code and the unit's header.
            data = data[:5] + b"\xff" * (len(data) - 5)
        packet: Any = av.Packet(data)
        packet.stream = self._stream
        packet.time_base = Fraction(1, RTP_CLOCK)
        packet.pts = round(seconds * RTP_CLOCK)
        packet.dts = packet.pts - round((picture.seconds - picture.sent_seconds) * RTP_CLOCK)
        packet.is_keyframe = picture.is_key
        self._container.mux(packet)
        made = self._bytes.getvalue()
        self._bytes.seek(0)
        self._bytes.truncate()
        return made


def _as_file(clip: Clip) -> Any:
    data = b"".join(picture.annexb for picture in clip.pictures)
    return av.open(io.BytesIO(data), format="h264")


@cache
def jpegs(clip: Clip) -> dict[float, bytes]:
    """The clip's pictures by their times, as MJPEG cameras send them."""
    encoder: Any = av.CodecContext.create("mjpeg", "w")
    encoder.width, encoder.height, encoder.pix_fmt = clip.width, clip.height, "yuv420p"
    # Such cameras say nothing of the range of their colours.
    encoder.options = {"strict": "unofficial"}
    encoder.time_base = Fraction(1, RTP_CLOCK)
    found = {}
    with _as_file(clip) as film:
        for number, frame in enumerate(film.decode(video=0)):
            frame.pts, frame.time_base = number, encoder.time_base
            (packet,) = encoder.encode(frame)
            found[clip.pictures[number].seconds] = bytes(packet)
    return found


class HttpServer(TcpServer):
    """Each camera at NAME.mjpeg, NAME.ts and NAME.m3u8."""

    def __init__(self, *, port: int = 0) -> None:
        self.cameras: dict[str, Camera] = {}
        super().__init__(port=port)

    def add(self, name: str, clip: Clip, *, account: Account | None = None) -> Camera:
        """A camera that films from now on, by what its name ends with."""
        made = Camera(name, f"http://{LOOPBACK}:{self.port}/{name}", clip, account)
        if name.endswith(".mjpeg"):
            jpegs(clip)
        self.cameras[name] = made
        return made

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One request."""
        request = await read_request(reader)
        name, _, segment = request.path.partition("/")
        camera = self.cameras.get(name)
        if camera is None:
            _reply(writer, "404 Not Found")
            return
        camera.writers.add(writer)
        camera.requests.append(request.method)
        try:
            await self._serve(camera, request, segment, reader, writer)
        finally:
            camera.writers.discard(writer)

    async def _serve(
        self,
        camera: Camera,
        request: Request,
        segment: str,
        reader: asyncio.StreamReader,
        writer: asyncio.StreamWriter,
    ) -> None:
        if camera.fault.mute == request.method:
            await reader.read()
        elif (status := camera.fault.statuses.get(request.method)) is not None:
            _reply(writer, status)
        elif camera.account is not None and not request.is_let_in(camera.account):
            said = {"WWW-Authenticate": challenge(camera.account)}
            _reply(writer, "401 Unauthorized", headers=said)
        elif camera.name.endswith(".m3u8"):
            body = _segment(camera, int(segment[:-3])) if segment else _playlist(camera)
            kind = "video/mp2t" if segment else "application/vnd.apple.mpegurl"
            headers = {"Content-Type": kind, "Content-Length": str(len(body))}
            _reply(writer, headers=headers, body=body)
            await writer.drain()
        else:
            await first_of(reader.read, partial(_play, camera, writer))
            end_connection(writer, reset=camera.fault.reset)


def _reply(
    writer: asyncio.StreamWriter,
    status: str = "200 OK",
    *,
    headers: Mapping[str, str] | None = None,
    body: bytes = b"",
) -> None:
    lines = [f"HTTP/1.1 {status}", "Connection: close"]
    lines += [f"{name}: {value}" for name, value in (headers or {}).items()]
    writer.write("\r\n".join([*lines, "", ""]).encode() + body)


async def _play(camera: Camera, writer: asyncio.StreamWriter) -> None:
    is_mjpeg = camera.name.endswith(".mjpeg")
    kind = f"multipart/x-mixed-replace; boundary={_BOUNDARY}" if is_mjpeg else "video/mp2t"
    _reply(writer, headers={"Content-Type": kind})
    await _send_pictures(camera, writer, is_mjpeg=is_mjpeg)


async def _send_pictures(
    camera: Camera, writer: asyncio.StreamWriter, *, is_mjpeg: bool = False
) -> None:
    stream = None if is_mjpeg else TransportStream(camera.clip)
    async for filmed in camera.pictures():
        data = _part(camera, filmed) if stream is None else _pushed(stream, filmed)
        await camera.send(writer, data)


def _pushed(stream: TransportStream, filmed: Filmed) -> bytes:
    return stream.push(filmed.picture, filmed.seconds, is_damaged=filmed.is_damaged)


def _part(camera: Camera, filmed: Filmed) -> bytes:
    data = jpegs(camera.clip)[filmed.picture.seconds]
    if filmed.is_damaged:
        data = data[:2] + b"\xff" * (len(data) - 2)
    head = f"--{_BOUNDARY}\r\nContent-Type: image/jpeg\r\nContent-Length: {len(data)}\r\n\r\n"
    return head.encode() + data + b"\r\n"


def _num_whole(camera: Camera) -> int:
    """Segments that a camera has filmed; none come while it is stalled."""
    if not camera.fault.stalled:
        camera.num_segments = math.floor(
            (loop().time() - camera.began + camera.lead_seconds) / SEGMENT_SECONDS
        )
    return camera.num_segments


def _playlist(camera: Camera) -> bytes:
    num_whole = _num_whole(camera)
    first = max(0, num_whole - _NUM_SEGMENTS)
    lines = ["#EXTM3U", "#EXT-X-VERSION:3", f"#EXT-X-TARGETDURATION:{math.ceil(SEGMENT_SECONDS)}"]
    lines.append(f"#EXT-X-MEDIA-SEQUENCE:{first}")
    for number in range(first, num_whole):
        lines += [f"#EXTINF:{SEGMENT_SECONDS:.3f},", f"{camera.name}/{number}.ts"]
    return "\n".join([*lines, ""]).encode()


def _segment(camera: Camera, number: int) -> bytes:
    """The pictures of one part of the time, from a keyframe to the next part's."""
    begin = number * SEGMENT_SECONDS
    return transport_stream(camera.clip, begin, begin + SEGMENT_SECONDS)


def transport_stream(clip: Clip, begin: float, end: float) -> bytes:
    """MPEG-TS of what a clip's loop shows from one time to another, both at keyframes."""
    stream = TransportStream(clip)
    # Sums of steps are not exact.
    pictures: Iterable[tuple[float, float, Picture]] = itertools.takewhile(
        lambda one: one[0] < end - 1e-6, clip.from_keyframe(begin - 1e-6)
    )
    return b"".join(stream.push(picture, shown) for _, shown, picture in pictures)


class TcpCamera(TcpServer):
    """MPEG-TS to whoever connects."""

    def __init__(self, clip: Clip, *, port: int = 0) -> None:
        super().__init__(port=port)
        self.camera = Camera("tcp", f"tcp://{LOOPBACK}:{self.port}", clip)

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        """One client."""
        self.camera.writers.add(writer)
        await first_of(reader.read, partial(_send_pictures, self.camera, writer))
        end_connection(writer, reset=self.camera.fault.reset)


class UdpCamera:
    """MPEG-TS in datagrams to a port, whoever listens there."""

    def __init__(self, clip: Clip, port: int, *, began: float | None = None) -> None:
        self.camera = Camera("udp", f"udp://{LOOPBACK}:{port}", clip)
        # Another sender goes on with what this one films.
        self.camera.began = self.camera.began if began is None else began
        self._port = port
        self._playing = asyncio.run_coroutine_threadsafe(self._play(), loop())

    def stop(self) -> None:
        """It sends no more."""
        self._playing.cancel()

    def __enter__(self) -> UdpCamera:
        return self

    def __exit__(self, *_: object) -> None:
        self.stop()

    async def _play(self) -> None:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as datagrams:
            stream = TransportStream(self.camera.clip)
            async for filmed in self.camera.pictures():
                data = _pushed(stream, filmed)
                for start in range(0, len(data), _DATAGRAM_BYTES):
                    part = data[start : start + _DATAGRAM_BYTES]
                    # Whether somebody listens is no matter of the sender.
                    datagrams.sendto(part, (LOOPBACK, self._port))
