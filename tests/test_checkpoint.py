"""Checkpoints: whole round trips, and a sentence for every file that is not one."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors import safe_open
from safetensors.torch import save_file
from toy import ToySource, feature_model, short_training

from wsgn.checkpoint import TrainedOn, load_checkpoint, save_checkpoint
from wsgn.config import TrainConfig
from wsgn.errors import InputError, UsageError, WsgnError
from wsgn.support.records import record_from_dict, record_to_dict
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


# As checkpoints of format 2 hold them.
STORED_PROPOSALS = {
    "minimum_duration_seconds": 0.0,
    "outer_share": 0.25,
    "smoothing_snippets": 1,
    "soft_sigma": 0.0,
    "suppression_tiou": 0.5,
    "thresholds": [0.1, 0.5, 0.9],
    "video_score_gate": 0.1,
    "video_score_weight": 0.2,
}
STORED_WSGN = {
    "class_activation": "softmax",
    "coactivity_weight": 0.0,
    "components": ["temporal_softmax"],
    "hidden_layer": False,
    "initial_mean": 0.0,
    "initial_std": 1.0,
    "name": "wsgn",
    "scoring_softmax_scale": "soft_gate",
    "softmax_scale": "mean_one",
    "variance_epsilon": 1e-06,
}
STORED_WTALC = {"coactivity_weight": 0.5, "dropout": 0.7, "name": "wtalc", "snippets_per_pick": 8}
STORED_MODEL = {
    "backbone": {
        "channels": [64, 96, 128, 128],
        "feature_size": 128,
        "frame_by_frame": False,
        "name": "compact",
    },
    "classes": ["wave", "jump", "bow"],
    "dropout": 0.0,
    "features": {"size": 16},
    "frames": None,
    "method": STORED_WSGN,
    "peak_gate": 0.75,
    "proposals": STORED_PROPOSALS,
    "sampling": {"frame_rate": 10.0, "snippet_length": 8, "snippet_stride": 4},
    "scoring_step": 1,
    "smoothing_snippets": 3,
    "standardise": True,
    "streams": ["rgb"],
    "time_unit": "snippet",
}
STORED_TRAINING = {
    "accumulate_snippets": 0,
    "augment": True,
    "backbone_snippets": 0,
    "batch_pairs": 2,
    "batch_videos": 8,
    "checkpoint_every": 100,
    "gradient_clip": 5.0,
    "learning_rate": 0.02,
    "normalise_labels": False,
    "num_steps": 60,
    "precision": "float32",
    "schedule": "cosine",
    "seed": 0,
    "start_range": 0,
    "supervision": "video",
    "thinning": 1,
    "warmup_steps": 20,
    "weight_decay": 0.0005,
}


def test_trainings_that_were_stored_stay_readable() -> None:
    read = record_from_dict(TrainConfig, STORED_TRAINING, what="the configuration")
    again = record_to_dict(read)
    assert set(leaves(STORED_TRAINING)) <= set(leaves(json.loads(json.dumps(again))))


def leaves(value: object, path: str = "") -> list[tuple[str, object]]:
    """Every plain value of a JSON object with its place."""
    if isinstance(value, dict):
        return [leaf for key, inner in value.items() for leaf in leaves(inner, f"{path}.{key}")]
    return [(path, json.dumps(value))]


def rewritten(path: Path, change: Callable[[dict[str, Any]], object]) -> None:
    """The checkpoint with other metadata."""
    with safe_open(path, framework="pt") as file:
        tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
        document = json.loads(file.metadata()["wsgn"])
    change(document)
    save_file(tensors, path, metadata={"wsgn": json.dumps(document)})


HUGE = 10**400


@pytest.mark.parametrize(
    "change",
    [
        lambda document: document.update(model=[]),
        lambda document: document.update(model=None),
        lambda document: document.update(train="text"),
        lambda document: document.update(calibration=[1]),
        lambda document: document.update(trained_on=7),
        lambda document: document.update(trained_on={"dataset": 3, "num_videos": 1}),
        lambda document: document.update(step="1"),
        lambda document: document.update(step=-1),
        lambda document: document.update(step=HUGE),
        lambda document: document.update(step=True),
        lambda document: document["model"].update(dropout=HUGE),
        lambda document: document["model"].update(dropout=float("nan")),
        lambda document: document["model"].update(classes={"a": 1}),
        lambda document: document["model"]["features"].update(size=1 << 40),
        lambda document: document["train"].update(seed=HUGE),
        lambda document: document["train"].update(learning_rate=float("inf")),
        lambda document: document["calibration"]["prior"].update(count=HUGE),
        lambda document: document["calibration"]["prior"].update(mean=[1e300] * 3),
        lambda document: document["calibration"]["detection"].update(smoothing_snippets=HUGE + 1),
    ],
)
def test_numbers_and_kinds_that_no_training_writes_are_refused(
    tmp_path: Path, change: Callable[[dict[str, Any]], object]
) -> None:
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, trained().finished())
    rewritten(path, change)
    with pytest.raises(WsgnError) as caught:
        load_checkpoint(path)
    assert str(caught.value).count("\n") == 0
    assert len(str(caught.value)) < 500


def test_sizes_are_held_against_the_weights_before_memory_is_taken(tmp_path: Path) -> None:
    """A hidden layer of 2^20 x 2^20 would be 4 TB."""
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, trained().finished())
    rewritten(
        path,
        lambda document: document["model"].update(features={"size": 1 << 20}, streams=["rgb"]),
    )
    with pytest.raises(InputError, match="do not fit its model"):
        load_checkpoint(path).build()


def test_weights_that_are_no_numbers_are_refused() -> None:
    checkpoint = trained().finished()
    name = next(iter(checkpoint.weights))
    harmed = checkpoint.weights | {name: torch.full_like(checkpoint.weights[name], torch.nan)}
    with pytest.raises(InputError, match=f"weights '{name}' are not all numbers"):
        replace(checkpoint, weights=harmed).build()


def test_what_a_model_was_trained_on_goes_into_its_engines(tmp_path: Path) -> None:
    from wsgn.export.graphs.document import exportable

    trainer = Trainer(feature_model(), short_training(), ToySource(4), dataset="kitchen")
    assert trainer.checkpoint().trained_on == TrainedOn(dataset="kitchen", num_videos=4)
    path = tmp_path / "model.safetensors"
    save_checkpoint(path, trainer.finished())
    provenance = exportable(load_checkpoint(path)).manifest.provenance
    assert (provenance["trained_on"], provenance["training_videos"]) == ("kitchen", "4")
    # A checkpoint of before says nothing of it.
    rewritten(path, lambda document: document.pop("trained_on"))
    assert load_checkpoint(path).trained_on is None
    assert "trained_on" not in exportable(load_checkpoint(path)).manifest.provenance
