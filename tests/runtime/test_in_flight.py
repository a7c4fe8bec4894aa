"""An engine that is behind by one batch gives the same events in the same order."""

from __future__ import annotations

import io
import os
import threading
from dataclasses import dataclass
from pathlib import Path
from typing import Any, BinaryIO, cast

import numpy as np
import planted
import pytest
from commands import HANG_SECONDS

from wsgn.engines.engine import Engine, EngineOutputs
from wsgn.errors import EngineError
from wsgn.runtime import DetectOptions, DetectorOptions, detect, open_engine, pipeline, reader
from wsgn.runtime.events import Event, GapEvent, SegmentEvent
from wsgn.runtime.pipeline import StopFlag
from wsgn.video import Gap
from wsgn.video.frames_in_memory import FramesInMemory


class LateEngine:
    """As an engine on a GPU: nothing is computed until it is waited for."""

    def __init__(self, engine: Engine) -> None:
        self.name, self.sha256 = engine.name, engine.sha256
        self.manifest, self.device = engine.manifest, "cuda:0"
        self.infer = engine.infer
        self.num_submitted = self.num_landed = self.most_in_flight = 0
        self.changed = threading.Condition()

    def submit(self, inputs: np.ndarray) -> LatePending:
        with self.changed:
            self.num_submitted += 1
        self.most_in_flight = max(self.most_in_flight, self.num_submitted - self.num_landed)
        return LatePending(engine=self, inputs=inputs)


@dataclass(frozen=True, kw_only=True)
class LatePending:
    """Outputs that are computed when they are asked for."""

    engine: LateEngine
    inputs: np.ndarray
    ready: bool = False

    def result(self) -> EngineOutputs:
        with self.engine.changed:
            self.engine.num_landed += 1
            self.engine.changed.notify_all()
        return self.engine.infer(self.inputs)


def both(
    engine_path: Path, video_path: Path, **options: Any
) -> tuple[list[Event], list[Event], LateEngine]:
    with open_engine(engine_path, num_threads=1) as engine:
        late = LateEngine(engine)
        prompt = list(detect(video_path, engine, DetectOptions(**options)))
        return prompt, list(detect(video_path, late, DetectOptions(**options))), late


@pytest.mark.parametrize("scores", ["exact", "causal"])
@pytest.mark.parametrize("batch_size", [1, 5, 16, 1000])
def test_events_are_the_same(
    engine_path: Path, video_path: Path, batch_size: int, scores: str
) -> None:
    prompt, late, engine = both(
        engine_path, video_path, batch_size=batch_size, detector=DetectorOptions(scores=scores)
    )
    assert late == prompt
    assert engine.num_landed == engine.num_submitted > 0
    assert engine.most_in_flight <= 2


def test_two_batches_are_in_flight_while_frames_wait(
    engine_path: Path, video_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read_everything_first(monkeypatch)
    _, _, engine = both(engine_path, video_path, batch_size=4)
    assert engine.most_in_flight == 2


def read_everything_first(monkeypatch: pytest.MonkeyPatch) -> None:
    """Let a reader be done before anything is taken from it."""
    enter = pipeline.ThreadedReader.__enter__

    def enter_and_wait(self: Any) -> Any:
        entered = enter(self)
        entered._thread.join(timeout=HANG_SECONDS)
        return entered

    monkeypatch.setattr(pipeline.ThreadedReader, "__enter__", enter_and_wait)


def test_what_lies_before_a_gap_is_said_before_it(
    engine_path: Path, video_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    take = pipeline.ThreadedReader.take

    def take_with_gaps(self: Any) -> Any:
        """Behind every 30 items of a reader comes a gap."""
        self.num_taken = getattr(self, "num_taken", 0) + 1
        if self.num_taken % 30 == 0:
            return Gap(from_seconds=self.num_taken, to_seconds=self.num_taken, cause="planted")
        return take(self)

    monkeypatch.setattr(pipeline.ThreadedReader, "take", take_with_gaps)
    read_everything_first(monkeypatch)
    prompt, late, _ = both(engine_path, video_path, batch_size=4)
    assert sum(isinstance(event, GapEvent) for event in late) > 2
    assert late == prompt


@pytest.mark.parametrize("batch_size", [4, 1000])
def test_a_silent_source_holds_nothing_back(
    engine_path: Path, video_path: Path, monkeypatch: pytest.MonkeyPatch, batch_size: int
) -> None:
    """Its end comes only when nothing waits for a full batch or is in flight any more."""
    monkeypatch.setattr(reader, "_PATIENCE_SECONDS", 2 * HANG_SECONDS)

    class Silent:
        """As a pipe, which cannot seek."""

        def __init__(self, content: bytes) -> None:
            self.content = io.BytesIO(content)
            self.nothing_in_flight = False

        def read(self, size: int) -> bytes:
            part = self.content.read(size)
            if not part and not self.nothing_in_flight:
                with late.changed:
                    self.nothing_in_flight = late.changed.wait_for(
                        lambda: 1 <= late.num_submitted == late.num_landed, timeout=HANG_SECONDS
                    )
            return part

    with open_engine(engine_path, num_threads=1) as engine:
        late = LateEngine(engine)
        source = Silent(planted.write_video(video_path.with_name("silent.mkv")).read_bytes())
        list(detect(cast(BinaryIO, source), late, DetectOptions(batch_size=batch_size)))
    assert source.nothing_in_flight


def test_files_go_in_full_batches_and_pipes_as_they_come(tmp_path: Path) -> None:
    file, pipe = tmp_path / "video.mp4", tmp_path / "pipe"
    file.write_bytes(b"")
    os.mkfifo(pipe)
    reading, writing = os.pipe()
    with file.open("rb") as opened, os.fdopen(reading, "rb", 0) as end, os.fdopen(writing, "wb"):
        as_it_comes = [pipe, str(pipe), end, FramesInMemory([])]
        whole = [file, str(file), opened, io.BytesIO(), "http://host/a.mp4", tmp_path / "nothing"]
        assert all(map(pipeline._comes_as_it_is_made, as_it_comes))
        assert not any(map(pipeline._comes_as_it_is_made, whole))


def test_a_stop_lands_what_is_in_flight(engine_path: Path, video_path: Path) -> None:
    stop = StopFlag()
    events: list[Event] = []
    with open_engine(engine_path, num_threads=1) as engine:
        late = LateEngine(engine)
        for event in detect(video_path, late, DetectOptions(batch_size=1), stop=stop):
            events.append(event)
            if isinstance(event, SegmentEvent):
                stop.request()
    assert late.num_landed == late.num_submitted
    final = [event for event in events if isinstance(event, SegmentEvent) and event.final]
    assert [event.label for event in final] == ["red"]


def test_a_late_failure_is_an_engine_error(engine_path: Path, video_path: Path) -> None:
    def fail(inputs: np.ndarray) -> EngineOutputs:
        raise EngineError("the GPU fell off the bus.")

    with open_engine(engine_path, num_threads=1) as engine:
        late = LateEngine(engine)
        late.infer = fail  # type: ignore[method-assign]
        with pytest.raises(EngineError, match="fell off"):
            list(detect(video_path, late))
