"""Where a player shows a segment, and the rate of sources that do not know theirs."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import av
import numpy as np
import planted
import pytest
from outcomes import Run

from wsgn.engines.open import open_engine
from wsgn.runtime import DetectOptions, detect
from wsgn.runtime.events import SegmentEvent, SourceEvent

LATE_SECONDS = 5


def late(video: Path, target: Path) -> Path:
    """The video `LATE_SECONDS` after the beginning of sound."""
    with av.open(str(video)) as source, av.open(str(target), "w") as sink:
        stream: Any = sink.add_stream_from_template(source.streams.video[0])
        sound: Any = sink.add_stream("pcm_s16le" if target.suffix == ".mkv" else "aac", rate=8000)
        sound.layout = "mono"
        packets: list[Any] = []
        for begin in range(0, 18 * 8000, 1024):
            frame: Any = av.AudioFrame.from_ndarray(
                np.zeros((1, 1024), np.float32), format="fltp", layout="mono"
            )
            frame.sample_rate, frame.pts = 8000, begin
            packets += sound.encode(frame)
        packets += sound.encode()
        for packet in source.demux(video=0):
            if packet.dts is not None and packet.pts is not None and packet.time_base:
                shift = round(LATE_SECONDS / packet.time_base)
                packet.pts, packet.dts = packet.pts + shift, packet.dts + shift
                packet.stream = stream
                packets.append(packet)
        for packet in sorted(packets, key=lambda packet: packet.dts * packet.time_base):
            sink.mux(packet)
    return target


def seconds_of(clock: str) -> float:
    hours, minutes, seconds = map(float, clock.split(":"))
    return hours * 3600 + minutes * 60 + seconds


@pytest.mark.parametrize("suffix", ["mp4", "mkv"])
def test_subtitles_are_in_the_players_time(
    run: Run, tmp_path: Path, video_path: Path, suffix: str
) -> None:
    source = late(video_path, tmp_path / f"late.{suffix}")
    other = planted.write_video(tmp_path / "other.mp4", (("black", 2.0), ("green", 3.0)))
    folder = tmp_path / "out"
    arguments = (source, other, "-o", folder, "-f", "json,csv,vtt,srt,jsonl")
    outcome = run(*arguments)
    assert outcome.code == 0
    assert outcome.of_type("warning") == []
    offsets = [event["start_offset_seconds"] for event in outcome.of_type("source")]
    assert offsets == pytest.approx([LATE_SECONDS, 0.0], abs=0.15)
    # Times of events and results count from the first frame, as ever.
    finals = [event for event in outcome.of_type("segment") if event["final"]]
    begins = [event["start_seconds"] for event in finals]
    assert begins == pytest.approx([2.0, 8.0, 2.0], abs=0.01)
    for kind, mark in (("vtt", "."), ("srt", ",")):
        lines = (folder / f"late.{kind}").read_text().splitlines()
        cues = [line.split(" --> ") for line in lines if "-->" in line]
        found = [seconds_of(time.replace(mark, ".")) for times in cues for time in times]
        expected = [t + offsets[0] for _, *times in planted.SEGMENTS for t in times]
        assert found == pytest.approx(expected, abs=0.01)
        first = (folder / f"other.{kind}").read_text().splitlines()
        assert any(line.startswith(f"00:00:02{mark}000 -->") for line in first)
    document = json.loads((folder / "late.json").read_text())
    assert document["external_data"] == {"start_offset_seconds": {"late": offsets[0]}}
    merged = json.loads((folder / "detections.json").read_text())
    known = {"late": offsets[0], "other": 0.0}
    assert merged["external_data"] == {"start_offset_seconds": known}
    # A run that takes up an earlier one takes over what that has found.
    (folder / "other.json").unlink()
    (folder / "detections.json").unlink()
    assert run(*arguments, "--resume").code == 0
    assert json.loads((folder / "detections.json").read_text()) == merged


def raw(video: Path, target: Path) -> Path:
    """The video's frames as an elementary stream, which knows no times."""
    with av.open(str(video)) as source, av.open(str(target), "w", format="mjpeg") as sink:
        stream = sink.add_stream("mjpeg", rate=20)
        stream.width = stream.height = 64
        stream.pix_fmt = "yuvj444p"
        for frame in source.decode(video=0):
            sink.mux(stream.encode(frame.reformat(format="yuvj444p")))
        sink.mux(stream.encode())
    return target


def test_the_rate_of_a_source_that_does_not_know_it(
    run: Run, tmp_path: Path, video_path: Path, engine_path: Path
) -> None:
    source = raw(video_path, tmp_path / "camera.mjpeg")
    guessed = run(source)
    (warning,) = guessed.of_type("warning")
    assert warning["code"] == "missing_timestamps"
    assert "25 per second" in warning["message"]
    for rate in ("20", "20/1", "20.0"):
        told = run(source, "--input-rate", rate)
        assert told.of_type("warning") == []
        assert told.events[0]["parameters"]["input_rate"] == 20.0
        assert told.of_type("source")[0]["frame_rate"] == 20.0
        assert told.of_type("end")[0]["seconds"] == pytest.approx(12.0)
        found = [
            (event["label"], event["start_seconds"], event["end_seconds"])
            for event in told.of_type("segment")
            if event["final"]
        ]
        assert [label for label, _, _ in found] == ["red", "blue"]
        times = [time for _, *times in found for time in times]
        assert times == pytest.approx([2.0, 5.0, 8.0, 10.0], abs=0.05)
    with open_engine(engine_path) as engine:
        events = list(detect(source, engine, DetectOptions(input_rate=20.0)))
    finals = [event for event in events if isinstance(event, SegmentEvent) and event.final]
    assert [event.end_seconds for event in finals] == pytest.approx([5.0, 10.0], abs=0.05)
    (told_source,) = [event for event in events if isinstance(event, SourceEvent)]
    assert told_source.frame_rate == 20.0


@pytest.mark.parametrize(
    "rate", ["0", "-1", "nan", "inf", "1e5", "1/0", "25fps", "", "1" * 400, "1e999999999"]
)
def test_an_impossible_rate_is_a_usage_error(
    capsys: pytest.CaptureFixture[str], video_path: Path, engine_path: Path, rate: str
) -> None:
    from wsgn.runtime.cli.main import main

    assert main([str(video_path), "-e", str(engine_path), f"--input-rate={rate}"]) == 2
    assert "--input-rate must be frames per second" in capsys.readouterr().err
