"""Clips in parts, and the models that are trained without each."""

from __future__ import annotations

from pathlib import Path

import pytest

from wsgn.data.annotations import Annotations, VideoAnnotation, read_activitynet
from wsgn.learning import learn
from wsgn.learning.check import CheckedClips
from wsgn.learning.options import LearnOptions
from wsgn.learning.parts import write_parts
from wsgn.learning.steps import Step


def clips(num_each: int, *, num_people: int = 4) -> Annotations:
    """Of two classes and background, by people; two of the test besides."""
    videos = [
        VideoAnnotation(
            name=f"{label}/person{index % num_people}_{index}",
            subset="train" if index < num_each else "test",
            duration_seconds=2.0,
            labels=(label,) if label != "background" else (),
            segments=(),
        )
        for label in ("wave", "jump", "background")
        for index in range(num_each + 2)
    ]
    return Annotations(classes=("jump", "wave"), videos=tuple(videos))


def test_every_clip_is_left_out_once_with_its_group(tmp_path: Path) -> None:
    annotations = clips(12)
    parts = write_parts(tmp_path, annotations, "train", group_pattern=r"person\d+", seed=0)
    assert parts is not None
    found = read_activitynet(parts.all)
    trained = {video.name for video in annotations.subset("train")}
    assert {video.name for video in found.videos} == trained
    people = []
    for name, path in parts.others.items():
        others = read_activitynet(path)
        left_out = {video.name for video in found.subset(name)}
        assert {video.name for video in others.subset("train")} == trained - left_out
        assert others.classes == annotations.classes
        people.append({name.split("person")[1][0] for name in left_out})
    assert sum(map(len, people)) == len(set().union(*people)) == 4


def test_too_few_clips_are_not_divided(tmp_path: Path) -> None:
    assert write_parts(tmp_path, clips(1), "train", group_pattern=None, seed=0) is None
    one_person = clips(12, num_people=1)
    assert write_parts(tmp_path, one_person, "train", group_pattern="person0", seed=0) is None
    assert [*tmp_path.iterdir()] == []


@pytest.mark.parametrize(("num_each", "rate", "num_trainings"), [(6, 2.5, 3), (6, 0, 0), (1, 1, 0)])
def test_each_part_is_scored_by_the_model_that_did_not_see_it(
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    num_each: int,
    rate: float,
    num_trainings: int,
) -> None:
    steps: list[Step] = []
    monkeypatch.setattr(learn, "run_step", lambda step, *, quiet: steps.append(step))
    options = LearnOptions(
        clips=tmp_path, output=tmp_path / "my.onnx", false_alarms_per_hour=rate, quiet=True
    )
    checked = CheckedClips(annotations=clips(num_each))
    words = learn._alarm_words(options, checked.annotations, tmp_path / "features", checked)
    assert [step.name for step in steps] == ["wsgn-train"] * num_trainings
    held_out = [words[i + 1] for i, word in enumerate(words) if word == "--held-out"]
    for step, text in zip(steps, held_out, strict=True):
        model, _, part = text.rpartition("=")
        assert step.words[0].endswith(f"without_{part}.json")
        assert str(Path(model).parent) == step.words[step.words.index("-o") + 1]
    assert words[:2] == ("--false-alarms-per-hour", "2.5") or num_trainings == 0
    assert any("too few clips" in one for one in checked.notices) == (num_each == 1)
    assert ("too few clips" in capsys.readouterr().err) == (num_each == 1)
