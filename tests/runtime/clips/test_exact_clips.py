"""Clips made anew: the frames that begin in a segment, and no other, at their times."""

from __future__ import annotations

from collections.abc import Callable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from coded_clips import coded_frame, write_clip
from cut_clips import Run, is_close, mean_colour, read_clip, run_clips, turn, write_results
from made_streams import FLV, MKV, MP4, MPEG_TS, TS, Container, made, write

Cut = Callable[..., Run]


@pytest.fixture
def cut(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Cut:
    """Cut segments [(start, end)] out of a file."""

    def run(video: Path, spans: list[tuple[float, float]], *words: object) -> Run:
        # Of one label, what overlaps is cut once.
        segments = [(f"wave {n}", *span) for n, span in enumerate(spans)]
        results = write_results(tmp_path / "r.json", segments, "video")
        return run_clips(capsys, results, video, "-o", tmp_path / "clips", *words)

    return run


# By exact arithmetic: which of the frames n / rate lie in [start, end).
def numbers_in(start: float, end: float, rate: Fraction, last: int) -> list[int]:
    begin, stop = Fraction(str(start)), Fraction(str(end))
    return [n for n in range(last) if begin <= n / rate < stop]


@pytest.mark.parametrize(
    ("container", "rate", "num_b_frames"),
    [
        (MP4, Fraction(25), 2),
        (MP4, Fraction(30000, 1001), 0),
        # Of a clock of milliseconds.
        (MKV, Fraction(30), 2),
        (FLV, Fraction(24), 0),
        # Of formats that cannot seek.
        (TS, Fraction(25), 2),
        (MPEG_TS, Fraction(50), 0),
    ],
)
def test_the_frames_of_a_segment_are_counted(
    tmp_path: Path, cut: Cut, container: Container, rate: Fraction, num_b_frames: int
) -> None:
    data = made(list(range(120)), container, rate=rate, num_b_frames=num_b_frames)
    video = write(tmp_path / f"video.{container.suffix}", data)
    # On frames and between them, to the end of the video and beyond, one frame, and what touches.
    spans = [(0.0, 0.5), (0.5, 1.3), (1.31, 2.2), (2.2, 2.3), (2.38, 9.0)]
    run = cut(video, spans)
    assert run.code == 0, run.said
    for (start, end), line, file in zip(spans, run.lines, run.files, strict=True):
        clip = read_clip(file)
        expected = numbers_in(start, end, rate, 120)
        assert clip.numbers == expected, (start, end)
        assert line["frames"] == len(expected)
        # The times of the video, from 0 on: no frame is longer or shorter than it was.
        own = [float((n - expected[0]) / rate) for n in (*expected, expected[-1] + 1)]
        assert is_close([*clip.seconds, clip.end_seconds], own, 2e-3)
        assert abs(line["begins_seconds"] - float(expected[0] / rate)) < 2e-3


def test_padding_goes_as_far_as_the_video(tmp_path: Path, cut: Cut) -> None:
    video = write(tmp_path / "video.mp4", made(list(range(50)), MP4, rate=Fraction(25)))
    run = cut(video, [(0.2, 0.4), (1.0, 1.2), (1.8, 2.0)], "--padding", 0.4)
    found = [read_clip(file).numbers for file in run.files]
    assert found == [list(range(20)), list(range(15, 40)), list(range(35, 50))]


def test_varying_rates_and_stills_keep_their_times(tmp_path: Path, cut: Cut) -> None:
    ticks = [0, 40, 80, 500, 520, 900, 2900, 2930, 3000]
    write_clip(tmp_path / "video.mp4", ticks)
    spans = [(0.0, 2.0), (0.04, 0.52), (0.51, 0.9), (1.5, 2.92), (1.5, 2.0)]
    run = cut(tmp_path / "video.mp4", spans)
    clips = [read_clip(file) for file in run.files]
    assert [clip.numbers for clip in clips] == [[*range(6)], [1, 2, 3], [4], [5, 6], [5]]
    assert is_close(clips[1].seconds, [0, 0.04, 0.46])
    # The still that is on show leads, for as long as it stands in the segment.
    assert is_close(clips[3].seconds, [0, 1.4])
    for ends in ([clip.end_seconds for clip in clips], [clip.duration_seconds for clip in clips]):
        assert is_close(ends, [2.0, 0.48, 0.38, 1.43, 0.5], 2e-3)


def test_what_a_clock_has_rounded_away_counts_for_neither_end(tmp_path: Path, cut: Cut) -> None:
    """Frames 10 and 22 of 30 a second lie at 0.333 and 0.733 in Matroska, before their times."""
    video = write(tmp_path / "video.mkv", made(list(range(60)), MKV, rate=Fraction(30)))
    run = cut(video, [(0.0, 10 / 30), (10 / 30, 22 / 30), (22 / 30, 1.0)])
    found = [read_clip(file).numbers for file in run.files]
    assert found == [list(range(10)), list(range(10, 22)), list(range(22, 30))]


def test_frames_are_upright_square_and_even(tmp_path: Path, cut: Cut) -> None:
    write_clip(
        tmp_path / "video.mp4",
        range(0, 1000, 40),
        size=(65, 49),
        pixel_format="yuv444p",
        prepare=lambda stream: setattr(stream, "sample_aspect_ratio", Fraction(2)),
    )
    turn(tmp_path / "video.mp4")
    (file,) = cut(tmp_path / "video.mp4", [(0.2, 0.4)]).files
    clip = read_clip(file)
    # 65 x 49 of wide pixels are 130 x 49, turned 49 x 130; H.264 takes even sizes.
    assert (clip.size, clip.rotation) == ((48, 130), 0)
    with av.open(str(file)) as container:
        frame = next(container.decode(video=0)).to_ndarray(format="rgb24")
    # The bars of number 5, 00000101, lie in rows now: the most significant on top.
    rows = frame[:, 20].mean(axis=1)
    assert [int(rows[round((n + 0.5) * 130 / 8)] > 125) for n in range(8)] == [
        *(0, 0, 0, 0, 0, 1, 0, 1)
    ]


@pytest.mark.parametrize("pixel_format", ["yuv420p", "yuvj420p", "yuv422p10le"])
def test_colours_stay(tmp_path: Path, cut: Cut, pixel_format: str) -> None:
    name = tmp_path / "video.mp4"
    with av.open(str(name), "w") as container:
        stream: Any = container.add_stream("libx264", rate=25)
        stream.width, stream.height, stream.pix_fmt = 64, 48, pixel_format
        image = np.full((48, 64, 3), (200, 90, 40), np.uint8)
        for _ in range(10):
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image)))
        container.mux(stream.encode())
    (file,) = cut(name, [(0.0, 0.2)]).files
    assert is_close(mean_colour(file), [200, 90, 40], 5)


def beeps(path: Path, seconds: float, *, late_frames: int = 0) -> None:
    """25 numbered frames a second, and at each whole second of the file a tone of 0.1 s."""
    rate = 44100
    with av.open(str(path), "w") as container:
        video: Any = container.add_stream("libx264", rate=25, options={"preset": "ultrafast"})
        video.width, video.height, video.pix_fmt = 64, 48, "yuv420p"
        audio: Any = container.add_stream("libmp3lame", rate=rate)
        audio.layout = "mono"
        time = np.arange(round(seconds * rate)) / rate
        tone = np.where(time % 1 < 0.1, np.sin(2 * np.pi * 1000 * time), 0)
        for number in range(round(seconds * 25)):
            if number >= late_frames:
                picture = av.VideoFrame.from_ndarray(coded_frame(number - late_frames))
                picture.pts, picture.time_base = number, Fraction(1, 25)
                container.mux(video.encode(picture))
            begin, end = (round(n * rate / 25) for n in (number, number + 1))
            samples = tone[None, begin:end].astype(np.float32)
            frame = av.AudioFrame.from_ndarray(samples, format="fltp", layout="mono")
            frame.sample_rate, frame.pts = rate, begin
            container.mux(audio.encode(frame))
        container.mux(video.encode())
        container.mux(audio.encode())


@pytest.mark.parametrize(
    ("suffix", "late_frames", "words"),
    # The video may begin behind the sound: times count from its first frame.
    [("mp4", 0, ()), ("mkv", 15, ()), ("mp4", 0, ("--copy",)), ("mkv", 15, ("--copy",))],
)
def test_sound_lies_where_it_was(
    tmp_path: Path, cut: Cut, suffix: str, late_frames: int, words: tuple[str, ...]
) -> None:
    beeps(tmp_path / f"video.{suffix}", 4.0 + late_frames / 25, late_frames=late_frames)
    late = late_frames / 25
    (line,) = (run := cut(tmp_path / f"video.{suffix}", [(1.6, 3.32)], *words)).lines
    assert line["sound"] is True
    assert run.said == "" or "called" in run.said
    with av.open(line["file"]) as container:
        stream = container.streams.audio[0]
        frames = list(container.decode(stream))
        first = float(frames[0].time or 0)
        sound = np.concatenate([frame.to_ndarray()[0] for frame in frames])
    loud = np.flatnonzero(np.abs(sound) > 0.3) / stream.rate + first + line["begins_seconds"]
    onsets = loud[np.flatnonzero(np.diff(loud, prepend=-1) > 0.3)]
    wanted = [n - late for n in range(5) if line["begins_seconds"] - 0.05 <= n - late < 3.32]
    assert is_close(onsets.tolist(), wanted, 0.03)
    if not words:
        clip = read_clip(Path(line["file"]))
        assert clip.sound_seconds is not None
        assert clip.numbers == list(range(40, 83))
        # To a packet of the encoder.
        assert 0 <= clip.sound_seconds - clip.end_seconds < 1024 / stream.rate
