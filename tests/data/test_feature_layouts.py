"""Every layout of features gives its values through one interface, and wrong ones a sentence."""

from __future__ import annotations

import logging
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from layouts_on_disk import (
    NAMES,
    SAMPLING,
    WIDTH,
    object_array_bytes,
    python2_pickle,
    python3_pickle,
    random_features,
    write_basnet,
    write_charades,
    write_cmcs,
    write_npy,
    write_safetensors,
    write_wtalc,
)

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.feature_reader import FeatureReader
from wsgn.data.open_features import native_sampling, open_features
from wsgn.errors import InputError, UsageError
from wsgn.manifest import Sampling

Write = Callable[..., Path]
WRITERS: dict[str, Write] = {
    "safetensors": write_safetensors,
    "npy": write_npy,
    "charades": write_charades,
    "basnet": write_basnet,
    "cmcs": write_cmcs,
    "wtalc": write_wtalc,
}
# Layouts that say which channels are which.
WITH_STREAMS = ("safetensors", "opentad", "basnet", "cmcs", "wtalc")


def opened(path: Path, written_as: str, **options: object) -> FeatureReader:
    sampling = None if written_as == "safetensors" else SAMPLING
    return open_features(path, sampling=sampling, **options)  # type: ignore[arg-type]


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


@pytest.mark.parametrize(
    ("write", "words"),
    [
        (lambda root: None, "no features of a known layout"),
        (lambda root: (write_npy(root, random_features()), write_cmcs(root, random_features())),
         "cmcs and npy"),
        (lambda root: (root / "a.safetensors").write_bytes(b"{}"), "damaged"),
        (lambda root: np.savez(root / "a-rgb.npz", other=np.zeros(3)), "it has: other"),
        (lambda root: np.savez(root / "a-rgb.npz", feature=np.zeros((3, 4))), r"\(B, T, D\)"),
        (lambda root: (root / "a-rgb.npz").write_bytes(b"PK"), "not a .npz"),
    ],
)  # fmt: skip
def test_other_folders_are_refused(tmp_path: Path, write: Write, words: str) -> None:
    write(tmp_path)

    def look() -> None:
        plain = (tmp_path / "a.safetensors").exists()
        reader = opened(tmp_path, "safetensors" if plain else "other")
        reader.info(reader.names[0])

    with pytest.raises(InputError, match=words):
        look()


@pytest.mark.parametrize(
    ("values", "words"),
    [
        (np.zeros(4), r"\(T, D\)"),
        (np.zeros((4, 2, 3)), r"\(T, D\)"),
        (np.zeros((0, 3)), "no features"),
        (np.zeros((4, 3), dtype=complex), "complex128"),
        (np.full((4, 3), "x"), "<U1"),
        (np.zeros((4, 3), dtype=bool), "bool"),
        (np.zeros((4, 3), dtype="datetime64[s]"), "datetime64"),
        (np.zeros((4, 3), dtype="f4,i2"), "real numbers"),
    ],
)
def test_arrays_that_are_no_features_show_in_their_headers(
    tmp_path: Path, values: np.ndarray, words: str
) -> None:
    np.save(tmp_path / "a.npy", values)
    reader = opened(tmp_path, "npy", layout="npy")
    for look in (reader.info, reader.read):
        with pytest.raises(InputError, match=words):
            look("a")


@pytest.mark.parametrize("value", [np.nan, np.inf, 1e300])
def test_the_first_snippet_that_is_not_finite_is_named(tmp_path: Path, value: float) -> None:
    values = np.zeros((6, 3))
    values[4:, 1] = value
    np.save(tmp_path / "a.npy", values)
    with pytest.raises(InputError, match="2 of 6 snippets, the first is snippet 4"):
        opened(tmp_path, "npy").read("a")


def test_a_pickle_among_the_arrays_is_refused(tmp_path: Path) -> None:
    np.save(tmp_path / "a.npy", np.array([{}], dtype=object), allow_pickle=True)
    with pytest.raises(InputError, match="pickle"):
        opened(tmp_path, "npy", layout="npy").info("a")


def test_a_cut_file_is_noticed_in_its_header(tmp_path: Path) -> None:
    write_npy(tmp_path, random_features())
    path = tmp_path / "video_b.npy"
    path.write_bytes(path.read_bytes()[:-1])
    reader = opened(tmp_path, "npy")
    reader.info("video_a")
    with pytest.raises(InputError, match="cut short"):
        reader.info("video_b")


def test_damaged_archives_give_a_sentence(tmp_path: Path) -> None:
    write_cmcs(tmp_path, random_features())
    path = tmp_path / "video_a-rgb.npz"
    whole = path.read_bytes()
    random = np.random.default_rng(0)
    num_refused = 0
    for _ in range(300):
        damaged = bytearray(whole)
        for place in random.integers(0, len(whole), size=4):
            damaged[place] = random.integers(0, 256)
        path.write_bytes(damaged)
        try:
            opened(tmp_path, "cmcs").read("video_a")
        except InputError:
            num_refused += 1
    assert num_refused > 0


def test_a_video_that_is_not_there_is_named(tmp_path: Path) -> None:
    for layout, write in WRITERS.items():
        root = tmp_path / layout
        root.mkdir()
        reader = opened(write(root, random_features()), layout)
        for look in (reader.info, reader.read):
            with pytest.raises(InputError, match="'other'"):
                look("other")


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"layout": "hdf5"}, "unknown"),
        ({"streams": ("rgb", "audio")}, "streams must be"),
        ({"streams": ("rgb", "rgb")}, "streams must be"),
        ({"streams": ("rgb",)}, "does not say which channels"),
    ],
)
def test_wrong_wishes_are_refused(tmp_path: Path, options: dict[str, object], words: str) -> None:
    write_npy(tmp_path, random_features())
    with pytest.raises(UsageError, match=words):
        opened(tmp_path, "npy", **options)


def test_paths_that_are_no_features_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InputError, match="do not exist"):
        open_features(tmp_path / "none")
    write_npy(tmp_path, random_features())
    with pytest.raises(InputError, match="is a file"):
        opened(tmp_path / "video_a.npy", "npy", layout="npy")
    with pytest.raises(InputError, match=r"no \*.safetensors"):
        open_features(tmp_path, layout="safetensors")
