"""Sources that cannot be read: one sentence each."""

from __future__ import annotations

import io
import os
import random
from fractions import Fraction
from pathlib import Path
from typing import Any, cast

import av
import pytest
from av.stream import Disposition
from av.video.stream import VideoStream
from coded_clips import GRID, coded_frame, piped, read, write_audio, write_clip

from wsgn.errors import InputError, UsageError
from wsgn.video import VideoError, VideoReader, probe
from wsgn.video.reader import Source

# AV_DISPOSITION_ATTACHED_PIC of libavformat.
ATTACHED_PICTURE = 0x400
STEADY = range(0, 1000, 40)


def refusal(source: Source) -> VideoError:
    with pytest.raises(VideoError) as caught:
        VideoReader(source, GRID)
    message = str(caught.value)
    assert message.endswith(".")
    assert "\n" not in message
    assert isinstance(caught.value, InputError)
    return caught.value


def test_missing(tmp_path: Path) -> None:
    assert refusal(tmp_path / "none.mp4").code == "missing"
    assert refusal(tmp_path / "none" / "none.mp4").code == "missing"
    assert refusal("nul\0byte.mp4").code == "unreadable"


def test_directory(tmp_path: Path) -> None:
    assert refusal(tmp_path).code == "directory"


def test_no_permission(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may read everything")
    path = tmp_path / "clip.mp4"
    write_clip(path, STEADY)
    path.chmod(0)
    assert refusal(path).code == "permission"


def test_no_permission_is_told_from_the_open_call(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, STEADY)

    def refuse(*_: Any, **__: Any) -> None:
        raise PermissionError(13, "Permission denied")

    monkeypatch.setattr(Path, "open", refuse)
    assert refusal(path).code == "permission"


def test_empty(tmp_path: Path) -> None:
    path = tmp_path / "empty.mp4"
    path.touch()
    assert refusal(path).code == "empty"
    assert refusal(io.BytesIO()).code == "empty"


@pytest.mark.parametrize("name", ["noise.mp4", "noise.mkv", "noise"])
@pytest.mark.parametrize("content", [bytes(100_000), b"text, and more text\n" * 500, None])
def test_not_a_video(tmp_path: Path, name: str, content: bytes | None) -> None:
    path = tmp_path / name
    path.write_bytes(random.Random(1).randbytes(50_000) if content is None else content)
    assert refusal(path).code == "not_a_video"
    assert refusal(io.BytesIO(path.read_bytes())).code == "not_a_video"


@pytest.mark.parametrize("name", ["words.txt", "words.nfo", "words.srt"])
def test_a_text_is_not_a_video(tmp_path: Path, name: str) -> None:
    path = tmp_path / name
    path.write_text("1\n00:00:00,000 --> 00:00:02,000\nHello\n")
    assert refusal(path).code == "not_a_video"


def test_no_index(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, range(0, 4000, 40))
    data = path.read_bytes()
    path.write_bytes(data[: data.index(b"moov") - 4])
    assert refusal(path).code == "no_moov"
    assert "moov" in str(refusal(path))
    assert refusal(io.BytesIO(path.read_bytes())).code == "no_moov"


def test_index_behind_the_frames_in_a_pipe(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, range(0, 4000, 40), codec="mjpeg", pixel_format="yuvj420p", size=(640, 480))
    with piped(path.read_bytes()) as pipe:
        error = refusal(pipe)
    assert error.code == "no_moov"
    assert "faststart" in str(error)


def test_audio_only(tmp_path: Path) -> None:
    path = tmp_path / "sound.m4a"
    write_audio(path)
    error = refusal(path)
    assert error.code == "no_video_stream"
    assert "no video stream (audio: aac)" in str(error)


def write_streams(path: Path, *, cover: bool) -> None:
    """A cover or a first video of 16 pixels, then a video that shows its numbers."""
    with av.open(str(path), "w") as container:
        streams = []
        for size in ((16, 16), (64, 48)):
            stream = cast(VideoStream, container.add_stream("mjpeg", rate=25))
            stream.width, stream.height = size
            stream.pix_fmt = "yuvj420p"
            streams.append(stream)
        if cover:
            try:
                cast(Any, streams[0]).disposition = Disposition.attached_pic
            except TypeError:
                pytest.skip("this PyAV cannot write cover art")
        for number in range(25):
            for stream in streams:
                if cover and number and stream is streams[0]:
                    continue
                frame = av.VideoFrame.from_ndarray(coded_frame(number, stream.width, stream.height))
                frame.pts, frame.time_base = number, Fraction(1, 25)
                container.mux(stream.encode(frame))
        for stream in streams:
            container.mux(stream.encode())


def test_several_streams(tmp_path: Path) -> None:
    path = tmp_path / "two.mkv"
    write_streams(path, cover=False)
    assert probe(path).num_video_streams == 2
    assert probe(path).width == 16
    assert probe(path, stream=1).width == 64
    assert read(path, stream=1).numbers[:3] == [0, 2, 5]
    for number in (2, -1):
        with pytest.raises(UsageError, match="0: mjpeg 16x16; 1: mjpeg 64x48"):
            VideoReader(path, GRID, stream=number)


def test_cover_art_is_skipped(tmp_path: Path) -> None:
    path = tmp_path / "cover.mp4"
    write_streams(path, cover=True)
    with av.open(str(path)) as container:
        marked = [bool(s.disposition.value & ATTACHED_PICTURE) for s in container.streams.video]
    if not any(marked):
        pytest.skip("this PyAV cannot write cover art")
    info = probe(path)
    assert (info.num_video_streams, info.width) == (1, 64)


def test_a_file_object_that_fails(tmp_path: Path) -> None:
    class Broken(io.RawIOBase):
        def readable(self) -> bool:
            return True

        def readinto(self, buffer: Any) -> int:
            raise OSError(5, "the cable was pulled")

    error = refusal(cast(Any, Broken()))
    assert error.code == "unreadable"
    assert "the cable was pulled" in str(error)


def test_a_closed_file_object(tmp_path: Path) -> None:
    file = io.BytesIO(b"x")
    file.close()
    assert refusal(file).code == "unreadable"


def test_strange_names(tmp_path: Path) -> None:
    for name in ("a:b.mp4", "http:x.mp4", "per%cent%03d.mp4", "-.mp4", "sp ace\n.mp4"):
        path = tmp_path / name
        write_clip(tmp_path / "plain.mp4", STEADY)
        (tmp_path / "plain.mp4").rename(path)
        assert len(read(path).frames) == 10


def test_credentials_stay_out_of_messages() -> None:
    error = refusal("http://me:secret@127.0.0.1:1/x")
    assert error.code == "not_opened"
    assert "secret" not in str(error)
    assert "127.0.0.1:1/x" in str(error)


def test_probe_of_a_real_layout(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, STEADY)
    info = probe(path)
    assert info.name == str(path)
    assert info.duration_seconds == pytest.approx(1.0)
    assert info.frame_rate == pytest.approx(25.0)
    assert (info.codec, info.pixel_format) == ("h264", "yuv420p")
    assert (info.width, info.height, info.rotation_degrees) == (64, 48, 0)
    assert (info.num_video_streams, info.audio_codec) == (1, None)
