"""Truncated, damaged and hostile files: a result or one sentence."""

from __future__ import annotations

import gc
import random
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from coded_clips import (
    GRID,
    assert_in_order,
    read,
    shared_videos,
    shown_at,
    write_clip,
)
from packets import damage_packets, packet_positions

from wsgn.errors import InputError
from wsgn.video import FrameGrid, SampledFrame, VideoError, VideoReader

STEADY = list(range(0, 4000, 40))
FUZZ_TIME_BASE = Fraction(1, 1000)
FUZZED_FILES = 200


@pytest.mark.parametrize("suffix", ["mp4", "mkv", "avi", "flv"])
def test_truncated(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"clip.{suffix}"
    write_clip(
        path,
        range(100),
        codec="mjpeg" if suffix == "avi" else "libx264",
        pixel_format="yuvj420p" if suffix == "avi" else "yuv420p",
        time_base=Fraction(1, 25),
    )
    if suffix == "mp4":
        path = index_first(path)
    data = path.read_bytes()
    assert read(path).reader.summary.complete
    path.write_bytes(data[: packet_positions(path)[60][0]])
    reading = read(path)
    assert not reading.reader.summary.complete
    notice = reading.notices[-1]
    assert notice.code == "truncated"
    end = reading.reader.summary.seconds
    assert 1.0 < end < 3.0
    assert notice.message in {f"ends at {end:.2f} s of {4 + n / 100:.2f} s" for n in range(-4, 5)}
    assert reading.numbers == [shown_at(STEADY, k / 10) for k in reading.indices]
    cut = read(path, end_seconds=1.0)
    assert cut.reader.summary.complete
    assert cut.notices == []


def index_first(path: Path) -> Path:
    target = path.with_name("first.mp4")
    with (
        av.open(str(path)) as source,
        av.open(str(target), "w", options={"movflags": "faststart"}) as sink,
    ):
        stream = sink.add_stream_from_template(source.streams.video[0])
        for packet in source.demux(video=0):
            if packet.dts is not None:
                packet.stream = stream
                sink.mux(packet)
    return target


def test_video_shorter_than_its_sound_is_complete(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("mjpeg", rate=25)
        video.width, video.height, video.pix_fmt = 64, 48, "yuvj420p"
        audio: Any = container.add_stream("aac", rate=8000)
        audio.layout = "mono"
        for _ in range(25):
            container.mux(video.encode(av.VideoFrame.from_ndarray(np.zeros((48, 64, 3), np.uint8))))
        container.mux(video.encode())
        sound = av.AudioFrame.from_ndarray(
            np.zeros((1, 80_000), np.float32), format="fltp", layout="mono"
        )
        sound.sample_rate, sound.pts = 8000, 0
        container.mux(audio.encode(sound))
        container.mux(audio.encode())
    # Without the stream's own duration only the container's, which is the sound's, is left.
    path.write_bytes(path.read_bytes().replace(b"DURATION", b"DURATIOX"))
    reading = read(path)
    assert reading.reader.summary.complete
    assert len(reading.frames) == pytest.approx(10, abs=1)


def test_a_few_damaged_packets_are_counted(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, STEADY, options={"g": "1", "bf": "0"})
    damage_packets(path, range(40, 44))
    reading = read(path)
    summary = reading.reader.summary
    assert summary.decode_failures == 4
    assert reading.codes == ["decode_failure"]
    assert summary.num_frames_decoded == 96
    assert summary.complete
    assert reading.indices == list(range(40))
    kept = [tick for number, tick in enumerate(STEADY) if not 40 <= number < 44]
    expected = [STEADY.index(kept[shown_at(kept, k / 10)]) for k in range(40)]
    assert reading.numbers == expected


def test_damage_from_the_start_is_undecodable(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, STEADY, options={"g": "1", "bf": "0"})
    damage_packets(path, range(100))
    with pytest.raises(VideoError, match="no frame") as caught:
        VideoReader(path, GRID)
    assert caught.value.code == "undecodable"


def test_too_much_damage_ends_the_reading(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, STEADY, options={"g": "1", "bf": "0"})
    damage_packets(path, range(50, 90))
    reading = read(path)
    assert reading.codes == ["decode_failure", "undecodable", "truncated"]
    assert reading.numbers == [shown_at(STEADY, k / 10) for k in range(20)]
    assert not reading.reader.summary.complete
    assert reading.reader.summary.decode_failures == 8


def test_lost_packets_over_a_second_make_a_gap(tmp_path: Path) -> None:
    path = tmp_path / "clip.mkv"
    write_clip(
        path,
        STEADY,
        options={"g": "1", "bf": "0"},
        change_packet=lambda number, packet: not 30 <= number < 70,
    )
    reading = read(path)
    (gap,) = reading.gaps
    assert (gap.from_seconds, gap.to_seconds) == pytest.approx((1.2, 2.8))
    assert reading.reader.summary.complete


def test_nothing_is_said_on_stderr(tmp_path: Path, capfd: pytest.CaptureFixture[str]) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, STEADY, options={"g": "1", "bf": "0"})
    capfd.readouterr()
    damage_packets(path, range(50, 90))
    read(path)
    assert capfd.readouterr() == ("", "")


def test_decoded_frames_do_not_pile_up(tmp_path: Path) -> None:
    path = tmp_path / "clip.mp4"
    write_clip(path, STEADY)
    gc.collect()
    gc.disable()
    try:
        before = num_frames()
        read(path, FrameGrid(25.0, 8, 8))
        assert num_frames() - before < 20
    finally:
        gc.enable()


def num_frames() -> int:
    return sum(isinstance(thing, av.VideoFrame) for thing in gc.get_objects())


def fuzz_sources(folder: Path) -> list[Path]:
    paths = []
    for name, codec in (
        ("a.mp4", "libx264"),
        ("b.mkv", "libx264"),
        ("c.avi", "mpeg4"),
        ("d.ts", "libx264"),
    ):
        path = folder / name
        write_clip(path, STEADY[:50], codec=codec, time_base=FUZZ_TIME_BASE)
        paths.append(path)
    for name in ("h265_video.mp4", "video_90.mov", "av1_video.mkv", "corrupted.mp4"):
        path = shared_videos() / name
        if path.is_file():
            paths.append(path)
    return paths


def damaged(data: bytes, generator: random.Random) -> bytes:
    """Flip bytes anywhere, near the ends (headers and indexes), or cut."""
    changed = bytearray(data)
    kind = generator.randrange(4)
    area = range(len(data))
    if kind == 1:
        area = range(min(2000, len(data)))
    if kind == 2:
        area = range(max(0, len(data) - 3000), len(data))
    for _ in range(generator.choice((1, 5, 40))):
        changed[generator.choice(area)] = generator.randrange(256)
    if kind == 3:
        del changed[generator.randrange(len(changed)) :]
    return bytes(changed)


def test_damaged_files_end_in_a_result_or_a_sentence(tmp_path: Path) -> None:
    sources = fuzz_sources(tmp_path)
    target = tmp_path / "damaged"
    outcomes = {"result": 0, "refused": 0}
    for seed in range(FUZZED_FILES):
        generator = random.Random(seed)
        source = sources[seed % len(sources)]
        target.write_bytes(damaged(source.read_bytes(), generator))
        try:
            with VideoReader(target, GRID) as reader:
                items = list(reader)
            assert_in_order(items)
            assert sum(isinstance(item, SampledFrame) for item in items) < 1000
            outcomes["result"] += 1
        except InputError as error:
            outcomes["refused"] += bool(str(error))
    assert min(outcomes.values()) > 10
