"""The sound of a part of a video, to the sample, as AAC."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, Self

import numpy as np
import numpy.typing as npt
from av.audio.frame import AudioFrame
from av.audio.resampler import AudioResampler
from av.audio.stream import AudioStream
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet

from wsgn.video.opened_video import OpenedVideo
from wsgn.video.source import OpenSource, open_source

# Rates of AAC.
_RATES = (8000, 11025, 12000, 16000, 22050, 24000, 32000, 44100, 48000, 64000, 88200, 96000)
_USUAL_RATE = 48_000
_BIT_RATE = 128_000
# A decoder needs some packets before those that are asked for.
_LEAD_SECONDS = 0.5
# Times of packets are rounded in some containers: up to so much is no hole.
_SLACK_SECONDS = 0.02
# Samples are handed to the encoder in pieces of at most this.
_PIECE_SECONDS = 1.0

# (channels, N) in float32.
Samples = npt.NDArray[np.float32]


class Sound:
    """The first sound of a video from a time on, which is handed out as frames are.

    Time 0 of its packets is `begin_seconds` of the video. Without a `source` there is none.
    """

    def __init__(self, source: OpenSource | None, *, begin_seconds: float, origin: float) -> None:
        self._source = source
        self._stream: AudioStream | None = None
        # Times of the file at which the clip begins, and before which nothing is decoded.
        self._begin = begin_seconds + origin
        self._encoder: AudioStream | None = None
        # Of samples: those that went to the encoder, and those that are there.
        self._num_given = self._num_there = 0
        self._held: list[Samples] = []
        self._next: tuple[int | None, Samples] | None = None
        # What is to be said about it.
        self.remark = ""
        self.rate = _USUAL_RATE
        self._layout = "stereo"
        self._decoded: Iterator[tuple[int | None, Samples]] = iter(())
        if source is not None:
            self._open(source)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        if self._source is not None:
            self._source.container.close()

    @property
    def is_there(self) -> bool:
        """Whether the clip has sound."""
        return self._encoder is not None

    def add_stream(self, output: OutputContainer, end_seconds: float) -> None:
        """Add it to a file, unless it has none before `end_seconds` of the clip."""
        self._next = next(self._decoded, None)
        if self._next is None or (self._next[0] or 0) >= end_seconds * self.rate:
            return
        self._encoder = output.add_stream("aac", rate=self.rate)
        self._encoder.layout = self._layout
        self._encoder.bit_rate = _BIT_RATE

    def until(self, seconds: float) -> list[Packet[Any]]:
        """Packets of the sound up to a time of the clip."""
        packets: list[Packet[Any]] = []
        last = round(seconds * self.rate)
        while self._encoder is not None and self._num_given < last:
            piece = min(last, self._num_given + round(_PIECE_SECONDS * self.rate))
            self._fill(piece)
            frame = self._taken(piece)
            if frame is None:
                break
            packets += self._encoder.encode(frame)
        return packets

    def rest(self) -> list[Packet[Any]]:
        """What the encoder has held back."""
        return [] if self._encoder is None else self._encoder.encode(None)

    def stop(self, why: str) -> None:
        """Give no more."""
        if self._encoder is not None and not self.remark:
            self._next, self._decoded = None, iter(())
            self.remark = f"the sound is left out from there on, because {why}"

    def _open(self, source: OpenSource) -> None:
        streams = [
            one
            for one in source.container.streams.audio
            # PyAV has no codec context where libav has no decoder.
            if getattr(one, "codec_context", None) is not None and one.rate
        ]
        if not streams:
            return
        stream = self._stream = streams[0]
        self.rate = stream.rate if stream.rate in _RATES else _USUAL_RATE
        self._layout = "mono" if stream.channels == 1 else "stereo"
        if source.seekable and source.clock.seeks and stream.time_base:
            aim = max(0.0, self._begin - _LEAD_SECONDS)
            # Else it is read from where it stands.
            with suppress(FFmpegError):
                source.container.seek(int(aim / stream.time_base), stream=stream)
        self._decoded = self._read(source, stream)

    def _read(
        self, source: OpenSource, stream: AudioStream
    ) -> Iterator[tuple[int | None, Samples]]:
        """Where samples lie in the clip, None for behind those before, and they themselves."""
        resampler = AudioResampler(format="fltp", layout=self._layout, rate=self.rate)
        tick = float(stream.time_base or 0)
        try:
            for packet in source.container.demux(stream):
                time = packet.pts if packet.pts is not None else packet.dts
                if time is not None and time * tick < self._begin - _LEAD_SECONDS:
                    continue
                for frame in packet.decode():
                    for piece in resampler.resample(frame):
                        yield self._place_of(piece), piece.to_ndarray().astype(np.float32)
        except (FFmpegError, IndexError):
            self.remark = "the sound breaks off, because what follows cannot be decoded"

    def _place_of(self, frame: AudioFrame) -> int | None:
        if frame.pts is None or frame.time_base is None:
            return None
        return round((float(frame.pts * frame.time_base) - self._begin) * self.rate)

    def _fill(self, last: int) -> None:
        """Have samples up to number `last`, as far as there are any; silence where some lack."""
        slack = round(_SLACK_SECONDS * self.rate)
        while self._num_there < last:
            found = self._next or next(self._decoded, None)
            if found is None:
                return
            self._next = None
            place, samples = found
            off = 0 if place is None else place - self._num_there
            if abs(off) <= slack and self._num_there > 0:
                off = 0
            if off > 0:
                silence = min(off, last - self._num_there)
                self._keep(np.zeros((samples.shape[0], silence), np.float32))
                self._next = found
            else:
                self._keep(samples[:, -off:])

    def _keep(self, samples: Samples) -> None:
        if samples.shape[1]:
            self._held.append(samples)
            self._num_there += samples.shape[1]

    def _taken(self, last: int) -> AudioFrame | None:
        """What is held up to sample number `last`, as one frame; None where that is nothing."""
        if not self._held:
            return None
        held = np.concatenate(self._held, axis=1)
        samples, left = np.split(held, [last - self._num_given], axis=1)
        self._held = [left] if left.shape[1] else []
        frame = AudioFrame.from_ndarray(
            np.ascontiguousarray(samples), format="fltp", layout=self._layout
        )
        frame.sample_rate = self.rate
        frame.pts = self._num_given
        self._num_given += samples.shape[1]
        return frame


def open_sound(source: Path, video: OpenedVideo, begin_seconds: float) -> Sound:
    """The sound of a video from a time of its own on."""
    origin = video.origin_seconds()
    if origin is None or video.info.audio_codec is None:
        return Sound(None, begin_seconds=begin_seconds, origin=0.0)
    return Sound(open_source(source), begin_seconds=begin_seconds, origin=origin)
