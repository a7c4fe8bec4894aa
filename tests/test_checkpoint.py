"""Checkpoints: whole round trips, and a sentence for every file that is not one."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from toy import ToySource, feature_model, short_training

from wsgn.checkpoint import load_checkpoint, save_checkpoint
from wsgn.errors import InputError, UsageError, WsgnError
from wsgn.training.trainer import Trainer


def trained() -> Trainer:
    trainer = Trainer(feature_model(), short_training(), ToySource(4))
    trainer.run_step()
    return trainer


def test_a_checkpoint_comes_back_whole(tmp_path: Path) -> None:
    trainer = trained()
    path = tmp_path / "new" / "model.safetensors"
    saved = trainer.finished()
    save_checkpoint(path, saved)
    loaded = load_checkpoint(path)
    assert loaded.model == saved.model
    assert loaded.train == saved.train
    assert loaded.calibration == saved.calibration
    model = loaded.build()
    for name, value in trainer.model.state_dict().items():
        assert torch.equal(model.state_dict()[name], value)


def test_no_pickle_inside(tmp_path: Path) -> None:
    path = tmp_path / "last.safetensors"
    save_checkpoint(path, trained().checkpoint())
    # A safetensors file begins with the length of its JSON header.
    data = path.read_bytes()
    header = int.from_bytes(data[:8], "little")
    assert data[8 : 8 + header].strip().startswith(b"{")
    assert b"torch" not in data[8 : 8 + header]


@pytest.mark.parametrize("damage", ["missing", "empty", "text", "truncated", "foreign"])
def test_other_files_are_refused(tmp_path: Path, damage: str) -> None:
    path = tmp_path / "model.safetensors"
    if damage == "empty":
        path.touch()
    elif damage == "text":
        path.write_text("not a checkpoint at all")
    elif damage == "foreign":
        save_file({"x": torch.zeros(1)}, path)
    elif damage == "truncated":
        save_checkpoint(path, trained().checkpoint())
        path.write_bytes(path.read_bytes()[:-100])
    with pytest.raises(InputError, match=r"model\.safetensors"):
        load_checkpoint(path)


def test_unknown_settings_are_refused(tmp_path: Path) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, trained().checkpoint())
    # Same length, so that the header stays right.
    path.write_bytes(path.read_bytes().replace(b"dropout", b"dropped", 1))
    with pytest.raises(UsageError, match="dropped"):
        load_checkpoint(path)


def test_a_place_that_cannot_be_written_is_a_sentence(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    with pytest.raises(WsgnError, match="cannot be written"):
        save_checkpoint(tmp_path / "file" / "model.safetensors", trained().checkpoint())
