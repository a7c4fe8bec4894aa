"""The reading thread."""

from __future__ import annotations

import threading
from pathlib import Path

import pytest
from commands import HANG_SECONDS

from wsgn.runtime import reader
from wsgn.runtime.reader import ThreadedReader
from wsgn.video import FrameGrid, SampledFrame, VideoError, VideoReader

GRID = FrameGrid(frame_rate=10.0, height=16, width=16)


def num_threads() -> int:
    return sum(thread.name == "wsgn-reader" for thread in threading.enumerate())


def take_all(reader: ThreadedReader) -> list[SampledFrame]:
    frames = []
    while not reader.finished:
        item = reader.take()
        if isinstance(item, SampledFrame):
            frames.append(item)
    return frames


def test_everything_arrives_in_order_through_a_small_queue(video_path: Path) -> None:
    with VideoReader(video_path, GRID) as plain:
        expected = [item.index for item in plain if isinstance(item, SampledFrame)]
    with ThreadedReader(lambda: VideoReader(video_path, GRID), capacity=1) as reader:
        frames = take_all(reader)
    assert [frame.index for frame in frames] == expected
    assert reader.info is not None
    assert reader.summary is not None
    assert reader.summary.complete


def test_what_the_reader_raises_is_raised_where_it_is_taken(tmp_path: Path) -> None:
    with (
        ThreadedReader(lambda: VideoReader(tmp_path / "no.mp4", GRID), capacity=1) as reader,
        pytest.raises(VideoError),
    ):
        take_all(reader)


def test_stopping_early_ends_the_thread(video_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(reader, "_JOIN_SECONDS", HANG_SECONDS)
    with ThreadedReader(lambda: VideoReader(video_path, GRID), capacity=1) as threaded:
        while threaded.take() is None:
            pass
        assert num_threads() == 1
    assert num_threads() == 0
    assert not threaded.finished
