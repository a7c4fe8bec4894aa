"""Every layout of features gives its values through one interface, and wrong ones a sentence."""

from __future__ import annotations

import logging
from pathlib import Path

import numpy as np
import pytest
from layouts_on_disk import (
    NAMES,
    SAMPLING,
    WIDTH,
    WRITERS,
    object_array_bytes,
    opened,
    python2_pickle,
    python3_pickle,
    random_features,
    write_basnet,
    write_cmcs,
    write_npy,
    write_safetensors,
    write_wtalc,
)

from wsgn.data.annotations import VideoAnnotation
from wsgn.errors import InputError, UsageError
from wsgn.features.layouts import native_sampling, open_features
from wsgn.manifest import Sampling

# Layouts that say which channels are which.
WITH_STREAMS = ("safetensors", "opentad", "basnet", "cmcs", "wtalc")


@pytest.mark.parametrize("layout", WRITERS)
def test_the_layout_is_found_and_its_values_are_read(tmp_path: Path, layout: str) -> None:
    features = random_features()
    reader = opened(WRITERS[layout](tmp_path, features), layout)
    assert reader.layout == layout
    assert reader.names == NAMES
    for name, values in features.items():
        info = reader.info(name)
        assert (info.num_snippets, info.feature_size) == values.shape
        assert info.sampling == SAMPLING
        assert reader.read(name).dtype == np.float32
        np.testing.assert_array_equal(reader.read(name), values)


@pytest.mark.parametrize("layout", WITH_STREAMS)
@pytest.mark.parametrize("streams", [("rgb",), ("flow",), ("flow", "rgb")])
def test_streams_are_chosen_and_ordered(
    tmp_path: Path, layout: str, streams: tuple[str, ...]
) -> None:
    features = random_features()
    path = WRITERS.get(layout, write_npy)(tmp_path, features)
    explicit = layout if layout == "opentad" else "auto"
    reader = opened(path, layout, layout=explicit, streams=streams)
    for name, values in features.items():
        halves = {"rgb": values[:, :WIDTH], "flow": values[:, WIDTH:]}
        expected = np.concatenate([halves[stream] for stream in streams], axis=1)
        np.testing.assert_array_equal(reader.read(name), expected)
        info = reader.info(name)
        assert info.feature_size == expected.shape[1]
        assert tuple(stream.name for stream in info.streams) == streams


def test_a_bas_net_tree_is_found_from_within(tmp_path: Path) -> None:
    features = random_features()
    write_basnet(tmp_path, features)
    assert opened(tmp_path / "features", "basnet").names == NAMES
    assert opened(tmp_path / "features" / "train", "basnet").names == ("video_a", "video_c")


def test_crops_are_averaged(tmp_path: Path) -> None:
    features = random_features()
    reader = opened(write_cmcs(tmp_path, features, crops=5), "cmcs")
    assert reader.info("video_b").num_snippets == len(features["video_b"])
    np.testing.assert_allclose(reader.read("video_b"), features["video_b"], atol=1e-6)


def test_a_bundle_may_be_named_by_its_folder(tmp_path: Path) -> None:
    path = write_wtalc(tmp_path, random_features())
    assert opened(path.parent, "wtalc").names == NAMES


def test_one_of_two_bundles_must_be_named(tmp_path: Path) -> None:
    path = write_wtalc(tmp_path, random_features())
    path.with_name("Madeset-UNTFeatures.npy").write_bytes(path.read_bytes())
    assert opened(path, "wtalc").names == NAMES
    with pytest.raises(InputError, match="Madeset-UNTFeatures"):
        opened(tmp_path, "wtalc", layout="wtalc")


def test_a_bundle_of_float16_from_python_3_is_read(tmp_path: Path) -> None:
    features = {name: v.astype(np.float16) for name, v in random_features().items()}
    path = write_wtalc(tmp_path, features)
    path.write_bytes(object_array_bytes(python3_pickle(list(features.values()), 4)))
    reader = opened(path, "wtalc")
    assert reader.info("video_a").dtype == "float16"
    np.testing.assert_array_equal(reader.read("video_a"), features["video_a"])


def test_a_bundle_needs_a_name_for_each_array(tmp_path: Path) -> None:
    path = write_wtalc(tmp_path, random_features())
    path.write_bytes(object_array_bytes(python2_pickle([np.zeros((2, 2), dtype=np.float32)])))
    with pytest.raises(InputError, match="1 arrays for 3 names"):
        opened(path, "wtalc")


def test_a_name_that_comes_twice_is_refused(tmp_path: Path) -> None:
    path = write_wtalc(tmp_path, random_features())
    names = path.parent / "Madeset-Annotations" / "videoname.npy"
    np.save(names, np.array(["video_a", "video_b", "video_a"], dtype="S"))
    with pytest.raises(InputError, match="3 arrays for 2 names"):
        opened(path, "wtalc")


def test_native_frame_rates_differ_by_video(tmp_path: Path) -> None:
    rates = {"video_a": 30.0, "video_b": 25.0, "video_c": None}
    videos = [
        VideoAnnotation(
            name=name, subset="s", duration_seconds=None, labels=(), segments=(), frame_rate=rate
        )
        for name, rate in rates.items()
    ]
    write_npy(tmp_path, random_features())
    reader = open_features(tmp_path, layout="opentad", sampling=native_sampling(videos))
    expected = Sampling(frame_rate=30.0, snippet_length=16, snippet_stride=4)
    assert reader.info("video_a").sampling == expected
    assert reader.info("video_b").sampling.frame_rate == 25.0
    with pytest.raises(InputError, match="video_c"):
        reader.info("video_c")


@pytest.mark.parametrize("layout", [layout for layout in WRITERS if layout != "safetensors"])
def test_a_layout_without_a_time_base_asks_for_it(tmp_path: Path, layout: str) -> None:
    path = WRITERS[layout](tmp_path, random_features())
    with pytest.raises(UsageError, match="no time base"):
        open_features(path)


def test_a_time_base_against_that_of_the_files_is_refused(tmp_path: Path) -> None:
    write_safetensors(tmp_path, random_features())
    assert open_features(tmp_path, sampling=SAMPLING).info("video_a").sampling == SAMPLING
    other = Sampling(frame_rate=10.0, snippet_length=16, snippet_stride=16)
    with pytest.raises(InputError, match="frame rate 25"):
        open_features(tmp_path, sampling=other).info("video_a")


def test_a_stream_that_is_one_snippet_longer_is_cut(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    features = random_features()
    write_basnet(tmp_path, features)
    path = tmp_path / "features" / "train" / "flow" / "video_a.npy"
    np.save(path, np.load(path)[:-1])
    reader = opened(tmp_path, "basnet")
    with caplog.at_level(logging.WARNING, logger="wsgn.data"):
        assert reader.info("video_a").num_snippets == 2
        np.testing.assert_array_equal(reader.read("video_a"), features["video_a"][:2])
    # Said once, though it was found twice.
    assert [record.args for record in caplog.records] == [("video_a", 3, 2)]


def test_streams_of_other_lengths_are_refused(tmp_path: Path) -> None:
    write_cmcs(tmp_path, random_features())
    np.savez(tmp_path / "video_a-flow.npz", feature=np.zeros((1, 1, WIDTH)))
    with pytest.raises(InputError, match="3 of rgb and 1 of flow"):
        opened(tmp_path, "cmcs").info("video_a")


def test_a_missing_stream_is_named_and_the_other_can_be_read(tmp_path: Path) -> None:
    features = random_features()
    write_cmcs(tmp_path, features)
    (tmp_path / "video_b-flow.npz").unlink()
    with pytest.raises(InputError, match="'flow' of video 'video_b'"):
        opened(tmp_path, "cmcs").info("video_b")
    rgb = opened(tmp_path, "cmcs", streams=("rgb",)).read("video_b")
    np.testing.assert_array_equal(rgb, features["video_b"][:, :WIDTH])
