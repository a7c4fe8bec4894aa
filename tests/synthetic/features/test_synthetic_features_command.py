"""The written set: same bytes from the same seed, one file per video, errors in one line."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from contents import contents
from places import SHARED
from synthetic_feature_sets import video, write_annotations

from wsgn.data.annotations import VideoAnnotation
from wsgn.data.layouts import read_annotations
from wsgn.features.file import read_feature_file, read_feature_info
from wsgn.manifest import Sampling
from wsgn.synthetic.cli import main

THUMOS14 = SHARED / "data" / "thumos14" / "thumos14.json"

VIDEOS = (
    video(("dive", 3.0, 8.0), ("cliff", 3.0, 8.0), name="a", duration_seconds=40.0),
    video(("golf", 1.0, 2.0), name="b", duration_seconds=25.0),
    VideoAnnotation(name="c", subset="testing", duration_seconds=9.0, labels=(), segments=()),
)


def make(folder: Path, *arguments: str, videos: tuple[VideoAnnotation, ...] = VIDEOS) -> int:
    path = write_annotations(folder.parent / "annotations.json", *videos)
    return main(["features", str(folder), "--annotations", str(path), *arguments])


def test_every_video_gets_a_file_with_its_time_base(tmp_path: Path) -> None:
    assert make(tmp_path / "set", "--feature-size", "32") == 0
    names = ["a.safetensors", "b.safetensors", "c.safetensors", "synthetic_features.json"]
    assert sorted(contents(tmp_path / "set")) == names
    info = read_feature_info(tmp_path / "set" / "a.safetensors")
    assert info.sampling == Sampling(frame_rate=25.0, snippet_length=16, snippet_stride=16)
    # 1000 frames of 16.
    assert (info.num_snippets, info.feature_size, info.duration_seconds) == (62, 32, 40.0)
    assert "synthetic features" in info.source


def test_the_record_says_how_the_set_was_made(tmp_path: Path) -> None:
    assert make(tmp_path / "set", "--difficulty", "hard", "--seed", "7") == 0
    record = json.loads((tmp_path / "set" / "synthetic_features.json").read_text())
    assert record["videos"] == 3
    assert record["config"]["seed"] == 7
    assert record["config"]["weak_fraction"] == 0.25
    assert record["config"]["establishing_strength"] == 3.0
    assert record["config"]["sampling"]["snippet_stride"] == 16
    assert record["annotations"]["file"] == "annotations.json"


def test_establishing_shots_can_be_left_out_and_nothing_else_moves(tmp_path: Path) -> None:
    def features(name: str, *arguments: str) -> list[Any]:
        assert make(tmp_path / name, *arguments) == 0
        return [read_feature_file(tmp_path / name / f"{video}.safetensors")[1] for video in "abc"]

    usual, without = features("usual"), features("without", "--establishing-strength", "0")
    record = json.loads((tmp_path / "without" / "synthetic_features.json").read_text())
    assert record["config"]["establishing_strength"] == 0
    moved = [(one != other).any(axis=1) for one, other in zip(usual, without, strict=True)]
    # Videos of 40 s and 25 s with pauses of 32 and 24; the last one carries no class.
    assert 0 < moved[0].mean() < 0.5
    assert moved[1].mean() < 0.5
    assert not moved[2].any()


def test_same_seed_same_bytes_other_seed_other_bytes(tmp_path: Path) -> None:
    for name, seed in (("one", "3"), ("two", "3"), ("three", "4")):
        assert make(tmp_path / name, "--seed", seed) == 0
    one, two, three = (contents(tmp_path / name) for name in ("one", "two", "three"))
    assert one == two
    assert all(one[name] != three[name] for name in one)


def test_a_subset_agrees_with_the_whole(tmp_path: Path) -> None:
    assert make(tmp_path / "whole") == 0
    assert make(tmp_path / "part", "--subset", "testing") == 0
    whole, part = contents(tmp_path / "whole"), contents(tmp_path / "part")
    assert sorted(part) == ["c.safetensors", "synthetic_features.json"]
    assert part["c.safetensors"] == whole["c.safetensors"]


def test_a_folder_that_holds_something_is_refused_unless_asked(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "set").mkdir()
    (tmp_path / "set" / "notes.txt").write_text("mine")
    assert make(tmp_path / "set") == 2
    assert "not empty" in capsys.readouterr().err
    assert make(tmp_path / "set", "--overwrite") == 0
    assert (tmp_path / "set" / "notes.txt").read_text() == "mine"
    assert (tmp_path / "set" / "a.safetensors").is_file()


def test_a_labelled_video_without_duration_stops_before_anything_is_written(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    broken = video(("golf", 1.0, 2.0), name="d", duration_seconds=None)
    assert make(tmp_path / "set", videos=(*VIDEOS, broken)) == 3
    assert "video 'd' has the duration None" in capsys.readouterr().err
    assert not (tmp_path / "set").exists()


def test_a_video_of_which_nothing_is_known_is_left_out_and_named(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(tmp_path / "set", videos=(*VIDEOS, video(name="e", duration_seconds=None))) == 0
    assert "1 videos without duration and labels: e." in capsys.readouterr().err
    assert not (tmp_path / "set" / "e.safetensors").exists()


@pytest.mark.parametrize(
    ("arguments", "code"),
    [
        (["--feature-size", "2"], 2),
        (["--seed", "-1"], 2),
        (["--establishing-strength", "-1"], 2),
        (["--snippet-stride", "0"], 2),
        (["--subset", "nowhere"], 3),
    ],
)
def test_wrong_arguments_end_with_one_line(
    arguments: list[str], code: int, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert make(tmp_path / "set", *arguments) == code
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert not (tmp_path / "set").exists()


@pytest.mark.skipif(not THUMOS14.is_file(), reason=f"needs the shared data in {THUMOS14}")
def test_thumos14_has_features_as_long_as_its_videos(tmp_path: Path) -> None:
    arguments = ["--annotations", str(THUMOS14), "--feature-size", "16", "--subset", "test"]
    assert main(["features", str(tmp_path / "set"), *arguments]) == 0
    videos = {item.name: item for item in read_annotations(THUMOS14).subset("test")}
    files = sorted((tmp_path / "set").glob("*.safetensors"))
    # 213 test videos, of which video_test_0001292 has neither duration nor segments.
    assert len(files) == 212
    for path in files:
        info, features = read_feature_file(path)
        frames = round(25 * (videos[path.stem].duration_seconds or 0))
        assert len(features) == info.num_snippets == frames // 16
        assert np.isfinite(features).all()
