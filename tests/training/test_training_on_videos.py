"""wsgn-train --videos without a preset: features by networks that stay as they are."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drawn_clips import write_clip

from wsgn.errors import UsageError
from wsgn.export.to_onnx import main as to_onnx
from wsgn.extraction.config import network_names
from wsgn.extraction.recommended import PretrainedOptions
from wsgn.features.options import FeatureOptions, VideoOptions
from wsgn.runtime import DetectOptions, DetectorOptions, detect, open_engine
from wsgn.training import pretrained
from wsgn.training.arguments import train_options
from wsgn.training.cli import main
from wsgn.training.options import TrainOptions

STEPS = {"right": (3, 0), "down": (0, 3), "still": (0, 0)}
TRAIN = ("--steps", "20", "--threads", "1")


@pytest.fixture
def clips(tmp_path: Path) -> Path:
    """What moves right and down, two of each to train on and one to test, and a table."""
    rows = ["video,label,subset"]
    for label, step in STEPS.items():
        for index in range(3):
            name = f"{label}_{index}"
            path = tmp_path / "clips" / f"{name}.mp4"
            write_clip(path, shade=10 * index, step=step, num_frames=24)
            row = f"{name},{label if any(step) else 'background'}"
            rows.append(f"{row},{'test' if index == 2 else 'train'}")
    (tmp_path / "clips.csv").write_text("\n".join(rows))
    return tmp_path


@pytest.fixture(autouse=True)
def motion_only(monkeypatch: pytest.MonkeyPatch) -> None:
    """The extra may lack, and its network takes its time."""
    monkeypatch.setattr(pretrained, "BACKBONE", "motion")


def run(folder: Path, *words: str) -> int:
    paths = (folder / "clips.csv", "--videos", folder / "clips", "-o", folder / "run")
    return main([*map(str, paths), *TRAIN, *words])


def feature_times(folder: Path) -> dict[str, int]:
    return {p.stem: p.stat().st_mtime_ns for p in (folder / "run" / "features").iterdir()}


def test_the_engine_sees_the_videos_as_the_training_did(clips: Path) -> None:
    assert run(clips, "--test", "test", "--quiet") == 0
    model, engine = clips / "run" / "model.safetensors", clips / "my.onnx"
    assert to_onnx([str(model), "-o", str(engine)]) == 0
    found = json.loads((clips / "run" / "detections.json").read_text())["results"]
    assert set(found) == {f"{label}_2" for label in STEPS}
    options = DetectOptions(detector=DetectorOptions(scores="exact"))
    with open_engine(engine) as opened:
        assert opened.manifest.frames is not None
        for name, expected in found.items():
            events = detect(clips / "clips" / f"{name}.mp4", opened, options)
            segments = [event for event in events if event.type == "segment" and event.final]
            assert sorted((one.label, one.score) for one in segments) == [
                (label, pytest.approx(score, abs=1e-4))
                for label, score in sorted((one["label"], one["score"]) for one in expected)
            ]


def test_features_are_kept_while_a_video_is_the_same(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(clips) == 0
    assert f"features of 6 videos by motion -> {clips / 'run' / 'features'}" in (
        capsys.readouterr().err
    )
    before = feature_times(clips)
    assert len(before) == 6
    write_clip(clips / "clips" / "down_0.mp4", shade=50, step=(0, 3), num_frames=24)
    assert run(clips, "--overwrite", "--test", "test") == 0
    after = feature_times(clips)
    assert {name for name in after if after[name] != before.get(name)} == {
        "down_0", "down_2", "right_2", "still_2"
    }  # fmt: skip
    # Made in another way: refused, or made again.
    cache = ("--feature-cache", str(clips / "run" / "features"), "--frame-rate", "5")
    assert main([str(clips / "clips.csv"), "--videos", str(clips / "clips"), "-o",
                 str(clips / "other"), *TRAIN, *cache]) == 2  # fmt: skip
    assert "made in another way: name another --feature-cache" in capsys.readouterr().err
    assert run(clips, "--overwrite", "--frame-rate", "5", "--test", "test") == 0


def test_videos_that_lack_or_are_none_are_told(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "clips" / "down_0.mp4").unlink()
    assert run(clips) == 3
    assert "video 'down_0' is not in" in (said := capsys.readouterr().err)
    assert "add --skip-missing" in said
    assert not (clips / "run").exists()
    (clips / "clips" / "right_0.mp4").write_bytes(b"no video")
    assert run(clips, "--skip-missing") == 0
    said = capsys.readouterr().err
    assert "left out: video 'down_0'" in said
    assert "right_0.mp4" in said
    assert "2 of 6 videos of 'train' have no features" in said


def test_a_folder_that_is_not_there_is_told_once(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (clips / "clips").rename(clips / "elsewhere")
    assert run(clips) == 3
    said = capsys.readouterr().err
    assert said.count("No such file") == 1
    assert "--skip-missing" not in said


def test_a_name_does_not_lead_out_of_the_folder(
    clips: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = (clips / "clips.csv").read_text().replace("down_0", "../clips/down_0")
    (clips / "clips.csv").write_text(table)
    assert run(clips) == 3
    assert "does not lie in" in capsys.readouterr().err


def test_what_is_trained_goes_with_what_was_named() -> None:
    def data(*words: str) -> object:
        return train_options(["a.json", "-o", "x", *words]).data

    videos = ("--videos", "v")
    assert data(*videos) == PretrainedOptions(folder=Path("v"))
    assert isinstance(
        data(*videos, "--preset", "thumos14", "--streams", "motion"), PretrainedOptions
    )
    assert isinstance(data(*videos, "--preset", "frames"), VideoOptions)
    assert isinstance(data(*videos, "--backbone", "resnet18"), VideoOptions)
    assert isinstance(data("--features", "f"), FeatureOptions)
    for words, sentence in (
        ((*videos, "--height", "64"), "--height is for a backbone that is trained"),
        (("--features", "f", "--width", "64"), "--width has no meaning with --features"),
        (("--features", "f", "--feature-cache", "c"), "for the features of --videos"),
        ((*videos, "--preset", "videos", "--feature-cache", "c"), "has no meaning"),
        ((*videos, "--frame-rate", "native"), "native is for features"),
    ):
        with pytest.raises(UsageError, match=sentence):
            data(*words)


def test_a_preset_on_pixels_is_refused_on_features_of_videos() -> None:
    data = PretrainedOptions(folder=Path("v"))
    with pytest.raises(UsageError, match="take preset"):
        TrainOptions(annotations=Path("a.json"), data=data, output=Path("x"))


def test_a_source_names_its_networks() -> None:
    source = "wsgn-features 1: efficientnet-lite0 (weights sha256 12) + onnx (weights sha256 3; "
    source += "output a, rgb, mean 0 0 0), whole frame 224 x 224, 10 fps"
    assert network_names(source) == ("efficientnet-lite0", "onnx")
    assert network_names("made by hand") == ()
