"""The written set: same bytes from the same seed, truth that fits, files that decode."""

from __future__ import annotations

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from contents import contents

from wsgn.support.arrays import UInt8Array
from wsgn.synthetic.cli import main
from wsgn.synthetic.videos.config import (
    ACTION_CLASSES,
    SceneConfig,
    SyntheticVideosConfig,
    TimelineConfig,
)
from wsgn.synthetic.videos.dataset import write_dataset
from wsgn.synthetic.videos.encode import encode_video

CONFIG = SyntheticVideosConfig(
    num_train=3,
    num_test=1,
    seed=5,
    scene=SceneConfig(width=96, height=72, frame_rate=10),
    timeline=TimelineConfig(
        min_duration_seconds=8, max_duration_seconds=10, max_actions=2, max_action_seconds=2
    ),
)


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    output = tmp_path_factory.mktemp("synthetic") / "set"
    write_dataset(output, CONFIG, num_workers=1)
    return output


def read_annotations(folder: Path) -> dict[str, Any]:
    content: dict[str, Any] = json.loads((folder / "annotations.json").read_text())
    return content


def test_same_seed_gives_same_bytes_whatever_the_workers(dataset: Path, tmp_path: Path) -> None:
    write_dataset(tmp_path / "again", CONFIG, num_workers=2)
    assert contents(tmp_path / "again") == contents(dataset)


def test_a_video_does_not_depend_on_how_many_are_made(dataset: Path, tmp_path: Path) -> None:
    fewer = SyntheticVideosConfig(
        num_train=1, num_test=1, seed=5, scene=CONFIG.scene, timeline=CONFIG.timeline
    )
    write_dataset(tmp_path / "fewer", fewer, num_workers=1)
    whole, part = contents(dataset), contents(tmp_path / "fewer")
    videos = [name for name in part if name.endswith(".mp4")]
    assert len(videos) == 2
    assert all(part[name] == whole[name] for name in videos)


def test_videos_differ_from_each_other_and_between_subsets(dataset: Path) -> None:
    videos = [data for name, data in contents(dataset).items() if name.endswith(".mp4")]
    assert len(set(videos)) == 4


def test_annotations_are_complete_and_consistent(dataset: Path) -> None:
    content = read_annotations(dataset)
    assert content["classes"] == list(ACTION_CLASSES)
    assert content["config"]["seed"] == 5
    assert sorted(content["database"]) == sorted(p.stem for p in (dataset / "videos").iterdir())
    for name, entry in content["database"].items():
        assert entry["subset"] == name.split("_")[1]
        segments = [record["segment"] for record in entry["annotations"]]
        assert segments == sorted(segments)
        assert all(0 <= start < end <= entry["duration"] for start, end in segments)
        labels = {record["label"] for record in entry["annotations"]}
        assert entry["labels"] == sorted(labels)
        assert labels <= set(ACTION_CLASSES)


def test_files_decode_to_the_declared_frames(dataset: Path) -> None:
    for name, entry in read_annotations(dataset)["database"].items():
        with av.open(str(dataset / "videos" / f"{name}.mp4")) as container:
            stream = container.streams.video[0]
            assert stream.codec_context.name == "h264"
            assert stream.average_rate == entry["frame_rate"]
            frames = list(container.decode(stream))
        assert len(frames) == round(entry["duration"] * entry["frame_rate"])
        assert {(frame.width, frame.height, frame.format.name) for frame in frames} == {
            (96, 72, "yuv420p")
        }
        times = [frame.time for frame in frames]
        assert times == pytest.approx(np.arange(len(frames)) / entry["frame_rate"])


def test_sample_shows_the_actions_that_were_asked_for(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    path = tmp_path / "sample.mp4"
    arguments = ["--sample", str(path), "--duration", "9", "--actions", "jump,bow", "--seed", "3"]
    assert main(["videos", *arguments, "--width", "96", "--height", "72"]) == 0
    assert capsys.readouterr().out.strip() == str(path)
    truth = json.loads(path.with_suffix(".json").read_text())
    assert truth["labels"] == ["bow", "jump"]
    assert {"jump", "bow"} == {record["label"] for record in truth["annotations"]}
    with av.open(str(path)) as container:
        num_frames = sum(1 for _ in container.decode(video=0))
    assert num_frames == 9 * truth["frame_rate"]


def test_same_frames_give_the_same_bytes_in_used_memory(tmp_path: Path) -> None:
    generator = np.random.default_rng(0)
    base = 128 + 8 * np.cumsum(generator.normal(0, 1, (72, 96, 3)), axis=1)
    frames = [np.clip(np.roll(base, k, 1), 0, 255).astype(np.uint8) for k in range(40)]
    clutter: list[UInt8Array] = []

    def cluttered() -> Iterator[UInt8Array]:
        # Memory that the encoder gets next holds something else at every run.
        for frame in frames:
            clutter.append(np.full(generator.integers(10, 200_000), generator.integers(256), "u1"))
            del clutter[:-20]
            yield frame

    written = set()
    for _ in range(8):
        path = tmp_path / "video.mp4"
        assert encode_video(path, cluttered(), 96, 72, 10, 23) == 40
        written.add(path.read_bytes())
    assert len(written) == 1


def test_a_video_that_is_cut_off_leaves_the_old_one(tmp_path: Path) -> None:
    def frames() -> Iterator[UInt8Array]:
        yield from np.zeros((30, 72, 96, 3), np.uint8)
        raise KeyboardInterrupt

    path = tmp_path / "video.mp4"
    path.write_bytes(b"old")
    with pytest.raises(KeyboardInterrupt):
        encode_video(path, frames(), 96, 72, 10, 23)
    assert [entry.name for entry in tmp_path.iterdir()] == ["video.mp4"]
    assert path.read_bytes() == b"old"


def test_output_that_holds_something_is_refused_unless_asked(
    dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    output = tmp_path / "set"
    output.mkdir()
    (output / "notes.txt").write_text("mine")
    small = ["--train", "0", "--test", "0"]
    assert main(["videos", str(output), *small]) == 2
    assert "not empty" in capsys.readouterr().err
    assert main(["videos", str(output), *small, "--overwrite"]) == 0
    assert (output / "notes.txt").read_text() == "mine"


@pytest.mark.parametrize(
    "arguments",
    [
        [],
        ["--sample", "x.mp4", "--actions", "swim"],
        ["--sample", "x.mp4", "--width", "33"],
        ["--sample", "x.mp4", "--duration", "3", "--actions", "wave,bow"],
        ["out", "--workers", "0"],
        ["out", "--duration", "5"],
    ],
)
def test_wrong_arguments_end_with_one_line_and_code_2(
    arguments: list[str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.chdir(tmp_path)
    assert main(["videos", *arguments]) == 2
    assert len(capsys.readouterr().err.strip().splitlines()) == 1
    assert list(tmp_path.iterdir()) == []


def test_without_saying_what_to_synthesize_the_usage_is_shown(
    capsys: pytest.CaptureFixture[str],
) -> None:
    assert main([]) == 2
    assert "{videos,features}" in capsys.readouterr().err


def test_missing_pillow_is_named_with_its_remedy(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    assert main(["videos", "out"]) == 2
    assert "pip install 'wsgn[synthetic]'" in capsys.readouterr().err
