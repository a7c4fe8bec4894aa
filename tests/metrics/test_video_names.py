"""Videos that results name otherwise than the ground truth does."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from wsgn.metrics import cli, evaluate_detection, read_detections, read_truth


def write(folder: Path, truth: dict[str, str], found: list[str]) -> list[str]:
    """A truth of {video: subset} and detections, all of which are right; the arguments."""
    segment = {"label": "run", "segment": [0, 10]}
    database = {
        name: {"subset": subset, "annotations": [segment]} for name, subset in truth.items()
    }
    (folder / "truth.json").write_text(json.dumps({"database": database}))
    results = {name: [segment | {"score": 0.5}] for name in found}
    (folder / "found.json").write_text(json.dumps({"results": results}))
    return [str(folder / "found.json"), "--truth", str(folder / "truth.json"), "--subset", "test"]


@pytest.mark.parametrize(
    ("truth", "found"),
    [
        (["a", "b"], ["test/a", "validation/b"]),
        (["a"], ["a.mp4"]),
        (["bikes.mp4"], ["bikes"]),
        (["GOPR1.MP4"], ["x/y/GOPR1"]),
        (["sport/a"], ["a.mkv"]),
        (["sport/a.mov"], ["other/a"]),
        (["v1.5"], ["x/v1.5"]),
        (["a"], ["C:\\videos\\a.avi"]),
    ],
)
def test_folders_and_endings_of_a_name_do_not_matter_where_one_video_is_meant(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], truth: list[str], found: list[str]
) -> None:
    arguments = write(tmp_path, dict.fromkeys(truth, "test"), found)
    assert cli.main([*arguments, "--protocol", "activitynet", "--json"]) == 0
    captured = capsys.readouterr()
    assert json.loads(captured.out)["average_mAP"] == 100.0
    assert "named otherwise in the ground truth" in captured.err
    assert "is taken for" in captured.err


def test_videos_of_other_subsets_are_known_by_such_names_too(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    arguments = write(tmp_path, {"a": "test", "b": "train"}, ["test/a", "train/b.mp4"])
    assert cli.main([*arguments, "--protocol", "activitynet"]) == 0
    assert "Ignored 1 of 2 detections" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("truth", "found", "hint"),
    [
        # Each of two may be meant.
        (["x/a", "y/a"], ["z/a"], "it has 'x/a', 'y/a': name it so"),
        (["a"], ["x/a", "y/a"], "it has 'a': name it so"),
        (["a"], ["a", "a.mp4"], "it has 'a': name it so"),
        (["a.mp4", "a.mkv"], ["a"], "it has 'a.mkv', 'a.mp4': name it so"),
        (["abc"], ["v_abc"], "it has 'abc': take the 'v_' off the names"),
        (["v_abc"], ["abc"], "it has 'v_abc': put 'v_' before the names"),
        (["a"], ["b"], "does not have."),
        (["a"], ["A"], "does not have."),
    ],
)
def test_what_may_be_several_or_is_none_is_refused_with_what_is_near(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    truth: list[str],
    found: list[str],
    hint: str,
) -> None:
    arguments = write(tmp_path, dict.fromkeys(truth, "test"), found)
    assert cli.main([*arguments, "--protocol", "activitynet"]) == 3
    assert hint in capsys.readouterr().err


def test_python_gets_the_hint_as_well(tmp_path: Path) -> None:
    write(tmp_path, {"abc": "test"}, ["v_abc"])
    truth, found = read_truth(tmp_path / "truth.json"), read_detections(tmp_path / "found.json")
    with pytest.raises(Exception, match="take the 'v_' off"):
        evaluate_detection(truth, found, "activitynet")


@pytest.mark.parametrize("label", ["a\0", "\ud800", "x\x1b[2J", "two\nlines", "c\x9b"])
def test_a_class_that_is_no_word_is_refused_in_one_safe_sentence(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], label: str
) -> None:
    arguments = write(tmp_path, {"a": "test"}, ["a"])
    text = (tmp_path / "truth.json").read_text().replace('"run"', json.dumps(label))
    (tmp_path / "truth.json").write_text(text)
    assert cli.main([*arguments, "--protocol", "activitynet"]) == 3
    err = capsys.readouterr().err
    assert "holds a control character" in err
    assert len(err.splitlines()) == 1
    assert err.isprintable() or err[:-1].isprintable()
