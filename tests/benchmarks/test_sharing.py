"""What `benchmarks.sharing` makes for the commands that it shares out."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from benchmarks.sharing.subjects import Videos, features_subject, predict_subject
from wsgn.extraction import cli as features
from wsgn.prediction import cli as prediction


def test_features_are_made_of_its_videos(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """In this process, which nothing makes crash."""
    subject = features_subject(Videos(tmp_path, 4))
    (tmp_path / "out").mkdir()
    monkeypatch.chdir(tmp_path / "out")
    with subject.with_faults() as videos:
        assert features.main([*videos, *subject.options]) == 0
    assert len(list(Path.cwd().iterdir())) == 6
    assert len(list(Path.cwd().glob(subject.finished))) == 4
    # What is there is the same with the videos that are good.
    assert features.main([*subject.every, *subject.options]) == 0
    assert features.main([*subject.single, *subject.options, "--overwrite"]) == 0


def test_predictions_are_made_of_its_features(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    subject = predict_subject(tmp_path, 4)
    with subject.with_faults() as faulty:
        for words, count in ((subject.every, 4), (subject.single, 1), (faulty, 6)):
            out = tmp_path / str(count)
            out.mkdir()
            monkeypatch.chdir(out)
            assert prediction.main([*words, *subject.options]) == 0
            assert json.loads(capsys.readouterr().out)["videos"] == count
            assert {path.name for path in out.iterdir()} == {"found.json", "page.html"}
