"""Planted videos through the planted engine."""

from __future__ import annotations

import io
from pathlib import Path
from typing import Any

import numpy as np
import planted
import pytest

from wsgn.errors import EngineError, InputError
from wsgn.manifest import FeatureInput, Sampling
from wsgn.runtime import DetectOptions, DetectorOptions, detect, open_engine
from wsgn.runtime.events import (
    EndEvent,
    Event,
    ProgressEvent,
    SegmentEvent,
    SourceEvent,
    StartEvent,
    WarningEvent,
)
from wsgn.runtime.pipeline import Detection, StopFlag

# The codec's loss, and rounding of interpolated boundaries.
TOLERANCE_SECONDS = 0.02


def run(source: Any, engine_path: Path, **options: Any) -> list[Event]:
    with open_engine(engine_path, num_threads=1) as engine:
        return list(detect(source, engine, DetectOptions(**options)))


def final_segments(events: list[Event]) -> list[tuple[str, float, float]]:
    return sorted(
        (event.label, event.start_seconds, event.end_seconds)
        for event in events
        if isinstance(event, SegmentEvent) and event.final
    )


def assert_planted(events: list[Event], expected: Any = planted.SEGMENTS) -> None:
    found = final_segments(events)
    assert [label for label, *_ in found] == [label for label, *_ in sorted(expected)]
    np.testing.assert_allclose(
        [times for _, *times in found],
        [times for _, *times in sorted(expected)],
        atol=TOLERANCE_SECONDS,
    )


@pytest.mark.parametrize("scores", ["exact", "causal", "window"])
def test_the_planted_segments_are_found(engine_path: Path, video_path: Path, scores: str) -> None:
    assert_planted(run(video_path, engine_path, detector=DetectorOptions(scores=scores)))


def test_events_come_in_order(engine_path: Path, video_path: Path) -> None:
    events = run(video_path, engine_path)
    source, end = events[0], events[-1]
    assert isinstance(source, SourceEvent)
    assert (source.codec, source.width, source.duration_seconds) == ("h264", 64, 12.0)
    assert isinstance(end, EndEvent)
    # 12 s at 10 frames per second, snippets of 8 every 2.
    assert (end.complete, end.frames, end.snippets, end.segments) == (True, 120, 57, 2)
    progress = [event.at_seconds for event in events if isinstance(event, ProgressEvent)]
    assert progress == sorted(progress)
    assert progress[-1] == pytest.approx(12.0)
    assert any(isinstance(event, StartEvent) for event in events)


def test_the_size_of_batches_changes_nothing(engine_path: Path, video_path: Path) -> None:
    results = [
        final_segments(run(video_path, engine_path, batch_size=size)) for size in (1, 5, 1000)
    ]
    assert results[0] == results[1] == results[2]


def test_a_part_keeps_the_times_of_the_whole(engine_path: Path, video_path: Path) -> None:
    events = run(video_path, engine_path, start_seconds=6.0, end_seconds=11.5)
    assert_planted(events, [("blue", 8.0, 10.0)])


def test_a_part_behind_the_end_is_a_warning(engine_path: Path, video_path: Path) -> None:
    events = run(video_path, engine_path, start_seconds=100.0)
    assert "no_frames" in [event.code for event in events if isinstance(event, WarningEvent)]
    assert final_segments(events) == []


def test_a_file_object_is_a_source(engine_path: Path, video_path: Path) -> None:
    assert_planted(run(io.BytesIO(video_path.read_bytes()), engine_path))


def test_an_engine_of_one_frame_and_another_rate(tmp_path: Path, video_path: Path) -> None:
    sampling = Sampling(frame_rate=7.5, snippet_length=1, snippet_stride=1)
    manifest = planted.planted_manifest(sampling=sampling)
    engine_path = planted.write_engine(tmp_path / "engine.onnx", manifest)
    found = final_segments(run(video_path, engine_path))
    # With one frame per snippet a boundary is known to half a frame interval.
    for (_, *times), (_, *expected) in zip(found, sorted(planted.SEGMENTS), strict=True):
        np.testing.assert_allclose(times, expected, atol=0.5 / 7.5 + 0.07)


def test_a_video_shorter_than_a_snippet_is_padded_with_a_warning(
    tmp_path: Path, engine_path: Path
) -> None:
    path = planted.write_video(tmp_path / "one.mp4", (("red", 0.05),))
    events = run(
        path, engine_path, detector=DetectorOptions(scores="causal", minimum_duration_seconds=0.1)
    )
    assert [event.code for event in events if isinstance(event, WarningEvent)] == ["padded"]
    assert isinstance(events[-1], EndEvent)
    assert (events[-1].frames, events[-1].snippets, events[-1].complete) == (1, 1, True)
    assert [label for label, *_ in final_segments(events)] == ["red"]


def test_a_stop_flushes_what_was_found(engine_path: Path, video_path: Path) -> None:
    stop = StopFlag()
    events = []
    with open_engine(engine_path) as engine:
        options = DetectOptions(batch_size=1)
        for event in detect(video_path, engine, options, stop=stop):
            events.append(event)
            if isinstance(event, SegmentEvent):
                stop.request()
    final = [event for event in events if isinstance(event, SegmentEvent) and event.final]
    assert [event.label for event in final] == ["red"]
    assert final[0].reason == "signal"
    assert isinstance(events[-1], EndEvent)
    assert not events[-1].complete


def test_scores_and_times_of_the_whole_video(engine_path: Path, video_path: Path) -> None:
    with open_engine(engine_path) as engine:
        detection = Detection(video_path, engine)
        list(detection.events())
    scores = detection.frame_scores()
    start_seconds, epoch = detection.snippet_times()
    assert scores is not None
    assert scores.shape == (57, 3)
    np.testing.assert_allclose(start_seconds, np.arange(57) * 0.2)
    assert set(epoch.tolist()) == {0}
    # Between 2 s and 5 s everything is red.
    within = (start_seconds >= 2.0) & (start_seconds + 0.8 <= 5.0)
    np.testing.assert_allclose(scores[within][:, 0], 1.0, atol=0.02)


def test_a_missing_file_is_an_input_error(tmp_path: Path, engine_path: Path) -> None:
    with pytest.raises(InputError):
        run(tmp_path / "no.mp4", engine_path)


def test_an_engine_on_features_cannot_run_a_video(engine_path: Path, video_path: Path) -> None:
    with open_engine(engine_path) as engine:
        engine.manifest = planted.planted_manifest(frames=None, features=FeatureInput(size=4))
        with pytest.raises(EngineError, match="takes features"):
            list(detect(video_path, engine))


def test_many_outputs_that_are_not_numbers_are_an_engine_error(
    tmp_path: Path, video_path: Path
) -> None:
    scenes = (("black", 2.0), ("green", 2.0))
    engine_path = planted.write_engine(tmp_path / "engine.onnx", nan_above=0.5)
    path = planted.write_video(tmp_path / "green.mp4", scenes)
    with pytest.raises(EngineError, match="NaN or infinity for"):
        run(path, engine_path)
    # Two snippets that are mostly green: left out, counted, and said.
    scenes = (("black", 10.0), ("green", 0.5), ("black", 130.0))
    path = planted.write_video(tmp_path / "hardly.mp4", scenes, rate=10)
    events = run(path, engine_path)
    (warning,) = [event for event in events if isinstance(event, WarningEvent)]
    assert (warning.code, "for 2 of 699 snippets" in warning.message) == ("non_finite", True)
