"""wsgn-predict in shards and in workers: what one process gives, or a sentence."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path

import pytest
from contents import contents
from opened_files import note_opened
from places import ROOT
from planted_faults import plant_faults
from toy import write_toy_charades, write_toy_model

from wsgn.prediction.cli import main


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Twelve test videos, the last of which is called z-crash, and a model of 20 steps."""
    return write_toy_model(tmp_path_factory.mktemp("dataset"), "z-crash")


@pytest.fixture
def predict(
    dataset: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> Callable[..., tuple[int, str, str]]:
    """The command in a folder: exit code, stdout, stderr."""

    def run(folder: Path, *words: object, models: int = 1) -> tuple[int, str, str]:
        folder.mkdir(exist_ok=True)
        monkeypatch.chdir(folder)
        model = str(dataset / "run" / "model.safetensors")
        given = [str(dataset / "annotations.json"), *[model] * models]
        given += ["--features", str(dataset / "features"), "-q"]
        capsys.readouterr()
        code = main([*given, *map(str, words)])
        said = capsys.readouterr()
        return code, said.out, said.err

    return run


ALL = ("-o", "found.json", "--protocol", "activitynet", "--report", "page.html", "--json")


@pytest.mark.parametrize("models", [1, 2])
def test_shards_joined_are_what_one_process_gives(
    predict: Callable[..., tuple[int, str, str]], tmp_path: Path, models: int
) -> None:
    words = (*ALL, "--each-output") if models == 1 else ALL
    alone = predict(tmp_path / "one", *words, models=models)
    assert alone[0] == 0
    parts = ("--parts", tmp_path / "parts")
    # One has more videos than the others; what is to be made of them waits for the end.
    for number in (3, 1, 2, 5, 4):
        code, out, err = predict(
            tmp_path / "some", *words, *parts, "--shard", f"{number}/5", models=models
        )
        assert (code, err) == (0, "")
        assert json.loads(out)["videos"] == (3 if number < 3 else 2)
    assert contents(tmp_path / "some") == {}
    assert predict(tmp_path / "some", *words, *parts, models=models) == alone
    assert contents(tmp_path / "some") == contents(tmp_path / "one")
    names = sorted(path.name for path in (tmp_path / "parts").iterdir())
    assert names == [f"predictions.{number}-of-5.safetensors" for number in range(1, 6)]


def test_a_submission_and_a_model_of_joined_shards_are_those_of_one_process(
    tmp_path: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = write_toy_charades(tmp_path)
    given = [str(folder / "annotations.json"), str(folder / "run" / "model.safetensors")]
    given += ["--features", str(folder / "features"), "--subset", "train", "-q", "--json"]
    given += ["--charades", str(folder / "train.csv"), "--submission", "points.txt"]
    # With thresholds that are set on these videos.
    given += ["--smoothing-seconds", "0.7", "--write-model", "own.safetensors"]

    def said(name: str, *words: str) -> str:
        (folder / name).mkdir(exist_ok=True)
        monkeypatch.chdir(folder / name)
        capsys.readouterr()
        assert main([*given, *words]) == 0
        return capsys.readouterr().out

    alone = said("one")
    assert json.loads(alone)["charades"]["points"] == 100
    for shard in ("2/3", "3/3", "1/3"):
        said("joined", "--parts", "../parts", "--shard", shard)
    assert contents(folder / "joined") == {}
    assert said("joined", "--parts", "../parts") == alone
    assert contents(folder / "joined") == contents(folder / "one")
    assert contents(folder / "one").keys() == {"points.txt", "own.safetensors"}
    # It is another model than the one that predicted.
    before = (folder / "run" / "model.safetensors").read_bytes()
    assert (folder / "one" / "own.safetensors").read_bytes() != before


def test_a_shard_opens_its_own_files_only(
    predict: Callable[..., tuple[int, str, str]],
    dataset: Path,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    opened = note_opened(monkeypatch, dataset / "features")
    for number in range(1, 5):
        assert predict(tmp_path, "--parts", "parts", "--shard", f"{number}/4")[0] == 0
        own = {f"toy_{24 + place}.safetensors" for place in range(number - 1, 11, 4)}
        assert set(opened) == own | ({"z-crash.safetensors"} if number == 4 else set())
        opened.clear()
    assert predict(tmp_path, "--parts", "parts", "-o", "found.json")[0] == 0
    assert opened == []


def test_workers_give_what_one_process_gives_and_without_a_video_no_figures(
    predict: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(ROOT))
    alone = predict(tmp_path / "one", *ALL, "--threads", 1)
    assert alone[0] == 0
    assert predict(tmp_path / "worker", *ALL, "--threads", 1, "--workers", 1) == alone
    assert contents(tmp_path / "worker") == contents(tmp_path / "one")
    faults = plant_faults(tmp_path)
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join((faults, str(ROOT))))
    shared = ("--parts", "../parts", "--shard", "1/1", "--workers", 2)
    code, out, err = predict(tmp_path / "two", *ALL, "--threads", 1, *shared)
    crashed = "z-crash: the process that worked on it has ended (SIGSEGV)"
    assert code == 4, err
    assert (json.loads(out)["failed"], crashed in err) == (["z-crash"], True)
    # Joined, it is missing as it would have been without parts.
    code, out, err = predict(tmp_path / "two", *ALL, "--parts", "../parts")
    assert code == 4
    report = json.loads(out)
    assert report["failed"] == ["z-crash"]
    assert "mAP" not in report
    assert crashed in err
    assert "nothing is scored without them" in err
    # The segments of the others are there, and nothing that is a figure.
    assert contents(tmp_path / "two").keys() == {"found.json"}
    found, wanted = (
        json.loads((tmp_path / name / "found.json").read_bytes())["results"]
        for name in ("two", "one")
    )
    del wanted["z-crash"]
    assert list(found.items()) == list(wanted.items())


def test_what_cannot_be_joined_is_a_sentence(
    predict: Callable[..., tuple[int, str, str]], dataset: Path, tmp_path: Path
) -> None:
    def join(*words: object, **options: int) -> str:
        code, out, err = predict(tmp_path, "--parts", "parts", "-o", "out.json", *words, **options)
        assert (code, out) == (3, "")
        assert err.count("\n") == 1
        assert not (tmp_path / "out.json").exists()
        return err

    def shard(words: str, *others: object) -> None:
        assert predict(tmp_path, "--parts", "parts", "--shard", words, *others)[0] == 0

    shard("2/3")
    assert "2 of 3 shards have not come to their end: 1/3, 3/3" in join()
    shard("1/3")
    shard("3/3")
    assert "other models" in join(models=2)
    assert "another subset" in join("--subset", "train")
    assert "other options (--skip-missing)" in join("--skip-missing")
    assert predict(tmp_path, "--parts", "parts", "-o", "whole.json")[0] == 0
    path = tmp_path / "parts" / "predictions.1-of-3.safetensors"
    whole = path.read_bytes()
    # One bit of the last value.
    path.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "is damaged (its values are not those that were written)" in join()
    path.write_bytes(whole[:-1])
    assert "is damaged" in join()
    path.write_bytes((dataset / "features" / "toy_0.safetensors").read_bytes())
    assert "is no part of a prediction" in join()
    path.write_bytes((tmp_path / "parts" / "predictions.2-of-3.safetensors").read_bytes())
    assert "1 of 3 shards have not come to their end: 1/3" in join()
    path.write_bytes(whole)
    shard("1/2")
    assert "another number of shards" in join()
    (tmp_path / "parts" / "predictions.1-of-2.safetensors").unlink()
    # Of other options than its neighbours.
    shard("2/3", "--skip-missing")
    assert "other options (--skip-missing)" in join()


def test_what_videos_tell_together_is_asked_when_they_are_joined(
    predict: Callable[..., tuple[int, str, str]],
    dataset: Path,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    document = json.loads((dataset / "annotations.json").read_text())
    for place, video in enumerate(document["database"].values()):
        # Most contradict the features, and no shard of three videos may judge that.
        video["duration"] = 200.0 if place % 4 else 16.0
    path = tmp_path / "annotations.json"
    path.write_text(json.dumps(document))
    model, features = dataset / "run" / "model.safetensors", dataset / "features"
    given = [str(path), str(model), "--features", str(features), "-q", "-o", "found.json"]
    capsys.readouterr()
    assert main(given) == 3
    alone = capsys.readouterr().err
    assert " of 12 videos last longer or shorter than their features say" in alone
    parts = ["--parts", str(tmp_path / "parts")]
    assert [main([*given, *parts, "--shard", f"{number}/4"]) for number in range(1, 5)] == [0] * 4
    capsys.readouterr()
    assert main([*given, *parts]) == 3
    assert capsys.readouterr().err == alone


@pytest.mark.parametrize(
    ("words", "code", "sentence"),
    [
        (("--shard", "1/2"), 2, "--shard needs --parts"),
        (("--shard", "3/2", "--parts", "parts"), 2, "shards are counted from 1"),
        (("--parts", "parts", "-o", "a.json", "--workers", "2"), 2, "--workers and --ray out"),
        (("--parts", "parts"), 2, "nothing is asked for"),
        (("--parts", "parts", "-o", "a.json"), 3, "parts cannot be read"),
        (("--parts", ".", "-o", "a.json"), 3, "holds no part of a prediction"),
        (("-o", "a.json", "--stall-limit", "9"), 2, "needs --workers"),
        (("-o", "a.json", "--threads", "0"), 2, "--threads must be"),
    ],
)
def test_what_is_asked_wrongly_is_a_sentence(
    predict: Callable[..., tuple[int, str, str]],
    tmp_path: Path,
    words: tuple[str, ...],
    code: int,
    sentence: str,
) -> None:
    ended, out, err = predict(tmp_path, *words)
    assert (ended, out) == (code, "")
    assert sentence in err
    assert list(tmp_path.iterdir()) == []
