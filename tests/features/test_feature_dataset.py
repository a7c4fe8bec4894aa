"""Labelled videos with features: their times, their sampling, and what is refused beforehand."""

from __future__ import annotations

import itertools
import json
from pathlib import Path

import numpy as np
import pytest
import torch
from layouts_on_disk import NAMES, SAMPLING, random_features, write_npy, write_safetensors
from places import SHARED

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError, UsageError
from wsgn.features.dataset import FeatureDataset
from wsgn.features.file import write_feature_file
from wsgn.features.layouts import open_features
from wsgn.manifest import Sampling

THUMOS = SHARED / "data" / "thumos14" / "thumos14.json"


def annotated(
    names: tuple[str, ...] = NAMES, duration: float | None = None
) -> list[VideoAnnotation]:
    return [
        VideoAnnotation(
            name=name, subset="s", duration_seconds=duration, labels=("wave",), segments=()
        )
        for name in names
    ]


def dataset(root: Path, **options: object) -> FeatureDataset:
    write_safetensors(root, random_features())
    reader = open_features(root)
    return FeatureDataset(reader, annotated(), ("wave",), **options)  # type: ignore[arg-type]


def test_features_lie_on_their_time_base(tmp_path: Path) -> None:
    source = dataset(tmp_path)
    sample = source.load(1)
    assert sample.inputs.dtype == torch.float32
    np.testing.assert_array_equal(sample.inputs.numpy(), random_features()["video_b"])
    # 16 frames at 25 per second: 0.64 s each.
    np.testing.assert_allclose(sample.times.start_seconds, [0, 0.64, 1.28, 1.92])
    np.testing.assert_allclose(sample.times.centre_seconds, [0.32, 0.96, 1.6, 2.24])
    np.testing.assert_allclose(sample.times.end_seconds, [0.64, 1.28, 1.92, 2.56])
    assert [source.num_snippets(index) for index in range(3)] == [3, 4, 5]
    assert (source.feature_size, source.layout) == (12, "safetensors")


def test_a_folder_without_a_time_base_takes_the_callers(tmp_path: Path) -> None:
    features = random_features()
    write_npy(tmp_path, features)
    source = FeatureDataset(tmp_path, annotated(), ("wave",), SAMPLING, 12)
    np.testing.assert_array_equal(source.load(2).inputs.numpy(), features["video_c"])
    assert source.sampling(2) == SAMPLING


def test_training_takes_every_nth_snippet_from_each_start(tmp_path: Path) -> None:
    source, features = dataset(tmp_path), random_features()["video_c"]
    seen = set()
    for seed in range(40):
        random = np.random.default_rng(seed)
        sample = source.load_for_training(2, random, thinning=2, start_range=3)
        start = round(float(sample.times.start_seconds[0]) / 0.64)
        seen.add(start)
        np.testing.assert_array_equal(sample.inputs.numpy(), features[start::2])
    assert seen == {0, 1, 2}


def test_the_start_lies_below_the_thinning_and_leaves_a_snippet(tmp_path: Path) -> None:
    source = dataset(tmp_path)
    for seed, thinning in itertools.product(range(20), (1, 2, 9)):
        random = np.random.default_rng(seed)
        sample = source.load_for_training(0, random, thinning=thinning)
        assert sample.times.start_seconds[0] <= 0.64 * min(thinning - 1, 2) + 1e-9
        assert len(sample.inputs) >= 1


def test_frames_are_interpolated_features_of_one_frame_each(tmp_path: Path) -> None:
    source, features = dataset(tmp_path, time_unit="frame"), random_features()["video_a"]
    sample = source.load(0)
    frames = np.arange(48)
    centres = (np.arange(3) * 16 + 8) / 25
    expected = [np.interp((frames + 0.5) / 25, centres, column) for column in features.T]
    np.testing.assert_allclose(sample.inputs.numpy(), np.stack(expected, axis=1), atol=2e-6)
    np.testing.assert_allclose(sample.times.start_seconds, frames / 25)
    np.testing.assert_allclose(sample.times.centre_seconds, (frames + 0.5) / 25)
    np.testing.assert_allclose(sample.times.end_seconds, (frames + 1) / 25)
    assert source.num_snippets(0) == 48
    assert source.sampling(0) == Sampling(frame_rate=25.0, snippet_length=1, snippet_stride=1)


def test_every_nth_frame_is_scored(tmp_path: Path) -> None:
    every = dataset(tmp_path, time_unit="frame").load(1)
    fifth = dataset(tmp_path, time_unit="frame", scoring_step=5).load(1)
    np.testing.assert_array_equal(fifth.inputs, every.inputs[::5])
    np.testing.assert_array_equal(fifth.times.start_seconds, every.times.start_seconds[::5])
    np.testing.assert_array_equal(fifth.times.end_seconds, every.times.end_seconds[::5])


def test_training_on_frames_starts_in_the_papers_range(tmp_path: Path) -> None:
    source = dataset(tmp_path, time_unit="frame", scoring_step=3)
    every = dataset(tmp_path, time_unit="frame").load(2)
    starts = set()
    for seed in range(200):
        random = np.random.default_rng(seed)
        sample = source.load_for_training(2, random, thinning=5, start_range=15)
        start = round(float(sample.times.start_seconds[0]) * 25)
        starts.add(start)
        np.testing.assert_array_equal(sample.inputs, every.inputs[start::5])
    assert starts == set(range(15))


def test_missing_videos_are_counted_and_the_first_is_named(tmp_path: Path) -> None:
    write_safetensors(tmp_path, random_features())
    videos = annotated(("video_a", "x", "y"))
    with pytest.raises(InputError, match="2 of 3 videos have no features, the first is 'x'"):
        FeatureDataset(open_features(tmp_path), videos, ("wave",))


def test_another_width_is_refused_before_training(tmp_path: Path) -> None:
    write_safetensors(tmp_path, random_features())
    with pytest.raises(InputError, match="'video_a' are 12 wide where 2048"):
        FeatureDataset(open_features(tmp_path), annotated(), ("wave",), feature_size=2048)
    odd = np.zeros((3, 5), dtype=np.float32)
    write_feature_file(tmp_path / "video_c.safetensors", odd, SAMPLING)
    with pytest.raises(InputError, match="'video_c' are 5 wide where 12"):
        FeatureDataset(open_features(tmp_path), annotated(), ("wave",))


def test_a_time_base_against_the_durations_is_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path, random_features())
    with pytest.raises(InputError, match="time base contradicts"):
        FeatureDataset(open_features(tmp_path), annotated(duration=60.0), ("wave",))


def test_values_that_are_not_finite_show_when_they_are_loaded(tmp_path: Path) -> None:
    values = np.zeros((4, 3))
    values[2] = np.nan
    np.save(tmp_path / "a.npy", values)
    source = FeatureDataset(tmp_path, annotated(("a",)), ("wave",), SAMPLING)
    with pytest.raises(InputError, match="first is snippet 2"):
        source.load(0)


def test_a_file_that_changes_meanwhile_is_noticed(tmp_path: Path) -> None:
    write_npy(tmp_path, random_features())
    source = FeatureDataset(tmp_path, annotated(), ("wave",), SAMPLING)
    np.save(tmp_path / "video_a.npy", np.zeros((2, 12)))
    with pytest.raises(InputError, match="changed while"):
        source.load(0)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"time_unit": "second"}, "time_unit"),
        ({"time_unit": "frame", "scoring_step": 0}, "scoring_step"),
        ({"scoring_step": 2}, "scoring_step"),
    ],
)
def test_wrong_options_are_refused(tmp_path: Path, options: dict[str, object], words: str) -> None:
    with pytest.raises(UsageError, match=words):
        dataset(tmp_path, **options)


def test_no_videos_are_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path, random_features())
    with pytest.raises(InputError, match="no videos"):
        FeatureDataset(open_features(tmp_path), [], ("wave",))


@pytest.mark.skipif(not THUMOS.is_file(), reason=f"needs the shared data in {THUMOS}")
def test_the_real_thumos_annotations_can_be_read_with_features(tmp_path: Path) -> None:
    """Videos that are annotated beyond their duration, or without one, break nothing."""
    annotations = read_annotations(THUMOS)
    odd = ("video_test_0000270", "video_test_0000814", "video_test_0001292")
    videos = [video for video in annotations.videos if video.name in odd]
    assert json.loads(THUMOS.read_text())["database"][odd[0]]["duration"] < 200
    for video in videos:
        count = int((video.duration_seconds or 100.0) / 0.64)
        values = np.ones((count, 4), dtype=np.float16)
        write_feature_file(tmp_path / f"{video.name}.safetensors", values, SAMPLING)
    source = FeatureDataset(open_features(tmp_path), videos, annotations.classes)
    assert [len(source.load(index).inputs) for index in range(3)] == [
        source.num_snippets(index) for index in range(3)
    ]


def test_names_may_be_those_of_the_video_files(tmp_path: Path) -> None:
    features = random_features()
    write_npy(tmp_path, features)
    names = ("sport/video_a.mp4", "video_b.MOV", "video_c")
    source = FeatureDataset(tmp_path, annotated(names), ("wave",), SAMPLING, 12)
    assert [video.name for video in source.videos] == list(names)
    for index, name in enumerate(("video_a", "video_b", "video_c")):
        np.testing.assert_array_equal(source.load(index).inputs.numpy(), features[name])


@pytest.mark.parametrize(
    ("names", "missing"),
    [
        (("x/video_a", "y/video_a"), "x/video_a"),
        (("video_a.mp4", "video_a.mkv"), "video_a.mp4"),
        (("video_a", "video_a.mp4"), "video_a.mp4"),
        (("video_a.txt",), "video_a.txt"),
    ],
)
def test_a_name_that_may_mean_another_video_is_missing(
    tmp_path: Path, names: tuple[str, ...], missing: str
) -> None:
    write_npy(tmp_path, random_features())
    with pytest.raises(InputError, match=rf"have no features, the first is '{missing}'"):
        FeatureDataset(tmp_path, annotated(names), ("wave",), SAMPLING)
