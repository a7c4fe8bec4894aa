"""Words about videos and features, as several commands take them, become options."""

from __future__ import annotations

import argparse
from pathlib import Path

import pytest

from wsgn.errors import UsageError
from wsgn.features.arguments import (
    add_data_source,
    add_feature_options,
    add_streams,
    add_video_memory,
    data_options,
    stream_names,
)
from wsgn.features.options import DataOptions, FeatureOptions, VideoOptions


def read(*words: str, streams: bool = True) -> DataOptions:
    parser = argparse.ArgumentParser()
    add_data_source(parser)
    add_feature_options(parser.add_argument_group())
    add_video_memory(parser.add_argument_group())
    if streams:
        add_streams(parser.add_argument_group())
    return data_options(parser.parse_args(words))


def test_videos_with_the_memory_they_may_take() -> None:
    assert read("--videos", "v") == VideoOptions(folder=Path("v"), memory_bytes=4 * 2**30)
    found = read("--videos", "v", "--video-memory", "0.5")
    assert found == VideoOptions(folder=Path("v"), memory_bytes=2**29)


def test_each_word_about_features_finds_its_field() -> None:
    words = "--features f --layout cmcs --frame-rate 12.5 --snippet-length 16 --snippet-stride 4"
    found = read(*words.split(), "--skip-missing", "--streams", "flow, rgb")
    assert found == FeatureOptions(
        path=Path("f"),
        layout="cmcs",
        frame_rate=12.5,
        snippet_length=16,
        snippet_stride=4,
        streams=("flow", "rgb"),
        skip_missing=True,
    )


def test_what_is_not_said_is_left_to_the_files() -> None:
    for streams in (True, False):
        assert read("--features", "f", streams=streams) == FeatureOptions(path=Path("f"))


def test_native_stays_a_word() -> None:
    words = "--features f --frame-rate native --snippet-length 16 --snippet-stride 4"
    found = read(*words.split())
    assert isinstance(found, FeatureOptions)
    assert found.frame_rate == "native"


@pytest.mark.parametrize("words", ["--frame-rate 25", "--snippet-length 16 --snippet-stride 4"])
def test_half_a_time_base_is_refused(words: str) -> None:
    with pytest.raises(UsageError, match="all three"):
        read("--features", "f", *words.split())


@pytest.mark.parametrize(
    ("text", "names"),
    [(None, ()), ("", ()), ("rgb", ("rgb",)), ("rgb,flow", ("rgb", "flow"))],
)
def test_names_of_streams(text: str | None, names: tuple[str, ...]) -> None:
    assert stream_names(text) == names
