"""Checkpoints: one safetensors file with the configuration inside, no pickle anywhere."""

from __future__ import annotations

import json
import os
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save
from torch import Tensor

from wsgn.config import ModelConfig, TrainConfig
from wsgn.earlier_checkpoints import EARLIER_FORMATS, of_today
from wsgn.errors import InputError, UsageError
from wsgn.manifest import DetectionRule, MultiThresholdRule, Prior
from wsgn.model import WeakDetector
from wsgn.support.files import no_regular_file, write_whole_file
from wsgn.support.json_input import read_object
from wsgn.support.mirrors import at_hand, mirror_of
from wsgn.support.records import record_from_dict, record_to_dict

FORMAT = "wsgn.checkpoint/3"
_MOST_STEPS = 10**9


@dataclass(frozen=True, kw_only=True)
class Calibration:
    """What the training videos say about a model's scores; it goes into every manifest."""

    prior: Prior
    # Of streams, and of whole videos that are not cut by many thresholds.
    detection: DetectionRule
    # Of whole videos, where the model says so, with the smoothing of its data.
    proposals: MultiThresholdRule | None = None

    def smoothed(self, num_snippets: int) -> Calibration:
        """Both rules with another smoothing; the thresholds stay those of the one before."""
        detection = replace(self.detection, smoothing_snippets=num_snippets)
        if self.proposals is None:
            return replace(self, detection=detection)
        proposals = replace(self.proposals, smoothing_snippets=num_snippets)
        return replace(self, detection=detection, proposals=proposals)


@dataclass(frozen=True, kw_only=True)
class TrainedOn:
    """Of what a model was made; it goes into every manifest's provenance."""

    # A dataset's name, or one of `wsgn.manifest.SYNTHETIC`.
    dataset: str
    num_videos: int
    # The one source that all feature files name (wsgn-features writes it); empty where it is not
    # known, and for pixels.
    features: str = ""
    # Whether wsgn-train made them of videos: an engine has the networks that did before the model.
    from_videos: bool = False


@dataclass(frozen=True, kw_only=True)
class Checkpoint:
    """A trained model and all that is needed to build, calibrate or go on training it."""

    model: ModelConfig
    train: TrainConfig
    # Updates done so far.
    step: int
    weights: dict[str, Tensor]
    # Absent before training has ended.
    calibration: Calibration | None = None
    # Absent in checkpoints from before it was written down.
    trained_on: TrainedOn | None = None
    # Moments of the optimiser by parameter, for resuming; empty in a finished checkpoint.
    optimizer: dict[str, Tensor]

    def build(self) -> WeakDetector:
        """The model with its weights, in evaluation mode. Raises `InputError`."""
        try:
            # Sizes that are damaged must not be allocated before they are held against the weights.
            with torch.device("meta"):
                blueprint = WeakDetector(self.model)
            blueprint.load_state_dict(self.weights, assign=True)
            model = WeakDetector(self.model)
            model.load_state_dict(self.weights)
        except (RuntimeError, OverflowError, TypeError) as error:
            raise InputError(
                f"the checkpoint's weights do not fit its model: {str(error).splitlines()[-1]}"
            ) from error
        for name, value in self.weights.items():
            if value.is_floating_point() and not value.isfinite().all():
                raise InputError(
                    f"the checkpoint's weights '{name}' are not all numbers: it is damaged, or its "
                    "training went wrong; train it again."
                )
        return model.eval()


def save_checkpoint(path: str | os.PathLike[str], checkpoint: Checkpoint) -> None:
    """Write a checkpoint as one safetensors file: the whole file or none.

    Args:
        path: the file to write; one that is there is replaced, folders that lack are made.
        checkpoint: configuration, weights and, where training has ended, thresholds and prior.

    Raises:
        OutputError: the file cannot be written.
    """
    tensors = {f"model.{name}": value for name, value in checkpoint.weights.items()}
    tensors |= {f"optimizer.{name}": value for name, value in checkpoint.optimizer.items()}
    document = {
        "format": FORMAT,
        "model": record_to_dict(checkpoint.model),
        "train": record_to_dict(checkpoint.train),
        "step": checkpoint.step,
        "calibration": _calibration_document(checkpoint.calibration),
        "trained_on": (
            None if checkpoint.trained_on is None else record_to_dict(checkpoint.trained_on)
        ),
    }
    # The library's own file writing would keep the file from everybody else.
    data = save(
        {name: value.detach().cpu().contiguous() for name, value in tensors.items()},
        metadata={"wsgn": json.dumps(document, sort_keys=True)},
    )
    write_whole_file(Path(path), data, what="the checkpoint")


def _calibration_document(calibration: Calibration | None) -> dict[str, Any] | None:
    if calibration is None:
        return None
    document = record_to_dict(calibration)
    # An engine's, and not a model's; versions that do not know it read what has none.
    if calibration.detection.alarms is None:
        del document["detection"]["alarms"]
    return document


def load_checkpoint(path: str | os.PathLike[str]) -> Checkpoint:
    """Read a checkpoint. Nothing in the file is code.

    Args:
        path: `model.safetensors` (finished) or `last.safetensors` (to resume) of `wsgn-train`.

    Returns:
        The configuration and the weights; `build()` makes the model of them.

    Raises:
        InputError: there is no such file, it is damaged, or no checkpoint of wsgn.
        UsageError: the file is of another version's format.
    """
    path = Path(path)
    if mirror_of(path) is not None:
        with at_hand(path) as copy:
            return _loaded(copy)
    return _loaded(path)


def _loaded(path: Path) -> Checkpoint:
    if not path.is_file():
        if path.is_dir():
            raise InputError(
                f"the checkpoint {path} is a folder: give the model.safetensors in it."
            )
        if path.exists():
            raise InputError(f"the checkpoint {path} is {no_regular_file(path)}, not a file.")
        raise InputError(f"the checkpoint {path} does not exist.")
    try:
        with safe_open(path, framework="pt") as file:
            metadata = file.metadata() or {}
            tensors = {name: file.get_tensor(name) for name in file.keys()}  # noqa: SIM118
    except Exception as error:
        raise InputError(f"{path} is not a safetensors file, or is damaged: {error}.") from error
    document = _document(path, metadata)
    calibration, trained_on = document["calibration"], document.get("trained_on")
    return Checkpoint(
        model=record_from_dict(ModelConfig, document["model"], what=f"the model in {path}"),
        train=record_from_dict(TrainConfig, document["train"], what=f"the training in {path}"),
        step=document["step"],
        weights=_part(tensors, "model."),
        optimizer=_part(tensors, "optimizer."),
        calibration=(
            None
            if calibration is None
            else record_from_dict(Calibration, calibration, what=f"the calibration in {path}")
        ),
        trained_on=(
            None
            if trained_on is None
            else record_from_dict(TrainedOn, trained_on, what=f"the training in {path}")
        ),
    )


def _document(path: Path, metadata: dict[str, str]) -> dict[str, Any]:
    try:
        document = read_object(metadata["wsgn"])
    except (KeyError, InputError) as error:
        raise InputError(
            f"{path} is a safetensors file without wsgn's configuration: it was not made by "
            "wsgn-train."
        ) from error
    if document.get("format") not in (FORMAT, *EARLIER_FORMATS):
        raise UsageError(
            f"{path} has format {document['format']}, this wsgn reads {FORMAT}: train it again, or "
            "use the version that made it."
        )
    kinds = {
        "model": dict,
        "train": dict,
        "step": int,
        "calibration": dict | None,
        "trained_on": dict | None,
    }
    document.setdefault("trained_on", None)
    document.setdefault("format", None)
    if not all(name in document and _is(document[name], kind) for name, kind in kinds.items()):
        raise InputError(f"{path} holds no complete configuration of wsgn.")
    if not 0 <= document["step"] <= _MOST_STEPS:
        raise InputError(f"{path} says of no possible number of steps that they are done.")
    return document if document["format"] == FORMAT else of_today(document, what=str(path))


def _is(value: object, kind: Any) -> bool:
    return isinstance(value, kind) and not isinstance(value, bool)


def _part(tensors: dict[str, Tensor], prefix: str) -> dict[str, Tensor]:
    return {
        name[len(prefix) :]: value for name, value in tensors.items() if name.startswith(prefix)
    }


def optimizer_tensors(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer
) -> dict[str, Tensor]:
    """The optimiser's state as named tensors."""
    state: dict[str, Tensor] = {}
    for name, parameter in model.named_parameters():
        for key, value in optimizer.state.get(parameter, {}).items():
            state[f"{name}/{key}"] = value
    return state


def restore_optimizer(
    model: torch.nn.Module, optimizer: torch.optim.Optimizer, tensors: dict[str, Tensor]
) -> None:
    """Put named tensors back where `optimizer_tensors` found them."""
    parameters = dict(model.named_parameters())
    # Where an optimiser of one launch reads it; else it would be copied in every step.
    counts_there = any(group.get("fused") for group in optimizer.param_groups)
    for name, value in tensors.items():
        parameter, _, key = name.rpartition("/")
        there = key != "step" or counts_there
        device = parameters[parameter].device if there else torch.device("cpu")
        optimizer.state[parameters[parameter]][key] = value.clone().to(device)
