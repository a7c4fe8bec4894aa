"""One model's training: packed batches of whole videos, the same for pixels and features."""

from __future__ import annotations

import math
import time
from collections.abc import Generator, Mapping
from dataclasses import dataclass, replace
from importlib import import_module

import numpy as np
import torch
from torch import Tensor

from wsgn.checkpoint import Checkpoint, TrainedOn, optimizer_tensors, restore_optimizer
from wsgn.config import ModelConfig, TrainConfig
from wsgn.data.annotations import label_vector
from wsgn.data.samples import VideoSource
from wsgn.errors import InputError, UsageError
from wsgn.features.dataset import FeatureDataset
from wsgn.methods.rules import selection_rule
from wsgn.model import WeakDetector
from wsgn.prediction.calibrate import calibrated
from wsgn.prediction.predict import predict_videos
from wsgn.training.distributed import World, digest
from wsgn.training.loader import BatchLoader, LoadOptions, MicroBatch, PackedBatch
from wsgn.training.objective import require_consistent
from wsgn.training.recorder import Recorder, require_recordable
from wsgn.training.sampler import draw_batch, micro_batches, shard
from wsgn.training.update import Update, with_precision
from wsgn.training.verdict import TrainingScore, Witness

# What torch takes as a seed is below this.
_SEED_BOUND = 2**31


@dataclass(frozen=True, kw_only=True)
class StepLog:
    """What is known of an update; its tensors are read at leisure, which waits for a GPU."""

    step: int
    # Scalars.
    loss: Tensor
    gradient_norm: Tensor
    learning_rate: float
    seconds: float


@dataclass(frozen=True, kw_only=True)
class Finished:
    """What a training ends with."""

    checkpoint: Checkpoint
    score: TrainingScore


def _is_moment(name: str, value: Tensor, parameters: Mapping[str, Tensor]) -> bool:
    """Whether the optimiser keeps such a tensor, `parameter/key`."""
    parameter, _, key = name.rpartition("/")
    if parameter not in parameters or not value.isfinite().all():
        return False
    return value.numel() == 1 if key == "step" else value.shape == parameters[parameter].shape


class Trainer:
    """Trains one model; everything random is a function of the seed and the step."""

    def __init__(
        self,
        model: ModelConfig,
        train: TrainConfig,
        source: VideoSource,
        *,
        device: torch.device | None = None,
        world: World | None = None,
        compile_layers: bool = False,
        recorder: Recorder | None = None,
        dataset: str = "",
        from_videos: bool = False,
    ) -> None:
        if tuple(source.classes) != tuple(model.classes):
            raise UsageError("the dataset's classes are not the model's.")
        require_consistent(model, train)
        self.device = device or torch.device("cpu")
        train = with_precision(train, self.device)
        self.train_config = train
        self.world = world or World()
        self.world.require_same(lambda: _decisive_facts(model, train, source))
        self._source = source
        self._trained_on = TrainedOn(
            dataset=dataset,
            num_videos=len(source.videos),
            features=source.made_by if isinstance(source, FeatureDataset) else "",
            from_videos=from_videos,
        )
        self._labels = np.stack([label_vector(v.labels, model.classes) for v in source.videos])
        self.model = self._new_model(model)
        if self.device.type == "cuda":
            # The fused kernels of the frame selection.
            import_module("wsgn.kernels")
        if recorder is not None:
            require_recordable(model, train, self.world.size)
        self._update = Update(
            self.model,
            train,
            self.device,
            self.world,
            compile_layers=compile_layers,
            recorder=recorder,
        )
        self.step = 0
        self._batches: Generator[PackedBatch] | None = None

    def _new_model(self, config: ModelConfig) -> WeakDetector:
        """The model before its first update, the same in all processes."""
        torch.manual_seed(self.train_config.seed)
        model = WeakDetector(config)
        if model.standardise is not None and self.world.is_first:
            model.standardise.fit(self._source, self.train_config.seed)
        model.backbone_snippets = self.train_config.backbone_snippets
        model.to(self.device)
        self.world.copy_from_first(model.state_dict().values())
        return model

    def share_weights(self) -> None:
        """Let all processes have the weights and statistics of the first."""
        self.world.copy_from_first(self.model.state_dict().values())

    def resume(self, checkpoint: Checkpoint) -> None:
        """Go on from a checkpoint exactly, as if the training had never stopped."""
        if checkpoint.model != self.model.config:
            raise UsageError("the checkpoint is of another model configuration.")
        self._require_same_training(checkpoint.train)
        if not checkpoint.optimizer:
            raise UsageError("the checkpoint is of a finished training and cannot be resumed.")
        if checkpoint.step > self.train_config.num_steps:
            raise UsageError(
                f"{checkpoint.step} steps are done already, {self.train_config.num_steps} were "
                "asked for: resume with more."
            )
        self._require_fitting(checkpoint)
        self.model.load_state_dict(checkpoint.weights)
        restore_optimizer(self.model, self._update.optimizer, checkpoint.optimizer)
        self._update.restored()
        self.step = checkpoint.step
        self.close()

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

    def _require_fitting(self, checkpoint: Checkpoint) -> None:
        """Refuse tensors that the model and its optimiser would not have stored."""
        wanted = {name: value.shape for name, value in self.model.state_dict().items()}
        stored = {name: value.shape for name, value in checkpoint.weights.items()}
        parameters = dict(self.model.named_parameters())
        if stored != wanted or not all(
            _is_moment(name, value, parameters) for name, value in checkpoint.optimizer.items()
        ):
            raise InputError(
                "the checkpoint does not hold what its model needs to go on: it is damaged; start "
                "afresh with --overwrite."
            )

    def checkpoint(self) -> Checkpoint:
        """The state after the last step, from which training can go on."""
        return Checkpoint(
            model=self.model.config,
            train=self.train_config,
            step=self.step,
            weights=self.model.state_dict(),
            optimizer=optimizer_tensors(self.model, self._update.optimizer),
            trained_on=self._trained_on,
        )

    def finish(self) -> Finished:
        """Without the optimiser, calibrated and scored on the training videos."""
        config, rule = self.model.config, selection_rule(self.model)
        labels, witness = self._labels.astype(np.float64), Witness(len(config.classes))
        predictions = witness.seeing(predict_videos(self.model, self._source, rule))
        calibration = calibrated(config, rule, predictions, labels)
        checkpoint = replace(self.checkpoint(), optimizer={}, calibration=calibration)
        times_seen = self.step * self.train_config.batch_videos / len(labels)
        score = witness.score(labels, times_seen=times_seen)
        return Finished(checkpoint=checkpoint, score=score)

    def finished(self) -> Checkpoint:
        """The final checkpoint."""
        return self.finish().checkpoint

    def run_step(self) -> StepLog:
        """One update; for WSGN on video-level labels nothing in it waits for a GPU."""
        started = time.perf_counter()
        config = self.train_config
        self.model.train()
        torch.manual_seed(_mixed_seed(config.seed, self.step, self.world.rank))
        learning_rate = scheduled_rate(config, self.step)
        if self._batches is None:
            self._batches = self._stream()
        updated = self._update.run(self._batches, learning_rate)
        self.step += 1
        return StepLog(
            step=self.step,
            loss=updated.loss,
            gradient_norm=updated.gradient_norm,
            learning_rate=learning_rate,
            seconds=time.perf_counter() - started,
        )

    def close(self) -> None:
        """Stop reading ahead; the trainer can still be asked for its checkpoint."""
        if self._batches is not None:
            self._batches.close()
            self._batches = None

    def _stream(self) -> Generator[PackedBatch]:
        """The micro-batches of all updates to come, read ahead."""
        config = self.train_config
        options = LoadOptions(
            thinning=config.thinning,
            start_range=config.start_range,
            augment=config.augment,
            with_snippet_labels=config.supervision == "frame",
            seed=config.seed,
        )
        loader = BatchLoader(self._source, self._labels, options, self.device)
        steps = range(self.step, config.num_steps)
        try:
            yield from loader.stream(one for step in steps for one in self._micro_batches(step))
        finally:
            loader.close()

    def _micro_batches(self, step: int) -> list[MicroBatch]:
        """What this process loads for an update."""
        config = self.train_config
        batch = draw_batch(
            self._labels,
            batch_videos=config.batch_videos,
            batch_pairs=config.batch_pairs,
            step=step,
            seed=config.seed,
        )
        lengths = [
            math.ceil(self._source.num_snippets(video) / config.thinning) for video in batch.videos
        ]
        units = shard(batch.units(), lengths, self.world.size)[self.world.rank]
        paired = 2 * batch.num_pairs
        found = micro_batches(units, lengths, config.accumulate_snippets)
        return [
            MicroBatch(
                step=step,
                indices=indices,
                videos=tuple(batch.videos[index] for index in indices),
                num_pairs=sum(index < paired for index in indices) // 2,
                ends_update=number == len(found),
            )
            for number, indices in enumerate(found, start=1)
        ]


def require_finite(value: float, what: str, step: int) -> float:
    """The value, which must be a number; a training that has left the numbers must stop."""
    if not math.isfinite(value):
        raise InputError(
            f"the {what} is not finite at step {step}: lower the learning rate, or look for "
            "extreme values in the data."
        )
    return value


def scheduled_rate(config: TrainConfig, step: int) -> float:
    """The learning rate of update `step` (from 0)."""
    warmup = min(1.0, (step + 1) / max(1, config.warmup_steps))
    if config.schedule == "constant":
        return config.learning_rate * warmup
    share = step / config.num_steps
    return config.learning_rate * warmup * 0.5 * (1 + math.cos(math.pi * share))


def _decisive_facts(model: ModelConfig, train: TrainConfig, source: VideoSource) -> dict[str, str]:
    """What all processes of a training have to agree on, each as a digest."""
    videos = [(one.name, source.num_snippets(at)) for at, one in enumerate(source.videos)]
    return {
        "its model's settings": digest(model),
        "its settings of the training": digest(train),
        "the videos or their lengths": digest(videos),
        "their labels": digest([one.labels for one in source.videos]),
        "their segments": digest([one.segments for one in source.videos]),
    }


def _mixed_seed(*numbers: int) -> int:
    """One seed out of several numbers."""
    return int(np.random.default_rng(list(numbers)).integers(_SEED_BOUND))
