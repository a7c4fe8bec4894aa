"""The training loop: packed batches of whole videos, the same for pixels and features."""

from __future__ import annotations

import csv
import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from wsgn.calibrate import calibrate
from wsgn.checkpoint import (
    Checkpoint,
    load_checkpoint,
    optimizer_tensors,
    restore_optimizer,
    save_checkpoint,
)
from wsgn.config import ModelConfig, TrainConfig
from wsgn.data.annotations import label_vector, snippet_labels
from wsgn.data.samples import PackedBatch, VideoSource, draw_videos, pack
from wsgn.errors import InputError, UsageError
from wsgn.losses import normalised_labels, score_loss
from wsgn.model import WeakDetector
from wsgn.predict import predict_videos

LOG_COLUMNS = ("step", "loss", "learning_rate", "gradient_norm", "seconds")
# What torch takes as a seed is below this.
_SEED_BOUND = 2**31


@dataclass(frozen=True, kw_only=True)
class StepLog:
    """One line of the loss log."""

    step: int
    loss: float
    learning_rate: float
    gradient_norm: float
    seconds: float


class Trainer:
    """Trains one model; everything random is a function of the seed and the step."""

    def __init__(self, model: ModelConfig, train: TrainConfig, source: VideoSource) -> None:
        if tuple(source.classes) != tuple(model.classes):
            raise UsageError("the dataset's classes are not the model's.")
        self.train_config = train
        self._source = source
        self._labels = [label_vector(v.labels, model.classes) for v in source.videos]
        torch.manual_seed(train.seed)
        self.model = WeakDetector(model)
        self._optimizer = torch.optim.Adam(
            [
                {"params": self._parameters(decayed=True), "weight_decay": train.weight_decay},
                {"params": self._parameters(decayed=False), "weight_decay": 0.0},
            ],
            lr=train.learning_rate,
        )
        self.step = 0

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint exactly, as if the training had never stopped."""
        if checkpoint.model != self.model.config:
            raise UsageError("the checkpoint is of another model configuration.")
        self._require_same_training(checkpoint.train)
        if not checkpoint.optimizer:
            raise UsageError("the checkpoint is of a finished training and cannot be resumed.")
        self.model.load_state_dict(checkpoint.weights)
        restore_optimizer(self.model, self._optimizer, checkpoint.optimizer)
        self.step = checkpoint.step

    def _require_same_training(self, earlier: TrainConfig) -> None:
        ours = self.train_config
        free = {"num_steps": ours.num_steps, "checkpoint_every": ours.checkpoint_every}
        comparable = vars(earlier) | free
        changed = [name for name, value in vars(ours).items() if comparable[name] != value]
        if changed:
            raise UsageError(
                f"the checkpoint was trained with another {', '.join(changed)}: resume it with the "
                "same, or start afresh."
            )

    def checkpoint(self) -> Checkpoint:
        """The state after the last step, from which training can go on."""
        return Checkpoint(
            model=self.model.config,
            train=self.train_config,
            step=self.step,
            weights=self.model.state_dict(),
            optimizer=optimizer_tensors(self.model, self._optimizer),
        )

    def finished(self) -> Checkpoint:
        """The final checkpoint: without the optimiser, calibrated on the training videos."""
        predictions = list(predict_videos(self.model, self._source))
        calibration = calibrate(
            predictions,
            np.stack(self._labels).astype(np.float64),
            smoothing_snippets=self.model.config.smoothing_snippets,
        )
        return Checkpoint(
            model=self.model.config,
            train=self.train_config,
            step=self.step,
            weights=self.model.state_dict(),
            optimizer={},
            calibration=calibration,
        )

    def run_step(self) -> StepLog:
        """One update."""
        started = time.perf_counter()
        self.model.train()
        torch.manual_seed(_mixed_seed(self.train_config.seed, self.step))
        batch = self._batch()
        loss = self._loss(batch)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()  # type: ignore[no-untyped-call]
        learning_rate = scheduled_rate(self.train_config, self.step)
        for group in self._optimizer.param_groups:
            group["lr"] = learning_rate
        limit = self.train_config.gradient_clip or math.inf
        norm = torch.nn.utils.clip_grad_norm_(self.model.parameters(), limit)
        self._require_finite(norm, "gradient")
        self._optimizer.step()
        self.step += 1
        return StepLog(
            step=self.step,
            loss=loss.item(),
            learning_rate=learning_rate,
            gradient_norm=norm.item(),
            seconds=time.perf_counter() - started,
        )

    def _batch(self) -> PackedBatch:
        config = self.train_config
        chosen = draw_videos(len(self._source.videos), config.batch_videos, self.step, config.seed)
        samples = []
        for place, index in enumerate(chosen):
            random = np.random.default_rng([config.seed, self.step, place])
            samples.append(
                self._source.load_for_training(
                    index, random, thinning=config.thinning, augment=config.augment
                )
            )
        frame_labels = None
        if config.supervision == "frame":
            frame_labels = [
                snippet_labels(
                    self._source.videos[index], sample.times.centre_seconds, self._source.classes
                )
                for index, sample in zip(chosen, samples, strict=True)
            ]
        return pack(samples, [self._labels[index] for index in chosen], frame_labels)

    def _loss(self, batch: PackedBatch) -> Tensor:
        output = self.model(batch.inputs, batch.cu_seqlens)
        self._require_finite(output.video_scores.detach().sum(), "score")
        labels = batch.labels
        if self.train_config.normalise_labels:
            labels = normalised_labels(labels)
        loss = score_loss(output.video_scores, labels)
        if batch.snippet_labels is not None:
            loss = loss + score_loss(output.scores, batch.snippet_labels)
        return loss

    def _require_finite(self, value: Tensor, what: str) -> None:
        if not math.isfinite(value.item()):
            raise InputError(
                f"a {what} is not finite at step {self.step}: lower the learning rate, or look "
                "for extreme values in the data."
            )

    def _parameters(self, *, decayed: bool) -> list[torch.nn.Parameter]:
        return [
            parameter
            for name, parameter in self.model.named_parameters()
            if name.startswith("global_") != decayed
        ]


def scheduled_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of update `step` (from 0)."""
    warmup = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.schedule == "constant":
        return config.learning_rate * warmup
    share = step / config.num_steps
    return config.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * share))


def run_training(
    trainer: Trainer, folder: Path, on_step: Callable[[StepLog], None] = lambda log: None
) -> Path:
    """Train to the end; the folder gets `losses.csv`, `last.safetensors` and `model.safetensors`.

    Steps already in the log beyond the trainer's own (after a crash) are dropped. Returns the path
    of the finished model.
    """
    config = trainer.train_config
    folder.mkdir(parents=True, exist_ok=True)
    log_path = folder / "losses.csv"
    kept = _kept_lines(log_path, trainer.step)
    with log_path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.writer(file)
        writer.writerows([LOG_COLUMNS, *kept])
        while trainer.step < config.num_steps:
            log = trainer.run_step()
            writer.writerow([getattr(log, name) for name in LOG_COLUMNS])
            file.flush()
            on_step(log)
            if trainer.step % config.checkpoint_every == 0:
                save_checkpoint(folder / "last.safetensors", trainer.checkpoint())
    save_checkpoint(folder / "last.safetensors", trainer.checkpoint())
    path = folder / "model.safetensors"
    save_checkpoint(path, trainer.finished())
    return path


def resume_from(folder: Path, trainer: Trainer) -> None:
    """Go on with the training that left its last checkpoint in the folder."""
    trainer.resume(load_checkpoint(folder / "last.safetensors"))


def _kept_lines(path: Path, step: int) -> Sequence[list[str]]:
    if step == 0 or not path.is_file():
        return []
    with path.open(newline="", encoding="utf-8") as file:
        return [line for line in list(csv.reader(file))[1:] if int(line[0]) <= step]


def _mixed_seed(seed: int, step: int) -> int:
    """One seed out of two numbers."""
    return int(np.random.default_rng([seed, step]).integers(_SEED_BOUND))
