"""The command's files: what it refuses to write, and what a run that ends early leaves."""

from __future__ import annotations

import signal
from pathlib import Path

import pytest
from leftovers import left_by_a_killed_run
from test_to_onnx import random_checkpoint
from toy import feature_model

from wsgn.checkpoint import save_checkpoint
from wsgn.export.graphs import document as graph
from wsgn.export.to_onnx import main
from wsgn.support.files import AtomicFile


@pytest.fixture
def checkpoint(tmp_path: Path) -> Path:
    path = tmp_path / "run" / "model.safetensors"
    save_checkpoint(path, random_checkpoint(feature_model()))
    return path


def export(checkpoint: Path, name: str = "m.onnx", *more: str) -> int:
    return main([str(checkpoint), "-o", str(checkpoint.parent / name), *more])


def files(checkpoint: Path) -> list[str]:
    return sorted(path.name for path in checkpoint.parent.iterdir())


@pytest.mark.parametrize("name", ["q.plan", "q", "onnx", "q.onnx.bak"])
def test_a_name_by_which_no_host_knows_it_is_refused(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], name: str
) -> None:
    assert export(checkpoint, name) == 2
    assert "name must end in .onnx" in capsys.readouterr().err
    assert files(checkpoint) == ["model.safetensors"]


def test_the_folder_of_a_checkpoint_is_none(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(checkpoint.parent), "-o", str(checkpoint.with_name("m.onnx"))]) == 3
    assert "run is a folder: give the model.safetensors in it." in capsys.readouterr().err


def test_a_file_in_the_place_of_the_folder_is_said_with_the_users_name(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert export(checkpoint, "model.safetensors/m.onnx") == 6
    said = capsys.readouterr().err
    assert "model.safetensors/m.onnx cannot be written" in said
    assert ".tmp" not in said


def test_a_write_that_fails_is_said_with_the_users_name(
    checkpoint: Path, capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(self: AtomicFile, data: bytes) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(AtomicFile, "write", full)
    assert export(checkpoint) == 6
    said = capsys.readouterr().err
    assert "the engine " in said
    assert "m.onnx cannot be written: No space left on device." in said
    assert ".tmp" not in said


@pytest.mark.parametrize(("number", "code"), [(signal.SIGINT, 130), (signal.SIGTERM, 143)])
@pytest.mark.parametrize("when", ["before", "behind"])
def test_a_signal_around_the_writing_leaves_nothing(
    checkpoint: Path,
    monkeypatch: pytest.MonkeyPatch,
    when: str,
    number: signal.Signals,
    code: int,
) -> None:
    checkpoint.with_name("m.onnx").write_bytes(b"old")
    before, handler = files(checkpoint), signal.getsignal(number)
    write, save_graph = AtomicFile.write, graph.save_graph

    def half(self: AtomicFile, data: bytes) -> None:
        write(self, data[: len(data) // 2])
        signal.raise_signal(number)

    def whole(*arguments: object, **options: object) -> None:
        save_graph(*arguments, **options)  # type: ignore[arg-type]
        signal.raise_signal(number)

    if when == "before":
        monkeypatch.setattr(AtomicFile, "write", half)
    else:
        monkeypatch.setattr(graph, "save_graph", whole)
    assert export(checkpoint, "m.onnx", "--overwrite") == code
    monkeypatch.undo()
    assert files(checkpoint) == before
    assert checkpoint.with_name("m.onnx").read_bytes() == b"old"
    assert signal.getsignal(number) is handler


def test_what_a_killed_run_left_is_removed_and_a_small_file_has_a_size(
    checkpoint: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    left_by_a_killed_run(checkpoint.with_name("m.onnx"), folder=True)
    assert export(checkpoint) == 0
    assert files(checkpoint) == ["m.onnx", "model.safetensors"]
    size = checkpoint.with_name("m.onnx").stat().st_size
    assert f"m.onnx: {size / 1000:.1f} kB, 3 classes" in capsys.readouterr().out
