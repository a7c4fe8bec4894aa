"""Which frames become which snippet, in time: against the planted numbers of the frames."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest
from numbered_clips import NumberReader, small_config, steady, write_clip

from wsgn.errors import InputError
from wsgn.extraction.extract import (
    StoppedError,
    VideoFeatures,
    Watcher,
    extract_features,
    write_features,
)
from wsgn.extraction.snippets import cut_snippets, in_batches
from wsgn.features.file import read_feature_file
from wsgn.localization.timing import snippet_centre_seconds
from wsgn.manifest import Sampling


def numbers(path: Path, notices: list[str] | None = None, **changes: object) -> np.ndarray:
    """Numbers (T, L) of the frames in the snippets of a clip."""
    told: list[str] = [] if notices is None else notices
    # The whole of a frame is read, so that its bars are where they were written.
    config = small_config(**({"crop_size": 48} | changes))
    watcher = Watcher(on_notice=told.append)
    return extract_features(path, config, NumberReader(), watcher=watcher).values


def test_201_frames_give_12_snippets_of_16(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(201))
    expected = np.arange(192).reshape(12, 16)
    np.testing.assert_array_equal(numbers(clip), expected)


def test_no_more_frames_are_read_than_the_batch_needs() -> None:
    num_read = 0

    def frames() -> Iterator[int]:
        nonlocal num_read
        while True:
            num_read += 1
            yield num_read

    sampling = Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=4)
    batches = in_batches(cut_snippets(frames(), sampling), 3)
    for count in range(1, 50):
        assert len(next(batches)) == 3
        assert num_read == 16 + 4 * (3 * count - 1)


def test_a_variable_rate_keeps_its_times(tmp_path: Path) -> None:
    steps = np.random.default_rng(0).choice([0.02, 0.04, 0.1, 0.3], 120)
    seconds = np.concatenate([[0.0], np.cumsum(steps)])
    found = numbers(write_clip(tmp_path / "a.mp4", seconds.tolist()))
    grid = np.arange(found.size) / 25
    # A viewer sees the last frame that began by then.
    expected = np.searchsorted(seconds, grid + 1e-6, side="right") - 1
    np.testing.assert_array_equal(found.ravel(), expected)
    assert found.size > 25 * seconds[-1] - 16


@pytest.mark.parametrize("rate", [24, 30, 60])
def test_native_takes_every_frame_once_in_spite_of_rounded_times(tmp_path: Path, rate: int) -> None:
    # Matroska rounds times to milliseconds: frame 2 of 30 per second lies at 67 ms, not 66.67.
    clip = write_clip(tmp_path / "a.mkv", steady(97, rate), rate=rate)
    config = small_config(frame_rate=None, crop_size=48)
    features = extract_features(clip, config, NumberReader())
    np.testing.assert_array_equal(features.values, np.arange(96).reshape(6, 16))
    assert features.sampling.frame_rate == pytest.approx(rate, rel=1e-3)


def test_a_gap_shows_the_frame_before_it_and_shifts_nothing(tmp_path: Path) -> None:
    seconds = [*steady(40), *(5 + second for second in steady(60))]
    notices: list[str] = []
    found = numbers(write_clip(tmp_path / "a.mkv", seconds), notices).ravel()
    np.testing.assert_array_equal(found[:40], np.arange(40))
    assert set(found[40:125]) == {39}
    np.testing.assert_array_equal(found[125:], np.arange(40, 40 + len(found) - 125))
    assert [("no frames" in notice) for notice in notices] == [True]


def test_a_gap_of_many_minutes_is_refused(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", [*steady(20), *(700 + s for s in steady(20))])
    with pytest.raises(InputError, match="cut the video"):
        numbers(clip)


def test_a_short_clip_is_one_snippet(tmp_path: Path) -> None:
    found = numbers(write_clip(tmp_path / "a.mp4", steady(3)))
    assert found.tolist() == [[0, 1, *[2] * 14]]


def test_the_file_carries_time_base_duration_and_source(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(100))
    config = small_config(crop_size=48, dtype="float16")
    features = extract_features(clip, config, NumberReader())
    wide = np.zeros((len(features.values), 128), features.values.dtype)
    whole = VideoFeatures(
        values=wide, sampling=features.sampling, duration_seconds=features.duration_seconds
    )
    write_features(tmp_path / "a.safetensors", whole, config)
    info, values = read_feature_file(tmp_path / "a.safetensors")
    assert info.sampling == Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)
    assert info.duration_seconds == pytest.approx(4.0)
    assert info.dtype == "float16"
    assert [(stream.name, stream.size) for stream in info.streams] == [("rgb", 128)]
    assert "RANDOM WEIGHTS" in info.source
    # protocols.md: the centre of snippet t is (t * stride + length / 2) / fps.
    starts = np.arange(len(values)) * 16 / 25
    centres = snippet_centre_seconds(starts, info.sampling)
    np.testing.assert_allclose(centres, (np.arange(6) * 16 + 8) / 25)


@pytest.mark.parametrize(
    ("value", "dtype"), [(np.nan, "float32"), (np.inf, "float32"), (1e6, "float16")]
)
def test_what_is_no_number_is_refused(tmp_path: Path, value: float, dtype: str) -> None:
    class Broken:
        def features(self, snippets: list[object]) -> np.ndarray:
            return np.full((len(snippets), 4), value, np.float32)

    clip = write_clip(tmp_path / "a.mp4", steady(20))
    with pytest.raises(InputError, match="NaN, infinity or values too large"):
        extract_features(clip, small_config(dtype=dtype), Broken())


def test_a_video_can_be_left_early(tmp_path: Path) -> None:
    clip = write_clip(tmp_path / "a.mp4", steady(20))
    with pytest.raises(StoppedError):
        extract_features(
            clip, small_config(), NumberReader(), watcher=Watcher(stopped=lambda: True)
        )
