"""A shard of wsgn-predict that was killed goes on where it was, or says why not."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from opened_files import note_opened
from places import ROOT
from planted_faults import plant_faults
from toy import train_words, write_toy_dataset

from wsgn.prediction.cli import main
from wsgn.prediction.models import Models, PredictedVideo
from wsgn.prediction.pieces import Pieces
from wsgn.training import cli as train

Predict = Callable[..., tuple[int, str, str]]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve test videos, toy_24 to toy_35, and a model of two steps."""
    folder = write_toy_dataset(tmp_path_factory.mktemp("dataset"))
    words = train_words(folder, folder / "run", "--steps", "2", "--thinning", "1", "-q")
    assert train.main(words) == 0
    return folder


@pytest.fixture
def predict(dataset: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> Predict:
    """A shard of the test videos, with its part in `parts`: exit code, stdout, stderr."""

    def run(*words: object, parts: str = "parts") -> tuple[int, str, str]:
        given = [dataset / "annotations.json", dataset / "run" / "model.safetensors"]
        given += ["--features", dataset / "features", "--parts", tmp_path / parts, "-q", "--json"]
        capsys.readouterr()
        code = main([*map(str, given), *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


def _names(folder: Path) -> list[str]:
    return sorted(path.name for path in folder.iterdir())


def _stopped_after(count: int, monkeypatch: pytest.MonkeyPatch, predict: Predict) -> None:
    """Let shard 2/2 be ended by a signal when it has predicted so many videos."""
    whole, done = Models.predict, [0]

    def stopping(self: Models, index: int) -> PredictedVideo:
        if done[0] == count:
            raise KeyboardInterrupt
        done[0] += 1
        return whole(self, index)

    with monkeypatch.context() as patch:
        patch.setattr(Models, "predict", stopping)
        assert predict("--shard", "2/2")[0] == 130


@pytest.fixture(autouse=True)
def _written_at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Pieces, "every_seconds", 0.0)


def test_a_shard_goes_on_where_it_was_stopped(
    predict: Predict, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    assert predict("--shard", "2/2", parts="whole")[0] == 0
    whole = (tmp_path / "whole" / "predictions.2-of-2.safetensors").read_bytes()
    _stopped_after(4, monkeypatch, predict)
    # Of the positions 1, 3, 5 and 7 in the list.
    pieces = [f"predictions.2-of-2.piece-{place}.safetensors" for place in (1, 3, 5, 7)]
    assert _names(tmp_path / "parts") == pieces
    opened = note_opened(monkeypatch, dataset / "features")
    code, out, err = predict("--shard", "2/2", "--resume")
    assert (code, err) == (0, "")
    assert set(opened) == {"toy_33.safetensors", "toy_35.safetensors"}
    report = json.loads(out)
    assert (report["videos"], report["kept"]) == (6, 4)
    assert _names(tmp_path / "parts") == ["predictions.2-of-2.safetensors"]
    assert (tmp_path / "parts" / "predictions.2-of-2.safetensors").read_bytes() == whole
    # All is there.
    opened.clear()
    assert json.loads(predict("--shard", "2/2", "--resume")[1])["kept"] == 6
    assert opened == []
    assert (tmp_path / "parts" / "predictions.2-of-2.safetensors").read_bytes() == whole


def test_pieces_are_of_their_shard_alone_and_without_resume_all_begins_anew(
    predict: Predict, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    _stopped_after(2, monkeypatch, predict)
    pieces = _names(tmp_path / "parts")
    assert json.loads(predict("--shard", "1/2", "--resume")[1]) == {
        "part": str(tmp_path / "parts" / "predictions.1-of-2.safetensors"),
        "videos": 6,
    }
    assert _names(tmp_path / "parts") == ["predictions.1-of-2.safetensors", *pieces]
    opened = note_opened(monkeypatch, dataset / "features")
    assert predict("--shard", "2/2")[0] == 0
    assert len(set(opened)) == 6
    assert _names(tmp_path / "parts") == [
        f"predictions.{number}-of-2.safetensors" for number in (1, 2)
    ]


def test_what_failed_is_tried_again(
    predict: Predict, dataset: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """And nothing else: a part holds the videos of which one process did not die."""
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((plant_faults(tmp_path), str(ROOT))))
    faults = tmp_path / "sitecustomize.py"
    faults.write_text(faults.read_text().replace('"crash"', '"toy_28"'))
    words = ("--shard", "1/4", "--threads", 1, "--workers", 1)
    code, out, _ = predict(*words)
    assert (code, json.loads(out)["failed"]) == (4, ["toy_28"])
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    opened = note_opened(monkeypatch, dataset / "features")
    code, out, err = predict("--shard", "1/4", "--threads", 1, "--resume")
    assert (code, err) == (0, "")
    assert (json.loads(out)["videos"], json.loads(out)["kept"]) == (3, 2)
    assert set(opened) == {"toy_28.safetensors"}


def test_what_cannot_be_resumed_is_a_sentence(
    predict: Predict, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refusal(*words: object, code: int = 3) -> str:
        ended, out, err = predict("--shard", "2/2", "--resume", *words)
        assert (ended, out, err.count("\n")) == (code, "", 1)
        return err

    _stopped_after(2, monkeypatch, predict)
    pieces = _names(tmp_path / "parts")
    words = refusal("--skip-missing")
    assert f"{pieces[0]} was predicted with other options (--skip-missing)" in words
    assert "leave --resume out" in words
    assert "another subset" in refusal("--subset", "train")
    path = tmp_path / "parts" / pieces[0]
    whole = path.read_bytes()
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "is damaged" in refusal()
    # None is taken for another.
    path.write_bytes(whole)
    own = path.with_name("predictions.1-of-2.piece-0.safetensors")
    own.write_bytes(whole)
    assert "is of another shard" in predict("--shard", "1/2", "--resume")[2]
    own.unlink()
    # A piece is no part, whatever it is called.
    path.with_name("predictions.2-of-2.safetensors").write_bytes(whole)
    assert predict("--shard", "1/2")[0] == 0
    code, _, err = predict("-o", tmp_path / "found.json")
    assert (code, "does not list the videos of its shard" in err) == (3, True)


def test_resume_without_a_shard_is_refused(predict: Predict, tmp_path: Path) -> None:
    code, _, err = predict("--resume", "-o", tmp_path / "found.json")
    assert (code, "--resume needs --shard" in err) == (2, True)
