"""The project's own feature file: whole, with its time base, readable by its header alone."""

from __future__ import annotations

import contextlib
import json
from pathlib import Path

import numpy as np
import pytest
from layouts_on_disk import SAMPLING
from safetensors.numpy import load_file, save_file

from wsgn.errors import InputError, UsageError
from wsgn.features.file import (
    FeatureStream,
    read_feature_file,
    read_feature_info,
    write_feature_file,
)
from wsgn.features.safetensors_file import read_safetensors_header

DOCUMENT = {
    "format_version": 1, "frame_rate": 25.0, "snippet_length": 16, "snippet_stride": 16,
    "duration_seconds": None, "streams": [], "source": "",
}  # fmt: skip


@pytest.mark.parametrize("dtype", ["float16", "float32"])
def test_what_is_written_is_read(tmp_path: Path, dtype: str) -> None:
    values = np.random.default_rng(0).normal(size=(7, 5)).astype(dtype)
    path = tmp_path / "deep" / "video.safetensors"
    write_feature_file(
        path,
        values,
        SAMPLING,
        duration_seconds=4.5,
        streams=("rgb", "flow"),
        stream_sizes=(2, 3),
        source="i3d",
    )
    info, features = read_feature_file(path)
    assert features.dtype == np.float32
    np.testing.assert_array_equal(features, values)
    assert info == read_feature_info(path)
    assert (info.num_snippets, info.feature_size, info.dtype) == (7, 5, dtype)
    assert (info.sampling, info.duration_seconds, info.source) == (SAMPLING, 4.5, "i3d")
    assert info.streams == (
        FeatureStream(name="rgb", size=2),
        FeatureStream(name="flow", size=3),
    )


def test_others_read_it_with_the_usual_library(tmp_path: Path) -> None:
    values = np.arange(6, dtype=np.float32).reshape(3, 2)
    write_feature_file(tmp_path / "v.safetensors", values, SAMPLING)
    np.testing.assert_array_equal(load_file(tmp_path / "v.safetensors")["features"], values)
    raw = (tmp_path / "v.safetensors").read_bytes()
    header = json.loads(raw[8 : 8 + int.from_bytes(raw[:8], "little")])
    assert json.loads(header["__metadata__"]["wsgn.features"]) == DOCUMENT


def test_others_write_it_with_the_usual_library(tmp_path: Path) -> None:
    metadata = {"wsgn.features": json.dumps(DOCUMENT)}
    save_file({"features": np.ones((2, 3), dtype=np.float16)}, tmp_path / "v", metadata=metadata)
    assert read_feature_info(tmp_path / "v").sampling == SAMPLING


@pytest.mark.parametrize(
    ("values", "options", "words"),
    [
        (np.zeros((3, 2)), {}, "float64"),
        (np.zeros((0, 2), dtype=np.float32), {}, "empty"),
        (np.zeros(3, dtype=np.float32), {}, r"\(T, D\)"),
        (np.full((3, 2), np.nan, dtype=np.float16), {}, "NaN"),
        (np.zeros((3, 5), dtype=np.float32), {"streams": ("rgb", "flow")}, "stream_sizes"),
    ],
)
def test_features_that_none_would_read_are_not_written(
    tmp_path: Path, values: np.ndarray, options: dict[str, tuple[str, ...]], words: str
) -> None:
    with pytest.raises(UsageError, match=words):
        write_feature_file(tmp_path / "v.safetensors", values, SAMPLING, **options)
    assert list(tmp_path.iterdir()) == []


def test_every_cut_is_noticed_in_the_header(tmp_path: Path) -> None:
    path = tmp_path / "v.safetensors"
    write_feature_file(path, np.ones((3, 2), dtype=np.float32), SAMPLING)
    whole = path.read_bytes()
    for end in range(len(whole)):
        path.write_bytes(whole[:end])
        with pytest.raises(InputError, match="damaged"):
            read_feature_info(path)


@pytest.mark.parametrize(
    ("tensors", "metadata", "words"),
    [
        ({"features": np.ones((2, 2), dtype="f4")}, None, "wsgn-convert"),
        ({"other": np.ones((2, 2), dtype="f4")}, DOCUMENT, "wsgn-convert"),
        ({"features": np.ones((2, 2))}, DOCUMENT, "F64"),
        ({"features": np.ones(2, dtype="f4")}, DOCUMENT, r"\(T, D\)"),
        ({"features": np.ones((0, 2), dtype="f4")}, DOCUMENT, r"\(T, D\)"),
        ({"features": np.ones((2, 2), dtype="f4")}, [], "must be a JSON object"),
        ({"features": np.ones((2, 2), dtype="f4")}, DOCUMENT | {"format_version": 2}, "version 2"),
        ({"features": np.ones((2, 2), dtype="f4")}, DOCUMENT | {"frame_rate": 0.0}, "frame_rate"),
        ({"features": np.ones((2, 2), dtype="f4")}, DOCUMENT | {"rate": 1}, "rate"),
        (
            {"features": np.ones((2, 2), dtype="f4")},
            DOCUMENT | {"streams": [{"name": "rgb", "size": 3}]},
            "add up",
        ),
    ],
)
def test_other_safetensors_files_are_refused(
    tmp_path: Path, tensors: dict[str, np.ndarray], metadata: object, words: str
) -> None:
    words_of = None if metadata is None else {"wsgn.features": json.dumps(metadata)}
    save_file(tensors, tmp_path / "v", metadata=words_of)
    with pytest.raises(InputError, match=words):
        read_feature_info(tmp_path / "v")


def test_whatever_byte_is_wrong_it_is_read_as_the_library_reads_it(tmp_path: Path) -> None:
    """The oracle is the library itself; where it reads a file, so is ours, to the same values."""
    path = tmp_path / "v"
    write_feature_file(path, np.ones((3, 2), dtype=np.float16), SAMPLING)
    whole, random = path.read_bytes(), np.random.default_rng(0)
    num_read = 0
    for place in range(len(whole)):
        path.write_bytes(whole[:place] + random.bytes(1) + whole[place + 1 :])
        theirs = ours = None
        with contextlib.suppress(Exception):
            theirs = load_file(path)["features"]
        with contextlib.suppress(InputError, KeyError):
            ours = read_safetensors_header(path).read("features")
        assert (theirs is None) == (ours is None), place
        if theirs is not None and ours is not None:
            assert theirs.tobytes() == ours.tobytes()
            num_read += 1
    assert 0 < num_read < len(whole) - 100
