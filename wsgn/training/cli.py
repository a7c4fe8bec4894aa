"""`wsgn-train`: learn a detector from videos or features and their video-level labels."""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from wsgn.config import ModelConfig, TrainConfig
from wsgn.data.annotations import Annotations, read_annotations
from wsgn.errors import MissingExtraError, OutputError, UsageError
from wsgn.features.arguments import data_options, stream_names
from wsgn.presets import Preset
from wsgn.support.command import run_command, say
from wsgn.support.signals import TERMINATED
from wsgn.training.options import parser
from wsgn.training.overrides import chosen_preset

if TYPE_CHECKING:
    import torch

    from wsgn.data.samples import VideoSource
    from wsgn.dataset import Dataset
    from wsgn.training.distributed import World
    from wsgn.training.run import StepResult
    from wsgn.training.trainer import Trainer

EARLIER_RESULTS = ("last.safetensors", "model.safetensors", "detections.json")
RESULT_NAMES = ("losses.csv", *EARLIER_RESULTS)
_NAME = "wsgn-train"


def main(argv: Sequence[str] | None = None) -> int:
    """Parse, train, report; returns the exit code."""
    arguments: argparse.Namespace | None = None

    def work() -> int:
        nonlocal arguments
        arguments = parser().parse_args(argv)
        try:
            _run(arguments)
        except SystemExit as stop:
            if stop.code == TERMINATED:
                say(_NAME, "terminated; --resume goes on from the last checkpoint.")
            raise
        return 0

    def interrupted() -> str:
        if arguments is None or not (arguments.output / "last.safetensors").exists():
            return "interrupted; there was no checkpoint yet."
        return f"interrupted; add --resume to go on from the last checkpoint in {arguments.output}."

    return run_command(_NAME, work, interrupted=interrupted)


def _run(arguments: argparse.Namespace) -> None:
    folder = arguments.output
    if not (arguments.resume or arguments.overwrite):
        kept = [name for name in RESULT_NAMES if (folder / name).exists()]
        if kept:
            raise OutputError(
                f"{folder} holds {kept[0]} of an earlier training; add --resume or --overwrite."
            )
    annotations = read_annotations(
        arguments.annotations, labels_from_segments=arguments.labels_from_segments
    )
    if arguments.test:
        # A wrong name must not be found out after the training.
        annotations.subset(arguments.test)
    chosen = chosen_preset(arguments)
    # Before the videos are read: a folder that cannot be written must not be found out after.
    try:
        folder.mkdir(parents=True, exist_ok=True)
    except OSError as error:
        raise OutputError(f"the folder {folder} cannot be made: {error.strerror}.") from error
    try:
        from wsgn.training.distributed import open_world
    except ImportError as error:
        raise MissingExtraError(f"Training ({error.name})", "train") from error
    with open_world(arguments.device) as (world, device):
        _train_and_test(arguments, annotations, chosen, world, device)


def _train_and_test(
    arguments: argparse.Namespace,
    annotations: Annotations,
    chosen: Preset,
    world: World,
    device: torch.device,
) -> None:
    from wsgn.dataset import open_data
    from wsgn.training.model_config import model_config

    streams = stream_names(arguments.streams)
    data = open_data(
        data_options(arguments), annotations, progress=world.is_first and not arguments.quiet
    )
    model = model_config(arguments, data, chosen, streams)
    if arguments.test and model.features is not None:
        # What is missing must not be found out after the training; here headers tell.
        data.source(arguments.test, model)
    trainer = _trainer(
        arguments, data.source(arguments.subset, model), model, chosen.train, world, device
    )
    path = _train(trainer, arguments)
    if not world.is_first:
        return
    print(f"trained: {path}")
    if arguments.test:
        _evaluate(arguments, data, path, device)


def _trainer(
    arguments: argparse.Namespace,
    source: VideoSource,
    model: ModelConfig,
    train: TrainConfig,
    world: World,
    device: torch.device,
) -> Trainer:
    import torch

    from wsgn.extraction.networks import load_weights
    from wsgn.training.run import resume_from
    from wsgn.training.trainer import Trainer

    if arguments.threads is not None:
        if arguments.threads < 1:
            raise UsageError(f"--threads must be at least 1, got {arguments.threads}.")
        torch.set_num_threads(arguments.threads)
    trainer = Trainer(
        model, train, source, device=device, world=world, compile_layers=arguments.compile
    )
    if arguments.resume:
        resume_from(arguments.output, trainer)
        return trainer
    if arguments.backbone_weights is not None:
        load_weights(trainer.model.backbone, arguments.backbone_weights)
    return trainer


def _train(trainer: Trainer, arguments: argparse.Namespace) -> Path:
    from tqdm import tqdm

    from wsgn.training.run import run_training

    total, quiet = trainer.train_config.num_steps, arguments.quiet or not trainer.world.is_first
    with tqdm(
        total=total, initial=trainer.step, desc="training", unit="step", disable=quiet
    ) as bar:
        smooth = float("nan")

        def on_step(result: StepResult) -> None:
            nonlocal smooth
            if result.step == 1 and trainer.world.is_first:
                # Only now: what was found wrong until here must not cost an earlier result.
                for name in EARLIER_RESULTS:
                    (arguments.output / name).unlink(missing_ok=True)
            smooth = result.loss if smooth != smooth else 0.95 * smooth + 0.05 * result.loss
            bar.set_postfix(loss=f"{smooth:.4f}", refresh=False)
            bar.update()

        return run_training(trainer, arguments.output, on_step, tensorboard=arguments.tensorboard)


def _evaluate(
    arguments: argparse.Namespace, data: Dataset, path: Path, device: torch.device
) -> None:
    from wsgn.checkpoint import load_checkpoint
    from wsgn.metrics.annotations import read_truth
    from wsgn.prediction.evaluate import evaluate, save_detections

    checkpoint = load_checkpoint(path)
    source = data.source(arguments.test, checkpoint.model)
    truth = read_truth(arguments.annotations, arguments.test)
    evaluation = evaluate(
        checkpoint, source, truth=truth, protocol=arguments.protocol, device=device
    )
    save_detections(arguments.output / "detections.json", evaluation.segments)
    print(evaluation.result_table())


if __name__ == "__main__":
    sys.exit(main())
