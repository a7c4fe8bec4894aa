"""`wsgn-learn` from a folder of clips to an engine, and what it refuses before it begins."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
from drawn_clips import write_clip

from wsgn.data.layouts import read_annotations
from wsgn.extraction.cache import forget_changed
from wsgn.features.layouts import open_features
from wsgn.learning.cli import main
from wsgn.learning.learn import _with_test
from wsgn.learning.options import LearnOptions
from wsgn.runtime import detect, open_engine

MOTION = ("--backbone", "motion", "--threads", "1", "--steps", "20")
# Three more trainings, of which tests/learning/test_parts.py sees what they are told.
UNCOUNTED = ("--false-alarms-per-hour", "0")


def run(*arguments: object) -> int:
    return main([str(argument) for argument in arguments])


@pytest.fixture(scope="module")
def clips(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """What moves right, what moves down and what stands still, of the same names."""
    folder = tmp_path_factory.mktemp("clips")
    steps = {"right": (3, 0), "down": (0, 3), "background": (0, 0)}
    for label, step in steps.items():
        for index in range(4):
            write_clip(folder / label / f"{index}.mp4", shade=10 * index, step=step, num_frames=24)
    (folder / "down" / "broken.mp4").write_bytes(b"no video")
    return folder


@pytest.fixture(scope="module")
def learned(clips: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("learned")
    assert run(clips, "-o", folder / "my.onnx", *MOTION, *UNCOUNTED, "--quiet") == 0
    return folder


def test_an_engine_comes_out_that_takes_videos(clips: Path, learned: Path) -> None:
    with open_engine(learned / "my.onnx") as engine:
        assert engine.manifest.classes == ("down", "right")
        events = [*detect(clips / "right" / "0.mp4", engine)]
    assert events


def test_what_is_left_can_be_gone_on_with(learned: Path) -> None:
    work = learned / "my.learned"
    database = json.loads((work / "annotations.json").read_text())["database"]
    assert len(database) == 12
    assert sorted({video["subset"] for video in database.values()}) == ["test", "train"]
    assert set(open_features(work / "features").names) == set(database)
    report = (work / "report.md").read_text()
    assert "localisation was not scored" in report
    assert "down/broken" in report
    found = json.loads((work / "found.json").read_text())["results"]
    assert set(found) == {name for name, video in database.items() if video["subset"] == "test"}


def test_features_of_a_clip_that_changed_are_made_again(tmp_path: Path) -> None:
    features, record = tmp_path / "features", tmp_path / "clips.json"
    for name in ("a", "walk/b"):
        (features / name).parent.mkdir(parents=True, exist_ok=True)
        (features / f"{name}.safetensors").touch()
    # Features that no list speaks of were made by somebody who knew why.
    forget_changed(tmp_path / "none.json", features, {"a": "1"})
    assert (features / "a.safetensors").exists()
    record.write_text(json.dumps({"a": "1", "walk/b": "2"}))
    forget_changed(record, features, {"a": "1", "walk/b": "3"})
    assert [path.name for path in features.rglob("*.safetensors")] == ["a.safetensors"]
    assert json.loads(record.read_text()) == {"a": "1", "walk/b": "3"}


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("--backbone", "vgg17"), "there is no backbone 'vgg17'"),
        (("--backbone", "vgg16"), "needs a file in --weights"),
        (("--test-share", "1.5"), "--test-share must lie between 0 and 1"),
        (("--group-by", "("), "is no regular expression"),
        (("--group-by", "person"), "'person' does not occur in the name"),
    ],
)
def test_a_mistake_is_told_before_anything_is_done(
    clips: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    words: tuple[str, ...],
    sentence: str,
) -> None:
    assert run(clips, "-o", tmp_path / "my.onnx", "--quiet", *words) in (2, 3)
    assert sentence in capsys.readouterr().err
    assert not [*tmp_path.iterdir()]


def test_subsets_that_lack_a_class_or_all_are_told(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    table = tmp_path / "clips.csv"
    for lacking, sentence in (
        ("down", "no clip of 'down' is left to train on"),
        ("background", "are all of background"),
    ):
        rows = [
            f"{label}/{index},{label},{'test' if label == lacking else 'train'}"
            for label in ("down", "right", "background")
            for index in range(4)
        ]
        table.write_text("\n".join(["video,label,subset", *rows]))
        words = (table, "--videos", clips, "-o", tmp_path / "my.onnx", "-q", *MOTION)
        assert run(*words) == 3
        assert sentence in capsys.readouterr().err


def test_what_is_not_of_the_test_is_trained_on_where_nothing_says_train(tmp_path: Path) -> None:
    subsets = {"a": "validation", "b": "more", "c": "test"}
    database = {
        name: {"subset": subset, "labels": ["walk"] if name != "b" else []}
        for name, subset in subsets.items()
    }
    (tmp_path / "a.json").write_text(json.dumps({"database": database}))
    annotations = read_annotations(tmp_path / "a.json")
    options = LearnOptions(clips=tmp_path / "a.json", output=tmp_path / "my.onnx")
    found = {video.name: video.subset for video in _with_test(annotations, options).videos}
    assert found == {"a": "train", "b": "train", "c": "test"}


def test_an_engine_that_is_there_is_kept(
    clips: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "my.onnx").write_text("mine")
    assert run(clips, "-o", tmp_path / "my.onnx") == 6
    assert "add --overwrite" in capsys.readouterr().err
    assert run(clips, "-o", tmp_path / "my.plan") == 2
    assert run(clips, "-o", tmp_path / "none" / "my.onnx") == 6
