"""`--clips` of live runs: a file of each final segment, and nothing that stops the run."""

from __future__ import annotations

import errno
import io
import json
import time
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
import pytest
from cut_clips import is_close, read_clip
from made_streams import MP4, made

from wsgn.runtime.cli.main import main
from wsgn.runtime.clips import live
from wsgn.runtime.clips.live import LiveClips
from wsgn.runtime.events import EndEvent, SegmentEvent
from wsgn.video.grid import FrameGrid
from wsgn.video.live.options import LiveOptions
from wsgn.video.live.ring import PacketRing
from wsgn.video.live.source import LiveSource

LONGEST_SECONDS = 60.0


def segment(start: float, end: float, label: str = "wave", *, final: bool = True) -> SegmentEvent:
    return SegmentEvent(
        source="door",
        id=1,
        rev=0,
        label=label,
        start_seconds=start,
        end_seconds=end,
        score=0.5,
        final=final,
        at_seconds=end,
        reason="threshold",
        start_unix_seconds=1795000000.25 + start,
    )


def ended() -> EndEvent:
    counts = dict.fromkeys(("frames", "snippets", "segments", "decode_failures"), 0)
    return EndEvent(source="door", complete=True, seconds=4.0, **counts)


def fill(ring: PacketRing, begin: float, end: float, *, connects: bool = True) -> None:
    """25 numbered frames in a second, a keyframe in 0.6 s, from one second to another."""
    data = made(list(range(100)), MP4, rate=Fraction(25), num_b_frames=2)
    with av.open(io.BytesIO(data)) as container:
        if connects:
            ring.begin(container.streams.video[0])
        for packet in container.demux(video=0):
            if packet.pts is not None and packet.time_base is not None:
                seconds = float(packet.pts * packet.time_base)
                if begin <= seconds < end:
                    ring.add(packet, seconds, arrival=seconds)
    ring.place(end, end)


@pytest.fixture(autouse=True)
def _no_hurry(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine may stand still where a run ends."""
    monkeypatch.setattr(live, "_LAST_SECONDS", LONGEST_SECONDS)


@pytest.fixture
def clips(tmp_path: Path) -> Iterator[LiveClips]:
    made_clips = LiveClips(tmp_path / "clips", 0.4)
    made_clips.start()
    yield made_clips
    made_clips.close()


def ring_of(clips: LiveClips) -> PacketRing:
    """The ring that a reader of the source `door` fills; it is not opened."""
    source = LiveSource(name="door", address="rtsp://127.0.0.1:1/door")
    grid, options = FrameGrid(10.0, 8, 8), LiveOptions()
    reader = clips.read(source, grid, options, resume=None, should_stop=lambda: True)
    ring = reader._ring
    assert ring is not None
    return ring


def wait_for(clips: LiveClips, number: int, *, num_lost: int = 0) -> None:
    until = time.monotonic() + LONGEST_SECONDS
    while clips.num_written + clips.num_lost < number + num_lost and time.monotonic() < until:
        time.sleep(0.01)
    assert (clips.num_written, clips.num_lost) == (number, num_lost)


def test_a_clip_of_each_final_segment_with_its_padding(tmp_path: Path, clips: LiveClips) -> None:
    fill(ring_of(clips), 0.0, 4.0)
    for event in (segment(1.3, 1.6), segment(2.3, 2.4, "../x"), segment(1.3, 1.6)):
        clips(event)
    clips(segment(3.0, 3.5, final=False))
    wait_for(clips, 3)
    assert clips.news() == []
    files = {file.name: file for file in (tmp_path / "clips").iterdir()}
    assert sorted(files) == [
        "door_2026-11-18T11-06-41Z_wave-2.mp4",
        "door_2026-11-18T11-06-41Z_wave.mp4",
        "door_2026-11-18T11-06-42Z_x.mp4",
    ]
    # From the keyframe before 0.9 s to 2.0 s, and what of the pictures behind it needs to be there.
    clip = read_clip(files["door_2026-11-18T11-06-41Z_wave.mp4"])
    assert clip.numbers[:35] == list(range(15, 50))
    assert clip.numbers[35:] in ([], [51], [52])
    assert is_close(clip.seconds[:35], [n / 25 for n in range(35)])


def test_a_clip_waits_for_what_comes_behind_its_segment(tmp_path: Path, clips: LiveClips) -> None:
    ring = ring_of(clips)
    fill(ring, 0.0, 1.7)
    clips(segment(1.1, 1.6))
    time.sleep(0.5)
    assert clips.num_written == 0
    fill(ring, 1.7, 3.0, connects=False)
    wait_for(clips, 1)
    (file,) = (tmp_path / "clips").iterdir()
    assert read_clip(file).numbers[-1] >= 48


def test_what_waits_is_cut_at_the_end_of_a_run(tmp_path: Path, clips: LiveClips) -> None:
    fill(ring_of(clips), 0.0, 1.7)
    clips(segment(1.1, 1.6))
    clips(ended())
    assert clips.close() == []
    (file,) = (tmp_path / "clips").iterdir()
    assert read_clip(file).numbers[0] == 15


def test_a_folder_that_nothing_came_into_goes(tmp_path: Path, clips: LiveClips) -> None:
    clips(segment(1.1, 1.6))
    assert (tmp_path / "clips").exists()
    assert clips.close() == []
    assert not (tmp_path / "clips").exists()


def test_what_is_not_held_any_more_is_said(tmp_path: Path, clips: LiveClips) -> None:
    fill(ring_of(clips), 2.4, 4.0)
    clips(segment(0.1, 3.0))
    wait_for(clips, 1)
    clips(segment(0.1, 1.0))
    late, lost = clips.close()
    assert "begins 2.3 s late: no more than 60 s is held" in late
    assert "a clip was not written (door: its last 60 s do not hold 'wave')" in lost
    assert clips.num_lost == 1


def test_a_folder_that_fails_stops_nothing(tmp_path: Path, clips: LiveClips) -> None:
    fill(ring_of(clips), 0.0, 4.0)
    folder = tmp_path / "clips"
    folder.rmdir()
    folder.write_text("in the way")
    clips(segment(1.1, 1.6))
    clips(segment(2.1, 2.6))
    wait_for(clips, 0, num_lost=2)
    folder.unlink()
    clips(segment(1.1, 1.6))
    wait_for(clips, 1, num_lost=2)
    said, again = clips.news()
    assert "choose another place with --clips); detection goes on" in said
    assert again == "clips can be written again."


def test_a_run_writes_them(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    """The packaged sample, whose first segment is known after 3.2 of its 30 seconds."""
    words = ["runtime/demo/demo.mp4", "-e", "demo", "--realtime", "--end", "3.6"]
    assert main([*words, "--clips", str(tmp_path / "clips"), "--max-lag", "60"]) == 0
    out = capsys.readouterr().out
    events = [json.loads(line) for line in out.splitlines()]
    (found,) = [event for event in events if event["type"] == "segment" and event["final"]]
    (file,) = (tmp_path / "clips").iterdir()
    assert file.name.startswith("demo_20")
    assert file.name.endswith(f"Z_{found['label']}.mp4")
    with av.open(str(file)) as container:
        times = [float(frame.time or 0) for frame in container.decode(video=0)]
    # From the beginning of the video to a second behind the segment, but for reordered pictures.
    assert found["start_seconds"] < 1
    assert abs(times[-1] - (found["end_seconds"] + 1)) < 0.4


def test_lost_clips_are_counted_where_a_run_is_quiet(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    """They make its exit code."""

    def write_none(cut: object, path: Path) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("wsgn.runtime.clips.live.write_held", write_none)
    words = ["runtime/demo/demo.mp4", "-e", "demo", "--realtime", "--end", "3.6", "-q"]
    assert main([*words, "--clips", str(tmp_path / "clips"), "--max-lag", "60"]) == 6
    assert "error: 1 clips were not written." in capsys.readouterr().err


def test_options_of_clips_are_checked(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    clips = ["--clips", str(tmp_path / "clips")]
    live_words = ["runtime/demo/demo.mp4", "-e", "demo", "--realtime"]
    for words, said in (
        (["runtime/demo/demo.mp4", "-e", "demo", *clips], "--clips is for live sources"),
        ([*live_words, "--clip-padding", "2"], "--clip-padding needs --clips DIR"),
        ([*live_words, *clips, "--clip-padding", "90"], "--clip-padding must be 0 to 20 s, got 90"),
        ([*live_words, *clips, "--scores", "exact"], "exact scores are known at its end"),
    ):
        assert main(words) == 2
        assert said in capsys.readouterr().err
    (tmp_path / "clips").write_text("in the way")
    assert main([*live_words, *clips]) == 6
    assert "Traceback" not in capsys.readouterr().err
