"""Trainings whose folder is an address: what lies there, after a failure too, and how to go on."""

from __future__ import annotations

import errno
import os
import signal
from pathlib import Path

import pytest
from object_store import SECRET, ObjectStore
from toy import train_words, write_toy_dataset

from wsgn.checkpoint import load_checkpoint
from wsgn.support.files import AtomicFile
from wsgn.training.cli import main

QUICK = ("--batch-videos", "8", "--thinning", "1", "--threads", "1", "--validate", "0.2", "-q")
ADDRESS = "s3://runs/one/first"
FILES = ["last.safetensors", "losses.csv", "model.safetensors", "report.html", "validation.csv"]


@pytest.fixture(scope="module")
def dataset(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_toy_dataset(tmp_path_factory.mktemp("dataset"))


def left(temporary: Path) -> list[str]:
    """What is left of results; libraries keep things of their own there."""
    return [path.name for path in temporary.iterdir() if "wsgn" in path.name]


def words(dataset: Path, output: object, *options: str, steps: int = 4) -> list[str]:
    usual = ("--validate-every", "2", "--checkpoint-every", "2", "--steps", str(steps))
    return train_words(dataset, Path("output"), *QUICK, *usual, *options, "-o", str(output))


def columns(data: bytes) -> list[list[str]]:
    """Of losses.csv, without the seconds that the steps took."""
    return [line.split(",")[:-1] for line in data.decode().split()]


def test_everything_is_at_the_address_and_nothing_here(
    object_store: ObjectStore,
    dataset: Path,
    tmp_path: Path,
    temporary: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    object_store.bucket("runs")
    assert main(words(dataset, tmp_path / "here", "--test", "test")) == 0
    capsys.readouterr()
    assert main(words(dataset, ADDRESS, "--test", "test")) == 0
    said = capsys.readouterr()
    assert f"trained: {ADDRESS}/model.safetensors" in said.out
    assert str(temporary) not in said.out + said.err
    assert left(temporary) == []
    names = sorted(path.name for path in (tmp_path / "here").iterdir())
    assert object_store.keys("runs") == [f"one/first/{name}" for name in names]
    for name in names:
        found = object_store.get("runs", f"one/first/{name}")
        here = (tmp_path / "here" / name).read_bytes()
        if name == "losses.csv":
            assert columns(found) == columns(here)
        elif not name.endswith(".html"):
            assert found == here
        else:
            assert temporary.name.encode() not in found
            assert b"first" in found
    # A checkpoint in the middle and one at the end, each whole by one request.
    assert [one.path for one in object_store.asked("PUT", "last.safetensors")] == [
        "runs/one/first/last.safetensors"
    ] * 3
    assert object_store.unfinished("runs") == []


def test_another_machine_goes_on(
    object_store: ObjectStore, dataset: Path, tmp_path: Path, temporary: Path
) -> None:
    object_store.bucket("runs")
    # The first machine dies behind its first checkpoint.
    object_store.fault = lambda method, path: (
        500 if method == "PUT" and len(object_store.asked("PUT", "last.safetensors")) else None
    )
    assert main(words(dataset, ADDRESS)) == 6
    object_store.fault = None
    names = [key.rpartition("/")[2] for key in object_store.keys("runs")]
    assert names == ["last.safetensors", "losses.csv", "validation.csv"]
    assert load_checkpoint(fetched(object_store, "last.safetensors", tmp_path)).step == 2
    assert main(words(dataset, ADDRESS, "--resume")) == 0
    assert main(words(dataset, tmp_path / "here")) == 0
    for name in ("model.safetensors", "validation.csv"):
        found = object_store.get("runs", f"one/first/{name}")
        assert found == (tmp_path / "here" / name).read_bytes(), name
    found = object_store.get("runs", "one/first/losses.csv")
    assert columns(found) == columns((tmp_path / "here" / "losses.csv").read_bytes())
    assert left(temporary) == []


def fetched(store: ObjectStore, name: str, folder: Path) -> Path:
    (folder / name).write_bytes(store.get("runs", f"one/first/{name}"))
    return folder / name


def test_an_upload_that_fails_leaves_what_was_there(
    object_store: ObjectStore,
    dataset: Path,
    tmp_path: Path,
    temporary: Path,
    capsys: pytest.CaptureFixture[str],
) -> None:
    object_store.bucket("runs")
    assert main(words(dataset, ADDRESS)) == 0
    before = {key: object_store.get("runs", key) for key in object_store.keys("runs")}
    assert main(words(dataset, ADDRESS)) == 6
    assert f"{ADDRESS} holds losses.csv of an earlier training" in capsys.readouterr().err
    for status in (500, 403, 0):
        object_store.fault = lambda method, path, status=status: (
            status if method == "PUT" and path.endswith(".safetensors") else None
        )
        assert main(words(dataset, ADDRESS, "--resume", steps=6)) == 6
        said = capsys.readouterr().err
        assert f"the checkpoint {ADDRESS}/last.safetensors cannot be written" in said
        assert SECRET not in said
        assert "Traceback" not in said
        assert left(temporary) == []
    for key, data in before.items():
        if key.endswith(".safetensors"):
            assert object_store.get("runs", key) == data
    assert object_store.unfinished("runs") == []
    object_store.fault = None
    assert main(words(dataset, ADDRESS, "--overwrite", steps=2)) == 0
    assert load_checkpoint(fetched(object_store, "model.safetensors", tmp_path)).step == 2


def test_what_has_no_place_at_an_address_is_refused(
    object_store: ObjectStore, dataset: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    object_store.bucket("runs")
    assert main(words(dataset, ADDRESS, "--tensorboard")) == 2
    assert "--tensorboard is written bit by bit" in capsys.readouterr().err
    annotations = str(dataset / "annotations.json")
    assert main([annotations, "--videos", str(dataset), "-o", ADDRESS, "-q"]) == 2
    assert "name a folder for them with --feature-cache" in capsys.readouterr().err
    assert main(words(dataset, "s3://none/run")) == 6
    assert "s3://none/run" in capsys.readouterr().err
    assert main(words(dataset, "zip://none/run")) == 2
    assert "results are written to object stores only" in capsys.readouterr().err
    assert object_store.keys("runs") == []
    assert left(temporary) == []


def test_ctrl_c_where_the_store_answers_no_more_is_a_sentence(
    object_store: ObjectStore, dataset: Path, temporary: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    object_store.bucket("runs")

    def interrupt(method: str, path: str) -> int:
        if path.endswith("last.safetensors"):
            os.kill(os.getpid(), signal.SIGINT)
        return 500

    object_store.fault = interrupt
    assert main(words(dataset, ADDRESS, "--resume")) == 130
    said = capsys.readouterr().err
    assert said == (
        "wsgn-train: interrupted; --resume goes on from the last checkpoint, if there is one.\n"
    )
    assert left(temporary) == []


def test_a_full_disk_for_temporary_files_is_not_taken_for_a_full_store(
    object_store: ObjectStore,
    dataset: Path,
    temporary: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    object_store.bucket("runs")

    def full(file: AtomicFile, name: str | None = None) -> None:
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(AtomicFile, "commit", full)
    assert main(words(dataset, ADDRESS)) == 6
    assert (
        f"{ADDRESS}/last.safetensors cannot be written: No space left on device in {temporary}, "
        "where it is made before it is uploaded (TMPDIR names another)."
    ) in capsys.readouterr().err
    names = [key.rpartition("/")[2] for key in object_store.keys("runs")]
    assert names == ["losses.csv", "validation.csv"]
    assert left(temporary) == []
