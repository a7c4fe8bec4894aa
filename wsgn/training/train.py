"""A training from its options to the finished model and, where it is asked for, its evaluation."""

from __future__ import annotations

import json
from collections.abc import Callable
from contextlib import nullcontext
from dataclasses import asdict, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

from wsgn.data.annotations import Annotations
from wsgn.data.layouts import read_annotations
from wsgn.errors import InputError, MissingExtraError, OutputError, UsageError
from wsgn.extraction.recommended import PretrainedOptions
from wsgn.manifest import SYNTHETIC
from wsgn.support.files import new_folder
from wsgn.support.mirrors import is_there, mirror_of, place_name, remove_file
from wsgn.support.terminal import say_above_bars
from wsgn.training.options import TrainOptions

if TYPE_CHECKING:
    import torch

    from wsgn.config import ModelConfig
    from wsgn.data.samples import VideoSource
    from wsgn.dataset import Dataset
    from wsgn.features.file import FeatureInfo
    from wsgn.features.reader import FeatureReader
    from wsgn.prediction.evaluate import Evaluation
    from wsgn.training.distributed import World
    from wsgn.training.run import Hearing, StepResult, ValidationResult
    from wsgn.training.trainer import Trainer
    from wsgn.training.validation import Looked, Validation
    from wsgn.training.verdict import TrainingScore

# What a training leaves behind beside its log of losses.
_EVALUATION = "evaluation.html"
# Options in which the processes of a training may differ.
_OWN_OPTIONS = (
    "annotations", "data", "output", "backbone_weights", "cache", "device", "num_threads",
    "tensorboard", "progress",
)  # fmt: skip
_RESULTS = ("last.safetensors", "model.safetensors", "detections.json", _EVALUATION)


def _unheard(result: Any) -> None:
    """Nobody listens."""


def train(
    options: TrainOptions,
    *,
    on_step: Callable[[StepResult], None] = _unheard,
    on_validated: Callable[[ValidationResult], None] = _unheard,
    on_trained: Callable[[Path], None] = _unheard,
    on_scored: Callable[[TrainingScore], None] = _unheard,
    on_evaluated: Callable[[Evaluation], None] = _unheard,
) -> Path:
    """Train a model from video-level labels (section 3 of the paper; docs/training.md).

    Under torchrun each process calls this; the first one alone writes, is heard and evaluates, and
    the others, which wait for it, hear `on_scored` only.

    Args:
        options: the annotations, the files of their videos, the settings, and the output folder.
        on_step: hears of every update: its number from 1, loss, learning rate, seconds.
        on_validated: hears, while it trains, how videos that are held out are told apart.
        on_trained: hears of the finished model.
        on_scored: hears how well that tells its own training videos apart; whether it
            `tells_nothing`.
        on_evaluated: hears of its evaluation on `options.test_subset`, if that names one, whose
            segments go to `detections.json` in the output folder, and a page on them beside it.

    Returns:
        The path of the finished `model.safetensors`, in the output folder.

    Raises:
        UsageError: options that contradict each other or the data.
        InputError: files that are missing or damaged.
        OutputError: a folder that holds an earlier training, or that cannot be written.
        MissingExtraError: the extra `train` is not installed.
        TrainingError: the finished model says the same of every snippet; it is not written.
        PeerError (`wsgn.training.faults`): another process of torchrun has failed.
    """
    try:
        from wsgn.training.distributed import open_world
        from wsgn.training.run import Hearing
        from wsgn.training.verdict import TrainingScore
    except ImportError as error:
        # What is wrong besides is told first, as where it is installed.
        _checked_annotations(options)
        raise MissingExtraError(f"Training ({error.name})", "train") from error
    # What is wrong in one process is told in all.
    with open_world(options.device) as (world, device):
        annotations = _checked_annotations(options, is_first=world.is_first)
        world.require_same(lambda: _common_facts(options, annotations))
        scores: list[TrainingScore] = []
        looked: list[Looked | None] = []
        hearing = Hearing(
            on_step=on_step,
            on_validated=on_validated,
            on_scored=scores.append,
            on_ended=looked.append,
        )
        # Before the videos are read: a folder that cannot be written must not be found out after.
        with new_folder(options.output) if world.is_first else nullcontext():
            data, trainer, validation = _prepare(options, annotations, world, device)
            path = _run(options, trainer, validation, hearing)
            if world.is_first:
                on_trained(path)
                on_scored(scores[0])
                if options.test_subset is not None:
                    evaluation = _evaluate(options, options.test_subset, data, path, device)
                    _write_pages(options, options.test_subset, data, evaluation, device, looked[0])
                    on_evaluated(evaluation)
        result = world.conclude(json.dumps(asdict(scores[0])) if world.is_first else None)
        if not world.is_first:
            on_scored(TrainingScore(**json.loads(result)))
    return path


def _checked_annotations(options: TrainOptions, *, is_first: bool = True) -> Annotations:
    """The annotations, of which, and of the folder, the first process checks all that it needs."""
    if is_first:
        _require_local(options)
        _require_unused(options)
    annotations = read_annotations(
        options.annotations, labels_from_segments=options.labels_from_segments
    )
    if options.test_subset is not None and is_first:
        # A wrong name, or a time that is missing, must not be found out after the training.
        _require_scorable(options.annotations, annotations, options.test_subset)
    return annotations


def _common_facts(options: TrainOptions, annotations: Annotations) -> dict[str, str]:
    """What every process is to be started with; paths and machines may be its own."""
    from wsgn.training.distributed import digest

    common = {name: value for name, value in vars(options).items() if name not in _OWN_OPTIONS}
    return {
        "its options": digest((common, type(options.data).__name__)),
        "its annotations": digest((annotations.classes, annotations.videos)),
    }


def _require_scorable(path: Path, annotations: Annotations, subset: str) -> None:
    """Refuse a subset of whose videos some have times and others not."""
    from wsgn.metrics.annotations import read_truth

    videos = annotations.subset(subset)
    if not any(video.segments for video in videos):
        return
    try:
        read_truth(path, subset)
    except InputError as error:
        raise InputError(
            f"{error} An evaluation on '{subset}' scores segments: give the times of all videos, "
            "or of none to score their labels."
        ) from error


def _require_local(options: TrainOptions) -> None:
    """Refuse what is written bit by bit where the output is at an address."""
    if mirror_of(options.output) is None:
        return
    if options.tensorboard:
        raise UsageError(
            "--tensorboard is written bit by bit, which a store does not have: leave it out, or "
            "train into a folder on this disk."
        )
    if isinstance(options.data, PretrainedOptions) and options.data.cache is None:
        raise UsageError(
            "the features of --videos are made on this disk: name a folder for them with "
            "--feature-cache."
        )


def _require_unused(options: TrainOptions) -> None:
    if options.resume or options.overwrite:
        return
    for name in ("losses.csv", *_RESULTS):
        if is_there(options.output / name):
            raise OutputError(
                f"{options.output} holds {name} of an earlier training; add --resume or "
                "--overwrite."
            )


def _prepare(
    options: TrainOptions, annotations: Annotations, world: World, device: torch.device
) -> tuple[Dataset, Trainer, Validation | None]:
    """The data, the trainer before its first update, and the videos that are held out."""
    from wsgn.dataset import open_data
    from wsgn.training.model_config import method_for, model_config

    from_videos = isinstance(options.data, PretrainedOptions)
    if from_videos:
        options = _on_features(options, annotations, world)
    assert not isinstance(options.data, PretrainedOptions)
    data = open_data(options.data, annotations, progress=world.is_first and options.progress)
    if world.size > 1 and data.features is not None:
        data = replace(data, features=_with_headers(data.features, annotations, options, world))
    model = model_config(options, data)
    if world.is_first and options.progress:
        method = options.preset.model.method
        if method_for(method, model.classes) != method:
            say_above_bars(
                f"there is one class only, '{model.classes[0]}': its probability is a sigmoid, "
                "for a softmax over it would be 1 everywhere."
            )
        _tell_of_the_compact_network(model, annotations.dataset)
    if options.test_subset is not None and model.features is not None and world.is_first:
        # What is missing must not be found out after the training; here headers tell.
        data.source(options.test_subset, model)
    source, validation = _held_out(options, model, data, world, device)
    trainer = _trainer(
        options,
        model,
        source,
        world,
        device,
        dataset=annotations.dataset,
        from_videos=from_videos,
    )
    return data, trainer, validation


def _with_headers(
    reader: FeatureReader, annotations: Annotations, options: TrainOptions, world: World
) -> FeatureReader:
    """The features with the headers of all videos to train on, which the first process reads."""
    from wsgn.features.folders import read_infos
    from wsgn.features.reader import KnownHeaders, stored_names

    def read() -> dict[str, FeatureInfo]:
        names = [video.name for video in annotations.subset(options.subset)]
        stored = list(stored_names(names, reader.names).values())
        return dict(zip(stored, read_infos(reader, stored), strict=True))

    return KnownHeaders(reader, world.from_first(read))


def _on_features(options: TrainOptions, annotations: Annotations, world: World) -> TrainOptions:
    """The same training on features of its videos, made by networks that stay as they are."""
    from wsgn.training.pretrained import with_features

    if world.size > 1:
        raise UsageError(
            "several processes train on features that are there: make them with wsgn-features, and "
            "give --features, or train on pixels with --preset or --backbone."
        )
    return with_features(options, annotations)


def _held_out(
    options: TrainOptions, model: ModelConfig, data: Dataset, world: World, device: torch.device
) -> tuple[VideoSource, Validation | None]:
    """The videos to train on, and those that the first process looks at meanwhile, if any."""
    from wsgn.features.kept import open_cache
    from wsgn.training.validation import Validation, split_videos

    cache = open_cache(options.cache, device, by_frame=model.time_unit == "frame")
    source, train = data.source(options.subset, model, cache), options.preset.train
    if train.validation_share > 0:
        kept, held = split_videos(source, train.validation_share, train.seed)
        return kept, Validation(held)
    if options.validation_subset is not None and world.is_first:
        return source, Validation(data.source(options.validation_subset, model, cache))
    return source, None


def _tell_of_the_compact_network(model: ModelConfig, dataset: str) -> None:
    """On real videos it told no class from another, however long it was trained."""
    if model.frames is not None and model.backbone.name == "compact" and dataset not in SYNTHETIC:
        say_above_bars(
            "the compact network starts from nothing, which is enough for drawn videos: for filmed "
            "ones leave the preset out, or take wsgn-learn."
        )


def _trainer(
    options: TrainOptions,
    model: ModelConfig,
    source: VideoSource,
    world: World,
    device: torch.device,
    *,
    dataset: str,
    from_videos: bool,
) -> Trainer:
    import torch

    from wsgn.extraction.networks import load_weights
    from wsgn.training.recorder import Recorder, cuda_capture
    from wsgn.training.run import resume_from
    from wsgn.training.trainer import Trainer

    if options.num_threads is not None:
        torch.set_num_threads(options.num_threads)
    recorder = None
    if options.cuda_graph:
        if device.type != "cuda":
            raise UsageError("--cuda-graph is a GPU's: add --device cuda.")
        recorder = Recorder(capture=cuda_capture(device))
    trainer = Trainer(
        model,
        options.preset.train,
        source,
        device=device,
        world=world,
        compile_layers=options.compile_layers,
        recorder=recorder,
        dataset=dataset,
        from_videos=from_videos,
    )
    if options.resume:
        resume_from(options.output, trainer)
    elif options.backbone_weights is not None:
        if world.is_first:
            load_weights(trainer.model.backbone, options.backbone_weights)
        trainer.share_weights()
    return trainer


def _run(
    options: TrainOptions, trainer: Trainer, validation: Validation | None, hearing: Hearing
) -> Path:
    """All updates, under a progress bar, or with a line at each checkpoint where there is none."""
    from wsgn.support.progress import progress_bar, shows_progress
    from wsgn.training.run import run_training

    config, first = trainer.train_config, trainer.world.is_first
    has_lines = options.progress and first and not shows_progress()
    settings: dict[str, Any] = {"total": config.num_steps, "initial": trainer.step, "unit": "step"}
    with progress_bar(wanted=options.progress and first, desc="training", **settings) as bar:
        smooth = float("nan")
        shown: dict[str, str] = {}

        def step_done(result: StepResult) -> None:
            nonlocal smooth
            if not first:
                return
            if result.step == 1:
                # Only now: what was found wrong until here must not cost an earlier result.
                for name in _RESULTS:
                    remove_file(options.output / name)
            smooth = result.loss if smooth != smooth else 0.95 * smooth + 0.05 * result.loss
            bar.set_postfix(shown | {"loss": f"{smooth:.4f}"}, refresh=False)
            bar.update()
            is_last = result.step == config.num_steps
            if has_lines and (is_last or result.step % config.checkpoint_every == 0):
                say_above_bars(f"step {result.step} of {config.num_steps}, loss {smooth:.4f}.")
            hearing.on_step(result)

        def validated(result: ValidationResult) -> None:
            figure = f"{result.video_map_percent:.1f}"
            shown["video mAP"] = figure
            if has_lines:
                chance = f"{result.chance_percent:.1f}"
                words = f"step {result.step}, video mAP of held-out videos {figure} %"
                say_above_bars(f"{words} (chance {chance} %).")
            hearing.on_validated(result)

        return run_training(
            trainer,
            options.output,
            replace(hearing, on_step=step_done, on_validated=validated),
            tensorboard=options.tensorboard,
            validation=validation,
            validate_every=options.validate_every,
        )


def _evaluate(
    options: TrainOptions, subset: str, data: Dataset, path: Path, device: torch.device
) -> Evaluation:
    from wsgn.checkpoint import load_checkpoint
    from wsgn.metrics.annotations import read_truth
    from wsgn.prediction.evaluate import evaluate, has_segments, save_detections

    checkpoint = load_checkpoint(path)
    source = data.source(subset, checkpoint.model)
    evaluation = evaluate(
        checkpoint,
        source,
        truth=read_truth(options.annotations, subset) if has_segments(source.videos) else None,
        only_present=options.data.only_present,
        protocol=options.protocol,
        device=device,
    )
    save_detections(options.output / "detections.json", evaluation.segments)
    return evaluation


def _write_pages(
    options: TrainOptions,
    subset: str,
    data: Dataset,
    evaluation: Evaluation,
    device: torch.device,
    looked: Looked | None,
) -> None:
    """The page on what the segments are worth, where times are known, and the way to it."""
    from wsgn.checkpoint import load_checkpoint
    from wsgn.metrics.detections import Detections
    from wsgn.metrics.report import write_report
    from wsgn.prediction.evaluate import FEW_TIOU, scores_again
    from wsgn.training.report import NAME, write_training_report

    if evaluation.truth is None:
        return
    checkpoint = load_checkpoint(options.output / "model.safetensors")
    write_report(
        options.output / _EVALUATION,
        evaluation.truth,
        Detections.from_segments(evaluation.segments),
        options.protocol,
        FEW_TIOU,
        title=f"Evaluation of {place_name(options.output)} on {subset}",
        scores=scores_again(checkpoint, data.source(subset, checkpoint.model), device),
        links=[(NAME, "Training")],
    )
    write_training_report(
        options.output,
        looked,
        num_steps=options.preset.train.num_steps,
        ended=True,
        links=[(_EVALUATION, f"Evaluation on {subset}")],
    )
